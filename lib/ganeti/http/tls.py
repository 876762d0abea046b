"""What we agree to speak with a client, and the certificate that we show.

Mozilla's intermediate profile or better: TLS 1.2 and 1.3, forward secrecy and
authenticated encryption only, no renegotiation (CVE-2015-7944 was that, in
Ganeti's own server), no compression, no session tickets (their key would live
as long as the process does).
"""

from __future__ import annotations

import os
import re
import ssl
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any

from ganeti.utils.text import describe_os_error

#: The suites of TLS 1.2; those of 1.3 are all fine.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
#: What we speak within TLS (ALPN).
PROTOCOLS = ("http/1.1", "http/1.0")

_VERIFY_ERROR = re.compile(r"error \d+ at \d+ depth lookup: ?(.*)")
_NAME = re.compile(r"[A-Za-z0-9_.@+-]{1,128}", re.ASCII)
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
    """A server's context from PEM files; ``key`` defaults to the certificate's own file.

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
        _ask_clients(context, client_ca, client_crl)
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


def _ask_clients(context: ssl.SSLContext, client_ca: str, client_crl: str | None) -> None:
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
    found = _VERIFY_ERROR.search(done.stderr + done.stdout)
    return "" if done.returncode == 0 else found[1].strip() if found else "it is not accepted"


def handshake_problem(err: OSError) -> str:
    """Why a handshake failed, for a log line."""
    if isinstance(err, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {err.verify_message}"
    if isinstance(err, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)):
        return "closed in the handshake"
    reason = getattr(err, "reason", None)
    if not isinstance(err, ssl.SSLError) or not reason:
        # One that we raise ourselves has nothing but its text.
        return str(err.args[-1]) if isinstance(err, ssl.SSLError) else describe_os_error(err)
    alert = _ALERT.fullmatch(reason)
    if alert is None:
        return _FAILED.get(reason, _words(reason))
    about = "our certificate" if alert[1] in _ABOUT_US else "the handshake"
    return f"the client rejected {about}: {_words(alert[1])}"


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ").replace("unknown ca", "unknown authority")


def is_exposed(key: str) -> bool:
    """May every user of this machine read the file, as far as its own mode says?"""
    try:
        return bool(os.stat(key).st_mode & stat.S_IROTH)
    except OSError:
        return False  # gone since it was loaded


def common_name(certificate: Mapping[str, Any] | None) -> str:
    """The one common name of a verified certificate (as ``getpeercert`` gives it) that could
    be a user's; '' for none, several, or another."""
    pairs = [pair for part in (certificate or {}).get("subject", ()) for pair in part]
    names = [value for name, value in pairs if name == "commonName"]
    return names[0] if len(names) == 1 and _NAME.fullmatch(names[0]) else ""


def peer_name(connection: ssl.SSLObject) -> str:
    """Whom the certificate names that a client showed, and that was verified; '' for nobody.

    An authority may sign names that are no text. Python raises ``UnicodeDecodeError`` for
    those, wherever in the certificate they stand.
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
