"""Certificates that can be used, and the errors for others."""

import errno
import os
import socket
import ssl
import subprocess

import pytest

from ganeti.http import tls
from ganeti.http.message import Response
from ganeti.http.tls import TlsError, make_ssl_context, user_name, verify
from support.http import Authority, RawHttpClient, certificate, running
from support.http import openssl as run


def refused(*paths):
    """Return the text of the error that these files cause."""
    with pytest.raises(TlsError) as caught:
        make_ssl_context(*map(str, paths))
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_one_file_may_hold_certificate_and_key():
    assert make_ssl_context(certificate()).cert_store_stats()["x509"] == 0


def test_old_protocol_versions_are_refused():
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
    loop.symlink_to(loop)  # root could read anything else
    assert refused(loop) == f"Cannot read the certificate {loop}: " + os.strerror(errno.ELOOP)
    assert str(tmp_path) in refused(tmp_path)


@pytest.mark.parametrize(
    ("option", "what"), [("key", "key"), ("chain", "chain"), ("client_ca", "clients' authority")]
)
def test_a_directory_is_not_a_file(tmp_path, option, what):
    with pytest.raises(TlsError) as caught:
        make_ssl_context(certificate(), **{option: str(tmp_path)})
    assert str(caught.value) == f"Cannot read the {what} {tmp_path}: Is a directory"


def test_a_key_must_belong_to_its_certificate():
    text = refused(certificate(), certificate("other"))
    assert text.startswith("The key in ") and "does not belong to the certificate" in text


