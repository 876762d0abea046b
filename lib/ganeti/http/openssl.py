"""OpenSSL's configuration for this process.

Python 3.11 can set only one group for key exchange; otherwise it offers all of OpenSSL's defaults,
among them P-521, X448 and finite fields, which no recommendation includes. OpenSSL takes a list of
groups from the file that OPENSSL_CONF names. It reads that file once: OpenSSL 3.0 when Python
imports ``ssl``, OpenSSL 3.5 when the first context is made. So we name our file before both, and
remove the variable after both, because child processes have other needs.

Minimum version and security level are those of Debian's file, which ours replaces. If an
administrator sets OPENSSL_CONF (for a FIPS provider, say), we do not use ours.
"""

from __future__ import annotations

import os

#: Groups that every release of OpenSSL has.
GROUPS = "X25519:P-256:P-384"
#: Hybrid of ML-KEM-768 and X25519, which browsers prefer. The question mark makes it optional: a
#: build without ML-KEM, or a FIPS provider, would otherwise reject the whole list and offer all.
HYBRID = "?X25519MLKEM768"
#: First release that has the hybrid. OpenSSL before 3.3 does not understand the question mark.
HYBRID_SINCE = (3, 5)

_VARIABLE = "OPENSSL_CONF"
_TEXT = """\
openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = ours
[ours]
MinProtocol = TLSv1.2
CipherString = DEFAULT:@SECLEVEL=2
Groups = {groups}
"""


def groups(version: tuple[int, ...]) -> str:
    """Return the ``Groups`` setting (SSL_CONF_cmd(3)) for this version, the preferred first."""
    return f"{HYBRID}:{GROUPS}" if version >= HYBRID_SINCE else GROUPS


def load() -> None:
    """Make OpenSSL read our configuration. Call this before anything imports ``ssl``."""
    if _VARIABLE in os.environ:
        return
    # Importing only the extension module does not make OpenSSL read its configuration.
    import _ssl

    text = _TEXT.format(groups=groups(_ssl.OPENSSL_VERSION_INFO))
    fd = os.memfd_create("openssl.cnf", os.MFD_CLOEXEC)
    try:
        os.write(fd, text.encode("ascii"))
        os.environ[_VARIABLE] = f"/proc/self/fd/{fd}"
        import ssl

        # The first context: OpenSSL 3.5 reads the file here.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    finally:
        os.environ.pop(_VARIABLE, None)
        os.close(fd)
