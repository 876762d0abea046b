"""Certificate revocation lists: their issuer and validity, and warnings about them."""

import datetime

import pytest

from ganeti.http import revocation
from ganeti.http.revocation import Crl
from ganeti.http.tls import make_ssl_context
from support.http import Authority, certificate, openssl

NOW = datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def warnings(authority, *crls, more=()):
    """Return the warnings about these CRLs, with the authorities in ``more`` as well."""
    path = authority.folder / "all.pem"
    path.write_text(
        "".join(
            open(part).read() for part in (authority.cert, *(other.cert for other in more), *crls)
        )
    )
    context = make_ssl_context(certificate(), client_ca=str(path))
    return revocation.warnings(context, revocation.read([str(path)]), NOW)


def test_dates_and_issuer_are_read(authority):
    (crl,) = revocation.read([authority.crl(begins="20250102030405Z", ends="20600102030405Z")])
    utc = datetime.timezone.utc
    assert crl.begins == datetime.datetime(2025, 1, 2, 3, 4, 5, tzinfo=utc)
    assert crl.ends == datetime.datetime(2060, 1, 2, 3, 4, 5, tzinfo=utc)  # GeneralizedTime
    assert b"authority" in crl.issuer


def test_several_lists_in_several_files_are_read(authority):
    one, other = authority.crl(), authority.crl(ends="20300101000000Z")
    assert [crl.ends.year for crl in revocation.read([one, str(authority.cert), other])] == [
        2099,
        2030,
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        "-----BEGIN X509 CRL-----\nMIIBMA==\n-----END X509 CRL-----\n",
        "-----BEGIN X509 CRL-----\n%%%\n-----END X509 CRL-----\n",
    ],
)
def test_an_unreadable_list_is_left_out(tmp_path, text):
    (tmp_path / "crl").write_text(text)
    assert revocation.read([str(tmp_path / "crl")]) == []


def test_a_list_cut_anywhere_raises_value_error(authority, tmp_path):
    openssl("crl", "-in", authority.crl(), "-outform", "DER", "-out", tmp_path / "der")
    der = (tmp_path / "der").read_bytes()
    for size in range(len(der)):
        with pytest.raises(ValueError):
            revocation._parse(der[:size])


def test_a_list_has_a_problem_outside_its_time():
    def problem(begins, ends):
        return Crl(b"", NOW + begins, None if ends is None else NOW + ends).problem(NOW)

    assert problem(-DAY, DAY) == problem(-DAY, None) == problem(0 * DAY, DAY) == ""
    assert problem(-2 * DAY, -DAY) == "expired on 2026-11-30 12:00 UTC"
    assert problem(-DAY, 0 * DAY).startswith("expired")
    assert problem(DAY, 2 * DAY) == "is not valid before 2026-12-02 12:00 UTC"


def test_a_current_list_causes_no_warning(authority):
    assert warnings(authority) == warnings(authority, authority.crl()) == []


def test_an_expired_list_is_warned_of(authority):
    old = authority.crl(ends="20260101000000Z")
    (line,) = warnings(authority, old)
    assert line.startswith("The CRL of 'authority' expired on 2026-01-01 00:00 UTC: every client")
    assert warnings(authority, old, authority.crl()) == []


def test_an_authority_without_a_list_is_warned_of(authority, tmp_path):
    other = Authority(tmp_path, "other")
    (line,) = warnings(authority, authority.crl(), more=[other])
    assert line.startswith("There is no CRL of 'other', though other authorities have one")
    assert warnings(authority, authority.crl(), other.crl(), more=[other]) == []