@pytest.mark.parametrize("text", ["", "no PEM at all", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_file_without_pem_text_is_refused(tmp_path, text):
    path = tmp_path / "rapi.pem"
    path.write_text(text)
    assert refused(path) == f"{path} does not contain a certificate and its key in PEM"
    assert str(path) in refused(certificate(), path)


def test_a_weak_certificate_is_refused_with_the_reason(tmp_path, monkeypatch):
    path = tmp_path / "weak.pem"
    run(
        "req",
        "-x509",
        "-newkey",
        "rsa:1024",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=weak",
        "-keyout",
        path,
        "-out",
        tmp_path / "weak.crt",
    )
    path.write_text(path.read_text() + (tmp_path / "weak.crt").read_text())
    monkeypatch.setattr(tls, "CIPHERS", f"{tls.CIPHERS}:@SECLEVEL=2")
    assert refused(path).startswith(
        f"The certificate in {path} is too weak for OpenSSL here: its key is too short"
    )


def test_an_encrypted_key_is_refused_without_a_prompt(tmp_path):
    key = tmp_path / "key.pem"
    subprocess.run(
        [
            "openssl",
            "pkey",
            "-in",
            certificate(),
            "-aes128",
            "-passout",
            "pass:x",
            "-out",
            str(key),
        ],
        check=True,
        capture_output=True,
    )
    assert "encrypted" in refused(certificate(), key)


# -- chains, and clients that show a certificate -------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("foreign"), "foreign")


def test_a_chain_is_sent_to_clients(authority):
    leaf = authority.sign("/CN=localhost")
    context = make_ssl_context(leaf, chain=str(authority.cert))
    with running(ssl_context=context) as web:
        client = web.connect_tls(trusted=str(authority.cert))
        assert client.status() == 200


def test_a_chain_that_does_not_lead_to_the_certificate_is_refused(authority, foreign):
    leaf = authority.sign("/CN=localhost")
    with pytest.raises(TlsError, match="does not lead to the certificate"):
        make_ssl_context(leaf, chain=str(foreign.cert))
    with pytest.raises(TlsError, match="Cannot read the chain"):
        make_ssl_context(leaf, chain="/nowhere.pem")


def ask(web, certificate_file):
    """Return the user that the server sees for a client with this certificate."""
    return connect(web, certificate_file).ask()[2].decode()


def connect(web, certificate_file):
    """Connect with this client certificate, or without one if it is None."""
    context = ssl.create_default_context(cafile=certificate())
    if certificate_file:
        context.load_cert_chain(certificate_file)
    sock = socket.create_connection(web.address, timeout=20)
    return RawHttpClient(context.wrap_socket(sock, server_hostname="localhost"))


def test_clients_may_show_a_certificate(authority, foreign):
    context = make_ssl_context(certificate(), client_ca=str(authority.cert))
    with running(
        lambda request: Response(200, request.certificate.encode()), ssl_context=context
    ) as web:
        assert ask(web, None) == ""
        assert ask(web, authority.sign("/CN=robot")) == "robot"
        assert ask(web, authority.sign("/CN=robot/CN=admin")) == ""
        assert ask(web, authority.sign("/O=robots")) == ""
        for bad in (foreign.sign("/CN=robot"), authority.sign_expired("/CN=late")):
            with pytest.raises((ssl.SSLError, OSError, AssertionError)):
                ask(web, bad)
        assert ask(web, None) == ""  # and the next one is nobody again


def test_a_client_certificate_with_names_that_are_not_text_names_nobody(
    authority, tmp_path, caplog
):
    names = tmp_path / "names"
    names.write_text("subjectAltName=DER:30:04:82:02:ff:fe")
    context = make_ssl_context(certificate(), client_ca=str(authority.cert))
    with running(
        lambda request: Response(200, request.certificate.encode()), ssl_context=context
    ) as web:
        assert ask(web, authority.sign("/CN=robot2", "-extfile", names)) == ""
    assert not caplog.records


def test_a_file_without_authorities_is_refused():
    with pytest.raises(TlsError, match="contains no certificates of authorities"):
        make_ssl_context(certificate(), client_ca=__file__)


# -- revoked certificates --------------------------------------------------------------------


def refuses(web, certificate_file):
    """Return whether the handshake with this certificate fails."""
    try:
        ask(web, certificate_file)
    except (OSError, AssertionError):  # ssl.SSLError is an OSError
        return True
    return False


@pytest.fixture(scope="module")
def robots(authority):
    """Return a valid certificate, and one that will be revoked."""
    return authority.sign("/CN=good"), authority.sign("/CN=bad")


def file_of(path, *parts):
    """Return the path of a file with the content of these files."""
    path.write_text("".join(open(part).read() for part in parts))
    return str(path)


def name_of(request):
    return Response(200, request.certificate.encode())


@pytest.mark.parametrize("apart", [False, True])
def test_a_revoked_certificate_is_refused(authority, robots, tmp_path, apart):
    good, bad = robots
    crl = authority.crl(bad)
    both = file_of(tmp_path / "both.pem", authority.cert, crl)
    context = (
        make_ssl_context(certificate(), client_ca=str(authority.cert), client_crl=crl)
        if apart
        else make_ssl_context(certificate(), client_ca=both)
    )
    with running(name_of, ssl_context=context) as web:
        assert ask(web, good) == "good" and ask(web, None) == ""
        assert refuses(web, bad)


def test_an_expired_crl_refuses_every_client_certificate(authority, robots):
    context = make_ssl_context(
        certificate(),
        client_ca=str(authority.cert),
        client_crl=authority.crl(ends="20250102000000Z"),
    )
    with running(name_of, ssl_context=context) as web:
        assert refuses(web, robots[0])
        assert ask(web, None) == ""


def test_client_certificates_of_an_authority_without_crl_are_refused(
    authority, foreign, robots, tmp_path
):
    both = file_of(tmp_path / "both.pem", authority.cert, foreign.cert, foreign.crl())
    context = make_ssl_context(certificate(), client_ca=both)
    with running(name_of, ssl_context=context) as web:
        assert refuses(web, robots[0])
        assert ask(web, foreign.sign("/CN=other")) == "other"


def test_a_crl_that_the_authority_did_not_sign_is_ignored(authority, robots, tmp_path):
    forger = Authority(tmp_path, "authority")  # of the same name
    context = make_ssl_context(
        certificate(), client_ca=str(authority.cert), client_crl=forger.crl()
    )
    with running(name_of, ssl_context=context) as web:
        assert refuses(web, robots[0])


def test_files_without_crls_are_refused(authority, foreign, tmp_path):
    crl, ca = authority.crl(), str(authority.cert)
    run("crl", "-in", crl, "-outform", "DER", "-out", tmp_path / "der")
    for path, words in (
        (__file__, "contains no CRL in PEM"),
        (tmp_path / "der", "contains no CRL"),
        ("/nowhere", "Cannot read the clients' CRL /nowhere"),
        (foreign.cert, "contains certificates"),
    ):
        with pytest.raises(TlsError, match=words):
            make_ssl_context(certificate(), client_ca=ca, client_crl=str(path))
    with pytest.raises(TlsError, match="no certificates of authorities"):
        make_ssl_context(certificate(), client_ca=crl)


def test_a_reload_that_revokes_a_certificate_ends_its_connections(authority, robots):
    def context(*revoked):
        return make_ssl_context(
            certificate(), client_ca=str(authority.cert), client_crl=authority.crl(*revoked)
        )

    good, bad = robots
    with running(name_of, ssl_context=context()) as web:
        clients = [connect(web, path) for path in (good, bad, None)]
        assert [client.ask()[2] for client in clients] == [b"good", b"bad", b""]
        clients[1].send(b"GET / HTTP/1.1\r\n")  # on its way: served, as the last one
        web.wait_until_read()
        web.call(lambda: web.server.set_ssl_context(context(bad)))
        assert clients[0].ended()  # idle; it comes again
        _, headers, body = clients[1].send(b"Host: a\r\n\r\n").answer()
        assert (headers["connection"], body) == ("close", b"bad")
        assert clients[2].ask()[2] == b""
        assert ask(web, good) == "good" and refuses(web, bad)


def test_a_client_certificate_outside_its_time_is_refused(authority):
    assert verify(certificate(), certificate()) == ""
    late = authority.sign_expired("/CN=late2")
    assert "expired" in verify(late, late)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ((), ""),
        (((("commonName", "robot"),),), "robot"),
        (((("commonName", "a"),), (("commonName", "b"),)), ""),
        (((("organizationName", "x"),), (("commonName", "a@b.c"),)), "a@b.c"),
        (((("commonName", "a b"),),), ""),
        (((("commonName", "a\n"),),), ""),
        (((("commonName", ""),),), ""),
    ],
)
def test_the_common_name_is_one_that_could_be_a_user(subject, expected):
    assert user_name({"subject": subject}) == expected
    assert user_name(None) == ""


