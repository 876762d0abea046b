"""TLS settings: Mozilla's intermediate profile, as far as Python can say it."""

from __future__ import annotations

import ssl

#: Forward secret and authenticated ciphers only; TLS 1.3 has no others.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsError(Exception):
    """The certificate or its key cannot be used; the words say which and why."""


def make_ssl_context(certificate: str, key: str | None = None) -> ssl.SSLContext:
    """A server's context; ``key`` None means that it stands in the certificate's file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= (ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
                        | ssl.OP_CIPHER_SERVER_PREFERENCE)
    context.set_alpn_protocols(["http/1.1"])
    for path in (certificate, key or certificate):
        try:
            with open(path, "rb"):
                pass
        except OSError as err:
            raise TlsError(f"cannot read {path}: {err.strerror}") from None
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, ValueError) as err:
        reason = getattr(err, "reason", None) or str(err)
        raise TlsError(f"certificate {certificate} and key {key or certificate} "
                       f"cannot be used: {reason}") from None
    return context
