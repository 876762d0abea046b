"""What we agree to speak with a client, and the certificate that we show.

Mozilla's intermediate profile or better: TLS 1.2 and 1.3, forward secrecy and
authenticated encryption only, no renegotiation (CVE-2015-7944 was that, in
Ganeti's own server), no compression, no session tickets (their key would live
as long as the process does).
"""

from __future__ import annotations

import os
import ssl

#: The suites of TLS 1.2; those of 1.3 are all fine.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsError(Exception):
    """Certificate or key cannot be used; the text says which file, and why."""


def make_ssl_context(cert: str, key: str | None = None) -> ssl.SSLContext:
    """A server's context from PEM files; ``key`` defaults to the certificate's own file.

    The certificate's file may hold the chain, too. Raises ``TlsError``.
    """
    key = key or cert
    for path, what in ((cert, "certificate"), (key, "key")):
        _check_readable(path, what)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= (ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
                        | ssl.OP_CIPHER_SERVER_PREFERENCE)
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except _Encrypted:
        raise TlsError(f"The key in {key} is encrypted; a daemon cannot be asked for its "
                       "password") from None
    except ssl.SSLError as err:
        raise TlsError(_explain(cert, key, err)) from None
    except OSError as err:
        raise TlsError(f"Cannot read {cert} or {key}: {err.strerror}") from None
    return context


class _Encrypted(Exception):
    """OpenSSL wants a password."""


def _no_password() -> str:
    # Without this function OpenSSL would ask on the terminal and wait.
    raise _Encrypted


def _check_readable(path: str, what: str) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as err:
        raise TlsError(f"Cannot read the {what} {path}: {err.strerror}") from None


def _explain(cert: str, key: str, err: ssl.SSLError) -> str:
    if err.reason == "KEY_VALUES_MISMATCH":
        return f"The key in {key} does not belong to the certificate in {cert}"
    if cert == key:
        return f"{cert} does not hold a certificate and its key as PEM text"
    return f"{cert} or {key} is not PEM text with a certificate or a key ({err.reason or err})"
