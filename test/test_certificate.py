"""The certificate of the API: its names, its strictness, and facts about existing ones."""

import os
import ssl
import stat
import subprocess
from pathlib import Path

import pytest

from ganeti import certificate
from ganeti.layout import Owners
from support.cluster import make_paths

NAMES = ["cluster.example.com", "node1.example.com"]
LONG = ".".join(["a" * 60] * 4)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Return the path of a certificate that was made for NAMES."""
    paths = make_paths(tmp_path_factory.mktemp("certificate"))
    os.makedirs(paths.lib_dir)
    certificate.make(paths, NAMES, Owners())
    return paths.rapi_cert


def names_of(path):
    """Return a context that trusts a certificate, and the fields of the certificate."""
    context = ssl.create_default_context(cafile=path)
    return context, context.get_ca_certs()[0]


def test_it_is_for_all_names_and_addresses(path):
    _, found = names_of(path)
    names = found["subjectAltName"]
    for entry in (
        ("DNS", NAMES[0]),
        ("DNS", NAMES[1]),
        ("DNS", "localhost"),
        ("IP Address", "127.0.0.1"),
        ("IP Address", "0:0:0:0:0:0:0:1"),
    ):
        assert entry in names
    assert found["version"] == 3


def test_the_key_belongs_to_it_and_is_closed_to_strangers(path):
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_strict_client_accepts_it(path):
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(path)
    client_side, _ = names_of(path)
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    pipes = [ssl.MemoryBIO() for _ in range(4)]
    client = client_side.wrap_bio(pipes[0], pipes[1], server_hostname="localhost")
    server = server_side.wrap_bio(pipes[2], pipes[3], server_side=True)
    for _ in range(4):
        for side, out, into in ((client, pipes[1], pipes[2]), (server, pipes[3], pipes[0])):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            into.write(out.read())
    assert client.getpeercert()["subject"] == ((("commonName", NAMES[0]),),)


def test_a_very_long_name_has_a_certificate_too(tmp_path):
    paths = make_paths(tmp_path)
    os.makedirs(paths.lib_dir)
    certificate.make(paths, [LONG, LONG], Owners())
    assert ("DNS", LONG) in names_of(paths.rapi_cert)[1]["subjectAltName"]


def test_openssl_reads_the_request_in_full(tmp_path):
    request = tmp_path / "request"
    request.write_text(certificate.request(["c", "n"], ["192.0.2.9", "2001:db8::5"]))
    text = subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-new",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-config",
            str(request),
            "-keyout",
            "/dev/null",
            "-text",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for words in (
        "IP Address:192.0.2.9",
        "2001:DB8:0:0:0:0:0:5",
        "CA:TRUE",
        "Certificate Sign",
        "TLS Web Server Authentication",
        "Subject Key Identifier",
    ):
        assert words in text, words


def test_facts_are_read_for_people(path):
    facts = certificate.facts(Path(path).read_bytes())
    assert facts["subject"] == facts["issuer"] == f"CN={NAMES[0]}"
    assert facts["end"].endswith("GMT") and facts["fingerprint"].count(":") == 31


@pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_what_cannot_be_read_may_be_replaced(content):
    assert certificate.facts(content) == {} and certificate.is_replaceable(content)


def test_a_chain_comes_from_an_authority(path):
    own = Path(path).read_bytes()
    assert certificate.is_replaceable(own) and not certificate.is_replaceable(own + own)
