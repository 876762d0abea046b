"""Certificates that can be used, and the words for those that cannot."""

import errno
import os
import ssl
import subprocess

import pytest
from testutils_http import certificate

from ganeti.http.tls import TlsError, make_ssl_context


def refused(*paths):
    """The words of the refusal."""
    with pytest.raises(TlsError) as caught:
        make_ssl_context(*map(str, paths))
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_one_file_may_hold_both():
    assert make_ssl_context(certificate()).cert_store_stats()["x509"] == 0


def test_speaks_nothing_old():
    context = make_ssl_context(certificate())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    for option in (ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_COMPRESSION, ssl.OP_NO_TICKET):
        assert context.options & option


def test_every_suite_has_forward_secrecy_and_authenticated_encryption():
    suites = make_ssl_context(certificate()).get_ciphers()
    assert suites
    for suite in suites:
        assert suite["aead"], suite["name"]
        assert suite["protocol"] == "TLSv1.3" or suite["name"].startswith("ECDHE-")


def test_a_missing_file_is_named(tmp_path):
    gone = tmp_path / "gone.pem"
    assert refused(gone) == f"Cannot read the certificate {gone}: No such file or directory"
    assert refused(certificate(), gone) == f"Cannot read the key {gone}: No such file or directory"


def test_an_unreadable_file_is_named(tmp_path):
    loop = tmp_path / "loop.pem"
    loop.symlink_to(loop)                   # root could read anything else
    assert refused(loop) == f"Cannot read the certificate {loop}: " + os.strerror(errno.ELOOP)
    assert str(tmp_path) in refused(tmp_path)


def test_a_key_must_belong_to_its_certificate():
    text = refused(certificate(), certificate("other"))
    assert text.startswith("The key in ") and "does not belong to the certificate" in text


@pytest.mark.parametrize("text", ["", "no PEM at all", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_other_text_is_refused(tmp_path, text):
    path = tmp_path / "rapi.pem"
    path.write_text(text)
    assert refused(path) == f"{path} does not hold a certificate and its key as PEM text"
    assert str(path) in refused(certificate(), path)


def test_an_encrypted_key_is_refused_and_nobody_is_asked(tmp_path):
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "pkey", "-in", certificate(), "-aes128", "-passout", "pass:x",
                    "-out", str(key)], check=True, capture_output=True)
    assert "encrypted" in refused(certificate(), key)