def ssl_error(reason, kind=ssl.SSLError):
    """Return an error as Python makes it for a reason of OpenSSL."""
    err = kind(1, f"[SSL: {reason}] words (_ssl.c:1006)")
    err.reason = reason
    return err


@pytest.mark.parametrize(
    ("err", "expected"),
    [
        (ssl_error("NO_SHARED_CIPHER"), "no shared cipher"),
        (ssl_error("WRONG_VERSION_NUMBER"), "unknown protocol (not TLS)"),
        (
            ssl_error("TLSV1_ALERT_UNKNOWN_CA"),
            "the client rejected our certificate: unknown authority",
        ),
        (
            ssl_error("SSLV3_ALERT_CERTIFICATE_EXPIRED"),
            "the client rejected our certificate: certificate expired",
        ),
        (
            ssl_error("TLSV1_ALERT_PROTOCOL_VERSION"),
            "the client rejected the handshake: protocol version",
        ),
        (ssl_error("BAD_SIGNATURE"), "bad signature"),
        (ssl_error("UNEXPECTED_EOF_WHILE_READING", ssl.SSLEOFError), "closed during the handshake"),
        (
            ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
            "closed during the handshake",
        ),
        (ssl.SSLError("words of ours"), "words of ours"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "No route to host"),
    ],
)
def test_a_failed_handshake_is_described(err, expected):
    assert tls.handshake_problem(err) == expected
