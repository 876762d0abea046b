"""OpenSSL's own configuration, for this process alone.

Python 3.11 can choose one group for key exchange, and otherwise offers whatever OpenSSL
does: P-521, X448 and finite fields among them, which no recommendation has. OpenSSL reads
a list from the file that OPENSSL_CONF names, once: with OpenSSL 3.0 when Python imports
``ssl``, with 3.5 when the first context is made. So ours is named before both, and taken
away after both, because children have other needs.

Minimum version and security level are those of Debian's file, which ours replaces. An
administrator who needs other settings (FIPS providers, say) sets OPENSSL_CONF, and ours is
not used.
"""

from __future__ import annotations

import os

#: What every release of OpenSSL has.
GROUPS = "X25519:P-256:P-384"
#: The hybrid of ML-KEM-768 and X25519, which browsers prefer.
#: The question mark makes it optional: a build without ML-KEM, or a FIPS provider, takes the
#: other groups instead of refusing the list and offering everything.
HYBRID = "?X25519MLKEM768"
#: The first release that has it. OpenSSL before 3.3 does not understand the question mark.
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
    """Return the groups for OpenSSL of this version, the preferred one first, in the form of
    the ``Groups`` setting of SSL_CONF_cmd(3)."""
    return f"{HYBRID}:{GROUPS}" if version >= HYBRID_SINCE else GROUPS


def load() -> None:
    """Have OpenSSL read our configuration; too late once ``ssl`` was imported."""
    if _VARIABLE in os.environ:
        return
    # Importing the extension module alone does not have OpenSSL read its configuration.
    import _ssl

    text = _TEXT.format(groups=groups(_ssl.OPENSSL_VERSION_INFO))
    fd = os.memfd_create("openssl.cnf", os.MFD_CLOEXEC)
    try:
        os.write(fd, text.encode("ascii"))
        os.environ[_VARIABLE] = f"/proc/self/fd/{fd}"
        import ssl

        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    finally:
        os.environ.pop(_VARIABLE, None)
        os.close(fd)
