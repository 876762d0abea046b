"""TLS: protocols and ciphers, the client's first message, and a transport that does not block.

Protocols and ciphers are at least as strict as Mozilla's intermediate profile: TLS 1.2 and 1.3,
forward secrecy and authenticated encryption only, no renegotiation (CVE-2015-7944, in Ganeti's
own server), no compression, and no session tickets, whose key would live as long as the process.

The ClientHello. If a server supports none of the protocols that a client offers, it must end the
handshake and say so (ALPN, RFC 7301, 3.2). Otherwise an attacker who redirects connections can
make a client of one protocol talk to a server of another (the ALPACA attack, 2021). OpenSSL
can do that, but Python's ``ssl`` makes it continue without a protocol, and does not tell what was
offered. So we read the offer ourselves.

The transport. ``ssl.SSLSocket`` reads until a record contains data. A client can send records
without data (KeyUpdate, RFC 8446, 4.6.3) as fast as they are read, so that a single call lasts
as long as the client likes while all others wait. So we receive from the socket ourselves, and
give OpenSSL at most ``RECEIVE_SIZE`` bytes a call. After ``MAX_SILENT`` bytes without data the
connection is closed. A method that cannot finish now raises what the ``ssl`` module does:
``SSLWantReadError`` and ``SSLWantWriteError`` ask to be called again when the socket is ready to
be read or written.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import stat
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from typing import TypeVar

from ganeti.utils.text import USER_NAME, describe_os_error

# -- the ClientHello -------------------------------------------------------------------


#: Type of a record (RFC 8446, 5.1), of a message (4) and of an extension (4.2).
_HANDSHAKE, _CLIENT_HELLO, _ALPN = 22, 1, 16
#: Bytes before a record's content: type, version and length.
RECORD_HEADER = 5


class _ClientHelloReader:
    """Reader of the fields of a message; raises ``ValueError`` at a premature end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def read(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        end = self._position + count
        if end > len(self._data):
            raise ValueError("the message is cut off")
        found, self._position = self._data[self._position : end], end
        return found

    def number(self, size: int) -> int:
        """Return the next number, of ``size`` bytes."""
        return int.from_bytes(self.read(size), "big")

    def vector(self, size: int) -> bytes:
        """Return the next vector: its length, a number of ``size`` bytes, comes before it."""
        return self.read(self.number(size))


def client_hello_is_complete(data: bytes) -> bool:
    """Return whether the data contains the whole first record."""
    if len(data) < RECORD_HEADER:
        return False
    return len(data) >= RECORD_HEADER + int.from_bytes(data[3:RECORD_HEADER], "big")


def read_client_hello(data: bytes) -> list[bytes] | None:
    """Return the protocols (ALPN) that a ClientHello in one record offers (RFC 8446, 4.1.2).

    Return None if it offers none, or if the data is anything else: OpenSSL will judge that.
    """
    try:
        record = _ClientHelloReader(data)
        if record.number(1) != _HANDSHAKE:
            return None
        record.read(2)
        message = _ClientHelloReader(record.vector(2))
        if message.number(1) != _CLIENT_HELLO:
            return None
        hello = _ClientHelloReader(message.vector(3))
        hello.read(2 + 32)  # version, random
        for size in (1, 2, 1):  # session id, cipher suites, compression methods
            hello.vector(size)
        extensions = _ClientHelloReader(hello.vector(2))
        while extensions:
            kind, body = extensions.number(2), extensions.vector(2)
            if kind == _ALPN:
                return _protocol_names(_ClientHelloReader(_ClientHelloReader(body).vector(2)))
    except ValueError:
        pass
    return None


def _protocol_names(names: _ClientHelloReader) -> list[bytes]:
    found = []
    while names:
        found.append(names.vector(1))
    return found


# -- the context: certificate, protocols, clients --------------------------------------


#: Cipher suites of TLS 1.2; those of 1.3 are all fine.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
#: Protocols that we support within TLS, as ALPN names them.
PROTOCOLS = ("http/1.1", "http/1.0")

_VERIFY_ERROR = re.compile(r"error \d+ at \d+ depth lookup: ?(.*)")
#: OpenSSL's reason why its security level forbids a certificate -> ours.
_WEAK = {
    "EE_KEY_TOO_SMALL": "its key is too short",
    "CA_KEY_TOO_SMALL": "a key is too short",
    "CA_MD_TOO_WEAK": "it was signed with a digest that is broken",
}
#: OpenSSL's reason why a handshake failed -> ours.
_FAILED = {
    "WRONG_VERSION_NUMBER": "unknown protocol (not TLS)",
    "UNKNOWN_PROTOCOL": "unknown protocol (not TLS)",
    "NO_SHARED_CIPHER": "no shared cipher",
    "NO_SHARED_GROUPS": "no shared key exchange group",
    "NO_SUITABLE_KEY_SHARE": "no shared key exchange group",
    "NO_SHARED_SIGNATURE_ALGORITHMS": "no shared signature algorithm",
    "UNSUPPORTED_PROTOCOL": "no shared TLS version (1.2 and 1.3 are offered)",
    "VERSION_TOO_LOW": "no shared TLS version (1.2 and 1.3 are offered)",
    "UNEXPECTED_EOF_WHILE_READING": "closed during the handshake",
}
#: OpenSSL's reason if the client sent an alert.
_ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_ALERT_([A-Z0-9_]+)")
#: Alerts about our certificate.
_ABOUT_US = frozenset(
    {
        "BAD_CERTIFICATE",
        "CERTIFICATE_EXPIRED",
        "CERTIFICATE_REVOKED",
        "CERTIFICATE_UNKNOWN",
        "UNKNOWN_CA",
        "UNSUPPORTED_CERTIFICATE",
    }
)


class TlsError(Exception):
    """A certificate or key cannot be used; the text names the file and the reason."""


def make_ssl_context(
    cert: str,
    key: str | None = None,
    *,
    chain: str | None = None,
    client_ca: str | None = None,
    client_crl: str | None = None,
) -> ssl.SSLContext:
    """Return a server's context made from PEM files; raises ``TlsError``.

    ``key`` defaults to the file ``cert``. Intermediate certificates may follow the certificate in
    ``cert``, or be in ``chain``. With ``client_ca`` clients may show a certificate, and one that
    these authorities did not sign, or have revoked, ends the handshake. CRLs may be in the same
    file or in ``client_crl``.
    """
    key = key or cert
    for path, what in (
        (cert, "certificate"),
        (key, "key"),
        (chain, "chain"),
        (client_ca, "clients' authority"),
        (client_crl, "clients' CRL"),
    ):
        if path is not None:
            _check_readable(path, what)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= (
        ssl.OP_NO_RENEGOTIATION
        | ssl.OP_NO_COMPRESSION
        | ssl.OP_NO_TICKET
        | ssl.OP_CIPHER_SERVER_PREFERENCE
    )
    context.num_tickets = 0
    context.set_alpn_protocols(PROTOCOLS)
    try:
        context.load_cert_chain(cert, key, password=_no_password)
        if chain is not None:
            _load_with_chain(context, cert, key, chain)
    except _Encrypted as err:
        raise TlsError(
            f"The key in {key} is encrypted; a daemon cannot ask for its password"
        ) from err
    except ssl.SSLError as err:
        raise TlsError(_explain(cert, key, err)) from err
    except OSError as err:
        raise TlsError(f"Cannot load {cert} and {key}: {describe_os_error(err)}") from err
    if client_ca is not None:
        _request_client_certificates(context, client_ca, client_crl)
    return context


def _load_with_chain(context: ssl.SSLContext, cert: str, key: str, chain: str) -> None:
    """Load a certificate followed by its chain, which OpenSSL reads from one file only."""
    problem = verify(cert, chain)
    if problem:
        raise TlsError(f"The chain {chain} does not lead to the certificate {cert}: {problem}")
    with tempfile.NamedTemporaryFile(prefix="ganeti-rapi-chain-") as both:
        for path in (cert, chain):
            with open(path, "rb") as file:
                both.write(file.read() + b"\n")
        both.flush()
        context.load_cert_chain(both.name, key, password=_no_password)


def _request_client_certificates(
    context: ssl.SSLContext, client_ca: str, client_crl: str | None
) -> None:
    """Let clients show certificates of these authorities; raises ``TlsError``."""
    _load_trusted(context, client_ca, "certificates of authorities")
    if not context.cert_store_stats()["x509"]:
        raise TlsError(f"{client_ca} contains a CRL, but no certificates of authorities")
    if client_crl is not None:
        before = context.cert_store_stats()
        _load_trusted(context, client_crl, "CRL", " (openssl crl -inform DER converts it)")
        after = context.cert_store_stats()
        if after["x509"] > before["x509"]:
            raise TlsError(
                f"{client_crl} contains certificates, which --ssl-client-crl must not "
                "add: put authorities into the file of --ssl-client-ca"
            )
    # With this flag OpenSSL needs the CRL of each client certificate's authority; without any CRL
    # it would refuse all clients.
    if context.cert_store_stats()["crl"]:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    context.verify_mode = ssl.CERT_OPTIONAL


def _load_trusted(context: ssl.SSLContext, path: str, what: str, cure: str = "") -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as err:
        raise TlsError(f"{path} contains no {what} in PEM{cure} ({err.reason or err})") from err
    except OSError as err:
        raise TlsError(f"Cannot read {path}: {describe_os_error(err)}") from err


def verify(cert: str, trusted: str) -> str:
    """Return why ``openssl verify`` rejects a certificate now if those in ``trusted`` are trusted.

    Return '' if it accepts the certificate, or if the program is missing. For a certificate that
    is itself in ``trusted``, only the time of its validity is checked.
    """
    try:
        done = subprocess.run(
            ["openssl", "verify", "-partial_chain", "-trusted", trusted, cert],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if done.returncode == 0:
        return ""
    found = _VERIFY_ERROR.search(done.stderr + done.stdout)
    return "it is not accepted" if found is None else found[1].strip()


def handshake_problem(err: OSError) -> str:
    """Return why a handshake failed, for a log line."""
    if isinstance(err, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {err.verify_message}"
    if isinstance(err, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)):
        return "closed during the handshake"
    if not isinstance(err, ssl.SSLError):
        return describe_os_error(err)
    reason = getattr(err, "reason", None)
    if not reason:
        return str(err.args[-1])  # one that we raised has nothing but its text
    alert = _ALERT.fullmatch(reason)
    if alert is None:
        return _FAILED.get(reason, _readable(reason))
    about = "our certificate" if alert[1] in _ABOUT_US else "the handshake"
    return f"the client rejected {about}: {_readable(alert[1])}"


def _readable(reason: str) -> str:
    return reason.lower().replace("_", " ").replace("unknown ca", "unknown authority")


def is_exposed(key: str) -> bool:
    """Return whether the file's mode lets every user of this machine read it."""
    try:
        return bool(os.stat(key).st_mode & stat.S_IROTH)
    except OSError:
        return False  # removed since it was loaded


def common_names(certificate: Mapping[str, object]) -> list[str]:
    """Return the subject's common names in a certificate as ``getpeercert`` returns it."""
    subject = certificate.get("subject", ())
    if not isinstance(subject, tuple):
        return []
    return [str(value) for part in subject for kind, value in part if kind == "commonName"]


def user_name(certificate: Mapping[str, object] | None) -> str:
    """Return the only common name of a verified certificate.

    Return '' if there is none or more than one, or if no user can have that name.
    """
    names = common_names(certificate or {})
    return names[0] if len(names) == 1 and USER_NAME.fullmatch(names[0]) else ""


def peer_name(connection: ssl.SSLObject) -> str:
    """Return the user named by a client's verified certificate; '' if there is none."""
    try:
        return user_name(connection.getpeercert())
    except ValueError:
        # An authority may sign names that are not text, and Python cannot decode such a
        # certificate at all.
        return ""


class _Encrypted(Exception):
    """OpenSSL asked for a password."""


def _no_password() -> str:
    # Without this callback OpenSSL would ask on the terminal and wait.
    raise _Encrypted


def _check_readable(path: str, what: str) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as err:
        raise TlsError(f"Cannot read the {what} {path}: {err.strerror}") from err
    is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
    os.close(fd)
    if is_directory:
        raise TlsError(f"Cannot read the {what} {path}: Is a directory")


def _explain(cert: str, key: str, err: ssl.SSLError) -> str:
    if err.reason == "KEY_VALUES_MISMATCH":
        return f"The key in {key} does not belong to the certificate in {cert}"
    if err.reason in _WEAK:
        return (
            f"The certificate in {cert} is too weak for OpenSSL here: {_WEAK[err.reason]} "
            f"({err.reason})"
        )
    if cert == key:
        return f"{cert} does not contain a certificate and its key in PEM"
    return f"{cert} or {key} is not a certificate or key in PEM ({err.reason or err})"


# -- the transport ---------------------------------------------------------------------


#: Bytes that OpenSSL gets at a time: at most some 300 KeyUpdates, which take about 5 ms.
RECEIVE_SIZE = 8 * 1024
#: Bytes without data that a client may send in a row. A record has at most 16 KiB and a little
#: more, and no client changes keys more often than once in millions of records.
MAX_SILENT = 32 * 1024
#: Bytes of data in a record that we send. A record is in memory twice until the socket takes it,
#: which adds up with many slow clients; smaller ones would cost more processor time.
RECORD = 8 * 1024

#: Record with a fatal alert, no_application_protocol (RFC 7301, 3.2).
NO_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"
_PROTOCOLS = frozenset(name.encode("ascii") for name in PROTOCOLS)

#: First bytes of requests without TLS, in capitals; no TLS record begins so. Five bytes at most,
#: since OpenSSL judges those.
_HTTP = (
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELET",
    b"OPTIO",
    b"PATCH",
    b"CONNE",
    b"TRACE",
    b"PRI *",
)

#: Raised by a socket that has nothing to read, or takes no more.
NOT_NOW = (BlockingIOError, InterruptedError)

T = TypeVar("T")


class PlainHttp(ssl.SSLError):
    """The client sent HTTP without TLS; nothing has been sent to it yet."""


class TlsTransport:
    """Server side of a TLS connection over ``sock``, which the caller closes."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._handshake_done = False
        #: The client has sent something.
        self.received_any = False
        #: The part of the client's first record that has arrived; None once it was checked.
        self._first_record: bytes | None = b""
        #: Bytes received since there was data.
        self._bytes_without_data = 0
        #: Bytes that the socket did not accept.
        self._unsent = b""
        #: Bytes of data that OpenSSL has accepted, but ``send`` has not yet reported.
        self._accepted = 0

    @property
    def pending(self) -> bool:
        """Return whether bytes were taken from the socket that ``recv`` has not returned.

        The selector does not see them, so nothing else would make the caller read on.
        """
        return self._incoming.pending > 0 or self._tls.pending() > 0

    def peer_name(self) -> str:
        """Return the user named by the client's certificate; '' if there is none."""
        return peer_name(self._tls)

    def continue_handshake(self) -> None:
        """Continue the handshake; it is complete when this returns."""
        if not self._handshake_done:
            self._run_reading(self._tls.do_handshake)
            self._handshake_done, self._bytes_without_data = True, 0
        self._flush()

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes of data; b'' at the end."""
        try:
            data = self._run_reading(lambda: self._tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""  # close_notify is not needed, since HTTP messages mark their end
        self._bytes_without_data = 0
        return data

    def send(self, data: memoryview) -> int:
        """Send some of the data; return the number of bytes sent.

        After ``SSLWantWriteError`` the next call must pass the same data again.
        """
        if not self._accepted:
            self._flush()
            self._accepted = self._tls.write(data[:RECORD])
        self._flush()
        taken, self._accepted = self._accepted, 0
        return taken

    def send_close_notify(self) -> None:
        """Send close_notify unless the socket would block."""
        for step in (self._tls.unwrap, self._flush):
            # unwrap raises SSLWantReadError, as it waits for the client's close_notify. We do not.
            with contextlib.suppress(OSError):
                step()

    def _run_reading(self, step: Callable[[], T]) -> T:
        """Run a step of OpenSSL that reads, after receiving at most ``RECEIVE_SIZE`` bytes."""
        self._flush()
        if not self.pending:
            self._receive()
        try:
            return step()
        except ssl.SSLWantReadError:
            self._flush()
            raise
        except ssl.SSLError:
            with contextlib.suppress(OSError):
                self._flush()  # sends the alert
            raise

    def _receive(self) -> None:
        try:
            piece = self._sock.recv(RECEIVE_SIZE)
        except NOT_NOW:
            raise ssl.SSLWantReadError from None
        if not piece:
            self._incoming.write_eof()
            return
        self.received_any = True
        self._bytes_without_data += len(piece)
        if self._handshake_done and self._bytes_without_data > MAX_SILENT:
            raise ssl.SSLError(
                f"{self._bytes_without_data} bytes received without any data in them"
            )
        if self._first_record is not None:
            self._check_first_record(self._first_record + piece)
        self._incoming.write(piece)

    def _check_first_record(self, first: bytes) -> None:
        """Raise ``SSLError`` for plain HTTP, and for a client that offers no protocol of ours."""
        if first[:5].upper().startswith(_HTTP):
            raise PlainHttp("plain HTTP on a port for HTTPS")
        if not client_hello_is_complete(first):
            self._first_record = first
            return
        self._first_record = None
        offered = read_client_hello(first)
        if offered is not None and _PROTOCOLS.isdisjoint(offered):
            self._unsent += NO_PROTOCOL
            with contextlib.suppress(OSError):
                self._flush()
            raise ssl.SSLError("no shared protocol (ALPN); http/1.1 is offered")

    def _flush(self) -> None:
        data = self._unsent
        if self._outgoing.pending:
            data += self._outgoing.read()
        while data:
            try:
                data = data[self._sock.send(data) :]
            except NOT_NOW:
                self._unsent = data
                raise ssl.SSLWantWriteError from None
        self._unsent = b""
