"""TLS: what we agree to speak, the client's first bytes, and a transport that does not block.

Protocol and ciphers are Mozilla's intermediate profile or better: TLS 1.2 and 1.3, forward
secrecy and authenticated encryption only, no renegotiation (CVE-2015-7944 was that, in
Ganeti's own server), no compression, no session tickets (their key would live as long as the
process does).

Theory of the ClientHello. A server that knows none of the protocols that a client offers must
end the handshake and say why (ALPN, RFC 7301, 3.2). Otherwise whoever can redirect connections
has a client of one protocol talk to a server of another (the ALPACA attack, 2021). OpenSSL
would do so; Python's ``ssl`` has it go on without a protocol instead, and does not tell what
was offered. So we read the offer ourselves.

Theory of the transport. ``ssl.SSLSocket`` reads until some record holds data for us. A client
can send records that hold none (RFC 8446, 4.6.3: the KeyUpdate) as fast as they are read, and
a single call then lasts as long as that client likes, while everybody else waits. So we
receive, and OpenSSL gets what we received: at most ``RECEIVE_SIZE`` bytes for a call. A client
that has sent ``MAX_SILENT`` bytes and no data in them has nothing to say. What a method cannot
do now it says as the ``ssl`` module does: ``SSLWantReadError`` and ``SSLWantWriteError`` ask
to be called again when the socket is ready for that.
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
from typing import Any, TypeVar

from ganeti.utils.text import USER_NAME, describe_os_error

# -- the ClientHello -------------------------------------------------------------------


_HANDSHAKE, _CLIENT_HELLO, _ALPN = 22, 1, 16
#: Type, version and length of a record.
HELLO_HEADER = 5


class _ClientHelloReader:
    """Reads fields of a message in order; raises ``ValueError`` where one ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def read(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        end = self._position + count
        if end > len(self._data):
            raise ValueError("the message ends too early")
        found, self._position = self._data[self._position : end], end
        return found

    def number(self, size: int) -> int:
        """Return a number of ``size`` bytes."""
        return int.from_bytes(self.read(size), "big")

    def vector(self, size: int) -> bytes:
        """Return the bytes that follow their length, a number of ``size`` bytes."""
        return self.read(self.number(size))


def client_hello_is_complete(data: bytes) -> bool:
    """Return whether the first record is complete."""
    if len(data) < HELLO_HEADER:
        return False
    return len(data) >= HELLO_HEADER + int.from_bytes(data[3:HELLO_HEADER], "big")


def read_client_hello(data: bytes) -> list[bytes] | None:
    """Return the protocols that a ClientHello (RFC 8446, 4.1.2) in one record offers.

    None if it offers none, or if the bytes are something else, which OpenSSL judges.
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
        for size in (1, 2, 1):  # session, suites, compression
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


#: The suites of TLS 1.2; those of 1.3 are all fine.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
#: What we speak within TLS (ALPN).
PROTOCOLS = ("http/1.1", "http/1.0")

_VERIFY_ERROR = re.compile(r"error \d+ at \d+ depth lookup: ?(.*)")
#: What OpenSSL's security level forbids, in OpenSSL's words and in ours.
_WEAK = {
    "EE_KEY_TOO_SMALL": "its key is too short",
    "CA_KEY_TOO_SMALL": "a key is too short",
    "CA_MD_TOO_WEAK": "it was signed with a digest that is broken",
}
#: Why a handshake fails, in OpenSSL's words and in ours.
_FAILED = {
    "WRONG_VERSION_NUMBER": "unknown protocol (not TLS)",
    "UNKNOWN_PROTOCOL": "unknown protocol (not TLS)",
    "NO_SHARED_CIPHER": "no shared cipher",
    "NO_SHARED_GROUPS": "no shared key exchange group",
    "NO_SUITABLE_KEY_SHARE": "no shared key exchange group",
    "NO_SHARED_SIGNATURE_ALGORITHMS": "no shared signature algorithm",
    "UNSUPPORTED_PROTOCOL": "no shared TLS version (1.2 and 1.3 are offered)",
    "VERSION_TOO_LOW": "no shared TLS version (1.2 and 1.3 are offered)",
    "UNEXPECTED_EOF_WHILE_READING": "closed in the handshake",
}
#: OpenSSL's names of the alerts by which a client refuses.
_ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_ALERT_([A-Z0-9_]+)")
#: Those that are about our certificate.
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
    """Certificate or key cannot be used; the text says which file, and why."""


def make_ssl_context(
    cert: str,
    key: str | None = None,
    *,
    chain: str | None = None,
    client_ca: str | None = None,
    client_crl: str | None = None,
) -> ssl.SSLContext:
    """Return a server's context from PEM files; ``key`` defaults to the certificate's own file.

    The certificate's file may hold the certificates that lead to its authority, too, or
    ``chain`` does. With ``client_ca`` clients may show a certificate, and one that these
    authorities have not signed, or have revoked, ends the handshake: CRLs may stand in the same
    file or in ``client_crl``. Raises ``TlsError``.
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
    except _Encrypted:
        raise TlsError(
            f"The key in {key} is encrypted; a daemon cannot be asked for its password"
        ) from None
    except ssl.SSLError as err:
        raise TlsError(_explain(cert, key, err)) from None
    except OSError as err:
        raise TlsError(f"Cannot load {cert} and {key}: {describe_os_error(err)}") from None
    if client_ca is not None:
        _request_client_certificates(context, client_ca, client_crl)
    return context


def _load_with_chain(context: ssl.SSLContext, cert: str, key: str, chain: str) -> None:
    """OpenSSL takes a certificate and its chain from one file only."""
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
    """Ask for certificates of these authorities. As soon as there is any CRL, OpenSSL wants the
    one of each certificate's own authority."""
    _load_trusted(context, client_ca, "certificates of authorities")
    if not context.cert_store_stats()["x509"]:
        raise TlsError(f"{client_ca} holds a CRL, and no certificates of authorities")
    if client_crl is not None:
        before = context.cert_store_stats()
        _load_trusted(context, client_crl, "CRL", " (openssl crl -inform DER makes it of another)")
        after = context.cert_store_stats()
        if after["x509"] > before["x509"]:
            raise TlsError(
                f"{client_crl} holds certificates, which --ssl-client-crl must not "
                "add: authorities belong into the file of --ssl-client-ca"
            )
    if context.cert_store_stats()["crl"]:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    context.verify_mode = ssl.CERT_OPTIONAL


def _load_trusted(context: ssl.SSLContext, path: str, what: str, cure: str = "") -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as err:
        raise TlsError(f"{path} holds no {what} as PEM text{cure} ({err.reason or err})") from None
    except OSError as err:
        raise TlsError(f"Cannot read {path}: {describe_os_error(err)}") from None


def verify(cert: str, trusted: str) -> str:
    """Why ``openssl verify`` does not accept a certificate now if these are trusted: '' when it
    does, or where that program is missing. A certificate that trusts itself is only asked
    whether it is valid at this time."""
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
        return "closed in the handshake"
    if not isinstance(err, ssl.SSLError):
        return describe_os_error(err)
    reason = getattr(err, "reason", None)
    if not reason:
        return str(err.args[-1])  # one that we raise ourselves has nothing but its text
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
        return False  # gone since it was loaded


def common_name(certificate: Mapping[str, Any] | None) -> str:
    """Return the one common name of a verified certificate (from ``getpeercert``) that could
    be a user's; '' for none, several, or another."""
    pairs = [pair for part in (certificate or {}).get("subject", ()) for pair in part]
    names = [value for name, value in pairs if name == "commonName"]
    return names[0] if len(names) == 1 and USER_NAME.fullmatch(names[0]) else ""


def peer_name(connection: ssl.SSLObject) -> str:
    """Return the user whom a client's verified certificate names; '' for nobody.

    An authority may sign names that are not text. Python raises ``UnicodeDecodeError`` for
    those, wherever in the certificate they are.
    """
    try:
        return common_name(connection.getpeercert())
    except ValueError:
        return ""


class _Encrypted(Exception):
    """OpenSSL wants a password."""


def _no_password() -> str:
    # Without this function OpenSSL would ask on the terminal and wait.
    raise _Encrypted


def _check_readable(path: str, what: str) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as err:
        raise TlsError(f"Cannot read the {what} {path}: {err.strerror}") from None
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
        return f"{cert} does not hold a certificate and its key as PEM text"
    return f"{cert} or {key} is not PEM text with a certificate or a key ({err.reason or err})"


# -- the transport ---------------------------------------------------------------------


#: Bytes for OpenSSL at a time: some 300 KeyUpdates, which take about 5 ms.
RECEIVE_SIZE = 8 * 1024
#: Bytes without data that a client may send in a row. A record has 16 KiB and some, and
#: nobody changes keys more than once for millions of records.
MAX_SILENT = 32 * 1024
#: Bytes that become one record, at most. It is kept twice until the socket takes it, and
#: clients that read slowly are many; smaller ones would take the processor longer.
RECORD = 8 * 1024

#: A fatal alert: no_application_protocol (RFC 7301, 3.2).
NO_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"
_PROTOCOLS = frozenset(name.encode("ascii") for name in PROTOCOLS)

#: How requests begin, in any case; a TLS record never does. OpenSSL judges the first five bytes.
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
    """The client speaks HTTP without TLS; nothing has been sent to it yet."""


class TlsTransport:
    """The server's end of a TLS connection over ``sock``, whose owner closes it."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._handshake_done = False
        #: Has the client sent anything at all?
        self.received_any = False
        #: The client's first record, until all of it is here.
        self._first_record: bytes | None = b""
        self._bytes_without_data = 0  # bytes since there was data
        self._unsent = b""  # what the socket did not take
        self._accepted = 0  # bytes of data of which some may be in ``_unsent``

    @property
    def pending(self) -> bool:
        """Return whether anything was received that ``recv`` did not return, and the kernel no
        longer has."""
        return self._incoming.pending > 0 or self._tls.pending() > 0

    def peer_name(self) -> str:
        """Return the user whom the client's certificate names; '' for nobody."""
        return peer_name(self._tls)

    def continue_handshake(self) -> None:
        """Continue the handshake; it is complete when this returns."""
        if not self._handshake_done:
            self._run_reading(self._tls.do_handshake)
            self._handshake_done, self._bytes_without_data = True, 0
        self._flush()

    def recv(self, size: int) -> bytes:
        """Return data, at most a record's; b'' at the end."""
        try:
            data = self._run_reading(lambda: self._tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""  # also without close_notify: HTTP marks its own ends
        self._bytes_without_data = 0
        return data

    def send(self, data: memoryview) -> int:
        """Send some of the data; return how many bytes. After ``SSLWantWriteError`` the same data
        must be given again."""
        if not self._accepted:
            self._flush()
            self._accepted = self._tls.write(data[:RECORD])
        self._flush()
        taken, self._accepted = self._accepted, 0
        return taken

    def send_close_notify(self) -> None:
        """Send close_notify, if the socket takes it."""
        for step in (self._tls.unwrap, self._flush):
            with contextlib.suppress(OSError):  # OpenSSL would wait for the client's close_notify
                step()

    def _run_reading(self, step: Callable[[], T]) -> T:
        """Run a step of OpenSSL that reads, after giving it a piece of what was received."""
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
                self._flush()  # the alert that says why
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
            raise ssl.SSLError(f"{self._bytes_without_data} bytes have come, and no data in them")
        if self._first_record is not None:
            self._check_first_record(self._first_record + piece)
        self._incoming.write(piece)

    def _check_first_record(self, first: bytes) -> None:
        """End the handshake with a client that offers no protocol of ours."""
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
        data = self._unsent + self._outgoing.read() if self._outgoing.pending else self._unsent
        while data:
            try:
                data = data[self._sock.send(data) :]
            except NOT_NOW:
                self._unsent = data
                raise ssl.SSLWantWriteError from None
        self._unsent = b""
