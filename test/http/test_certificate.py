"""Facts about our own certificate, and warnings about it."""

import datetime
import subprocess

import pytest

from ganeti.http.certificate import Certificate, inspect
from ganeti.http.tls import make_ssl_context
from support.http import certificate

NOW = datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.timezone.utc)


def end(days, hours=0):
    return NOW + datetime.timedelta(days=days, hours=hours)


def facts(*names, days=100, problem=""):
    return Certificate("rapi.pem", names, end(days), problem)


def run(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def make(folder, subject, *more, algorithm=("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")):
    """Make a certificate with its key in one file; return its path."""
    path = folder / "rapi.pem"
    run(
        "req",
        "-x509",
        "-newkey",
        *algorithm,
        "-nodes",
        "-subj",
        subject,
        "-keyout",
        folder / "key",
        "-out",
        folder / "crt",
        *more,
    )
    path.write_bytes((folder / "key").read_bytes() + (folder / "crt").read_bytes())
    return str(path)


def look(path):
    return inspect(make_ssl_context(path), path)


def test_names_and_end_are_read_from_a_certificate(tmp_path):
    path = make(
        tmp_path,
        "/CN=ignored",
        "-days",
        "10",
        "-addext",
        "subjectAltName=DNS:a.example.com,DNS:*.b.example.com,IP:::1,email:x@y.z",
    )
    found = look(path)
    assert found.names == ("a.example.com", "*.b.example.com", "::1")
    assert found.days_left(datetime.datetime.now(datetime.timezone.utc)) in (9, 10)
    assert found.problem == "" and found.covers("::1")


def test_the_common_name_counts_without_alternative_names(tmp_path):
    assert look(make(tmp_path, "/O=x/CN=a.example.com")).names == ("a.example.com",)


def test_a_certificate_without_names_is_described(tmp_path):
    found = look(make(tmp_path, "/O=x"))
    assert found.names == () and found.describe(NOW).startswith("unknown names, valid until ")


@pytest.mark.parametrize(
    "algorithm", [("rsa:2048",), ("ed25519",), ("ec", "-pkeyopt", "ec_paramgen_curve:secp384r1")]
)
def test_certificates_with_keys_of_usual_kinds_are_inspected(tmp_path, algorithm):
    found = look(make(tmp_path, "/CN=a", algorithm=algorithm))
    assert (found.names, found.problem) == (("a",), "")


def test_an_expired_certificate_has_its_end_and_a_problem(tmp_path):
    path = make(tmp_path, "/CN=a")
    config, index = tmp_path / "ca.cnf", tmp_path / "index"
    index.touch()
    config.write_text(
        f"[ca]\ndefault_ca = a\n[a]\ndatabase = {index}\nnew_certs_dir = {tmp_path}\n"
        "default_md = sha256\npolicy = p\nrand_serial = yes\n"
        "[p]\ncommonName = supplied\n"
    )
    run("req", "-new", "-key", tmp_path / "key", "-subj", "/CN=late", "-out", tmp_path / "csr")
    run(
        "ca",
        "-config",
        config,
        "-batch",
        "-notext",
        "-selfsign",
        "-keyfile",
        tmp_path / "key",
        "-in",
        tmp_path / "csr",
        "-startdate",
        "20250101000000Z",
        "-enddate",
        "20250102000000Z",
        "-out",
        tmp_path / "crt",
    )
    with open(path, "wb") as both:
        both.write((tmp_path / "key").read_bytes() + (tmp_path / "crt").read_bytes())
    found = look(path)
    assert found.problem == "certificate has expired"
    assert found.describe(NOW) == "late, expired on 2025-01-02"
    (warning,) = found.warnings([], NOW)
    assert warning.endswith(f"will reject {path}: certificate has expired")


def test_a_certificate_that_is_not_for_servers_has_a_problem(tmp_path):
    found = look(make(tmp_path, "/CN=a", "-addext", "extendedKeyUsage=clientAuth"))
    assert "purpose" in found.problem


def test_a_removed_file_yields_no_facts(tmp_path):
    path = make(tmp_path, "/CN=a")
    context = make_ssl_context(path)
    (tmp_path / "rapi.pem").unlink()
    assert inspect(context, path) == Certificate(path)
    assert inspect(context, path).warnings(["a"], NOW) == []


def test_names_that_are_not_text_yield_no_facts(tmp_path):
    path = make(tmp_path, "/CN=a", "-addext", "subjectAltName=DER:30:04:82:02:ff:fe")
    assert look(path) == Certificate(path)


def test_the_certificate_of_the_other_tests_has_no_problem():
    assert look(certificate()).names == ("localhost", "127.0.0.1")


@pytest.mark.parametrize(
    ("days", "hours", "expected"),
    [
        (100, 0, None),
        (30, 1, None),
        (29, 23, "in 29 days"),
        (1, 1, "in 1 day;"),
        (0, 5, "in 0 days"),
    ],
)
def test_an_end_within_a_month_is_warned_of(days, hours, expected):
    found = Certificate("rapi.pem", ("a",), end(days, hours)).warnings(["a"], NOW)
    assert found == [] if expected is None else expected in found[0] and len(found) == 1


@pytest.mark.parametrize(
    ("names", "host", "expected"),
    [
        (("a.example.com",), "a.example.com", True),
        (("A.example.com",), "a.EXAMPLE.com.", True),
        (("a.example.com",), "b.example.com", False),
        (("*.example.com",), "a.example.com", True),
        (("*.example.com",), "a.b.example.com", False),
        (("*.example.com",), "example.com", False),
        (("*.com",), "example.com", False),
        (("2001:DB8:0:0:0:0:0:1",), "2001:db8::1", True),
        (("192.0.2.1",), "192.0.2.1", True),
        (("192.0.2.1",), "192.0.2.2", False),
        ((), "a", True),
    ],
)
def test_a_certificate_covers_its_names_and_one_label_for_a_star(names, host, expected):
    assert facts(*names).covers(host) is expected


@pytest.mark.parametrize(
    ("hosts", "expected"), [([], 0), ([""], 0), (["a", "x"], 0), (["x"], 1), (["x", "y"], 1)]
)
def test_a_certificate_for_others_is_warned_of(hosts, expected):
    found = facts("a", "b").warnings(hosts, NOW)
    assert len(found) == expected
    if found:
        assert f"is for a, b, not for {' or '.join(hosts)}" in found[0]


@pytest.mark.parametrize(
    ("certificate_", "expected"),
    [
        (facts("a", "b"), "a, b, valid until 2027-03-11 (100 days left)"),
        (
            facts(*"abcdefg", days=1),
            "a, b, c, d, e and 2 more, valid until 2026-12-02 (1 day left)",
        ),
        (facts("a", days=-1), "a, expired on 2026-11-30"),
        (Certificate("x"), "unknown names, end unknown"),
    ],
)
def test_a_description_has_names_and_end(certificate_, expected):
    assert certificate_.describe(NOW) == expected
