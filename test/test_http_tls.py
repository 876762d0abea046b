"""Certificates that can be used, and the words for those that cannot."""

import errno
import os
import socket
import ssl
import subprocess

import pytest
from testutils_http import Client, certificate, running

from ganeti.http import tls
from ganeti.http.message import Response
from ganeti.http.tls import TlsError, common_name, make_ssl_context, verify


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


@pytest.mark.parametrize(("option", "what"), [
    ("key", "key"), ("chain", "chain"), ("client_ca", "clients' authority")])
def test_a_directory_is_not_a_file(tmp_path, option, what):
    with pytest.raises(TlsError) as caught:
        make_ssl_context(certificate(), **{option: str(tmp_path)})
    assert str(caught.value) == f"Cannot read the {what} {tmp_path}: Is a directory"


def test_a_key_must_belong_to_its_certificate():
    text = refused(certificate(), certificate("other"))
    assert text.startswith("The key in ") and "does not belong to the certificate" in text


@pytest.mark.parametrize("text", ["", "no PEM at all", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_other_text_is_refused(tmp_path, text):
    path = tmp_path / "rapi.pem"
    path.write_text(text)
    assert refused(path) == f"{path} does not hold a certificate and its key as PEM text"
    assert str(path) in refused(certificate(), path)


def test_a_weak_certificate_is_called_so(tmp_path, monkeypatch):
    path = tmp_path / "weak.pem"
    run("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-days", "2", "-subj", "/CN=weak",
        "-keyout", path, "-out", tmp_path / "weak.crt")
    path.write_text(path.read_text() + (tmp_path / "weak.crt").read_text())
    monkeypatch.setattr(tls, "CIPHERS", f"{tls.CIPHERS}:@SECLEVEL=2")
    assert refused(path).startswith(f"The certificate in {path} is too weak for OpenSSL here: "
                                    "its key is too short")


def test_an_encrypted_key_is_refused_and_nobody_is_asked(tmp_path):
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "pkey", "-in", certificate(), "-aes128", "-passout", "pass:x",
                    "-out", str(key)], check=True, capture_output=True)
    assert "encrypted" in refused(certificate(), key)


# -- chains, and clients that show a certificate -------------------------------------------

def run(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """Signs certificates."""

    def __init__(self, folder, name="authority"):
        self.folder, self.name = folder, name
        self.cert, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert,
            "-addext", "keyUsage=critical,keyCertSign")     # which Python 3.13 insists on

    def sign(self, subject, *more):
        """A certificate and its key, in one file."""
        stem = self._request(subject)
        run("x509", "-req", "-in", f"{stem}.csr", "-CA", self.cert, "-CAkey", self.key,
            "-days", "2", "-out", f"{stem}.pem", *more)
        return self._with_key(stem)

    def sign_expired(self, subject):
        """A certificate whose time is over, and its key, in one file."""
        stem = self._request(subject)
        config = self.folder / f"{self.name}.cnf"
        config.write_text(f"[ca]\ndefault_ca = a\n[a]\ndatabase = {self.folder}/index\n"
                          f"new_certs_dir = {self.folder}\ndefault_md = sha256\npolicy = p\n"
                          "rand_serial = yes\n"
                          "[p]\ncommonName = supplied\n")
        (self.folder / "index").touch()
        # `openssl x509` of 3.0 has no option for the day, and that of 3.5 takes no -days -1.
        run("ca", "-config", config, "-batch", "-notext", "-in", f"{stem}.csr",
            "-cert", self.cert, "-keyfile", self.key, "-startdate", "20250101000000Z",
            "-enddate", "20250102000000Z", "-out", f"{stem}.pem")
        return self._with_key(stem)

    def _request(self, subject):
        """The path of a new key and a request for its certificate, but for .key and .csr."""
        stem = self.folder / f"{self.name}-{subject.strip('/').replace('/', '-')}"
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", subject, "-keyout", f"{stem}.key", "-out", f"{stem}.csr")
        return stem

    def _with_key(self, stem):
        with open(f"{stem}.pem", "a") as both, open(f"{stem}.key") as key:
            both.write(key.read())
        return f"{stem}.pem"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("foreign"), "foreign")


def test_a_chain_is_shown(authority):
    leaf = authority.sign("/CN=localhost")
    context = make_ssl_context(leaf, chain=str(authority.cert))
    with running(ssl_context=context) as web:
        client = web.connect_tls(trusted=str(authority.cert))
        assert client.status() == 200


def test_a_chain_that_does_not_fit(authority, foreign):
    leaf = authority.sign("/CN=localhost")
    with pytest.raises(TlsError, match="does not lead to the certificate"):
        make_ssl_context(leaf, chain=str(foreign.cert))
    with pytest.raises(TlsError, match="Cannot read the chain"):
        make_ssl_context(leaf, chain="/nowhere.pem")


def ask(web, certificate_file):
    """Whom the server takes a client for."""
    context = ssl.create_default_context(cafile=certificate())
    if certificate_file:
        context.load_cert_chain(certificate_file)
    sock = socket.create_connection(web.address, timeout=20)
    client = Client(context.wrap_socket(sock, server_hostname="localhost"))
    return client.ask()[2].decode()


def test_clients_may_show_a_certificate(authority, foreign):
    context = make_ssl_context(certificate(), client_ca=str(authority.cert))
    with running(lambda request: Response(200, request.certificate.encode()),
                 ssl_context=context) as web:
        assert ask(web, None) == ""
        assert ask(web, authority.sign("/CN=robot")) == "robot"
        assert ask(web, authority.sign("/CN=robot/CN=admin")) == ""
        assert ask(web, authority.sign("/O=robots")) == ""
        for bad in (foreign.sign("/CN=robot"), authority.sign_expired("/CN=late")):
            with pytest.raises((ssl.SSLError, OSError, AssertionError)):
                ask(web, bad)
        assert ask(web, None) == ""             # and the next one is nobody again


def test_a_client_whose_certificate_has_names_that_are_no_text(authority, tmp_path, caplog):
    names = tmp_path / "names"
    names.write_text("subjectAltName=DER:30:04:82:02:ff:fe")
    context = make_ssl_context(certificate(), client_ca=str(authority.cert))
    with running(lambda request: Response(200, request.certificate.encode()),
                 ssl_context=context) as web:
        assert ask(web, authority.sign("/CN=robot2", "-extfile", names)) == ""
    assert not caplog.records


def test_authorities_that_are_none():
    with pytest.raises(TlsError, match="holds no certificates of authorities"):
        make_ssl_context(certificate(), client_ca=__file__)


def test_a_certificate_whose_time_is_not_now(authority):
    assert verify(certificate(), certificate()) == ""
    late = authority.sign_expired("/CN=late2")
    assert "expired" in verify(late, late)


@pytest.mark.parametrize(("subject", "expected"), [
    ((), ""), (((("commonName", "robot"),),), "robot"),
    (((("commonName", "a"),), (("commonName", "b"),)), ""),
    (((("organizationName", "x"),), (("commonName", "a@b.c"),)), "a@b.c"),
    (((("commonName", "a b"),),), ""), (((("commonName", "a\n"),),), ""),
    (((("commonName", ""),),), "")])
def test_the_common_name(subject, expected):
    assert common_name({"subject": subject}) == expected
    assert common_name(None) == ""


def ssl_error(reason, kind=ssl.SSLError):
    """An error as OpenSSL makes it."""
    err = kind(1, f"[SSL: {reason}] words (_ssl.c:1006)")
    err.reason = reason
    return err


@pytest.mark.parametrize(("err", "expected"), [
    (ssl_error("NO_SHARED_CIPHER"), "no shared cipher"),
    (ssl_error("WRONG_VERSION_NUMBER"), "unknown protocol (not TLS)"),
    (ssl_error("TLSV1_ALERT_UNKNOWN_CA"), "the client rejected our certificate: unknown authority"),
    (ssl_error("SSLV3_ALERT_CERTIFICATE_EXPIRED"),
     "the client rejected our certificate: certificate expired"),
    (ssl_error("TLSV1_ALERT_PROTOCOL_VERSION"), "the client rejected the handshake: "
     "protocol version"),
    (ssl_error("BAD_SIGNATURE"), "bad signature"),
    (ssl_error("UNEXPECTED_EOF_WHILE_READING", ssl.SSLEOFError), "closed in the handshake"),
    (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "closed in the handshake"),
    (ssl.SSLError("words of ours"), "words of ours"),
    (OSError(errno.EHOSTUNREACH, "No route to host"), "No route to host")])
def test_a_failed_handshake_is_told_in_words(err, expected):
    assert tls.handshake_problem(err) == expected
