"""OpenSSL's own configuration, for this process alone.

Python 3.11 can choose one curve for key exchange, and none means all, two of
which no recommendation has (secp521r1, X448). OpenSSL itself reads a list from the
file that OPENSSL_CONF names, once, when Python first loads it. So ours is named
before that, and taken away afterwards: children have other needs.

Minimum version and security level are those of Debian's file, which ours replaces.
Whoever needs another one (with FIPS providers, say) sets OPENSSL_CONF, and is left alone.
"""

from __future__ import annotations

import os

GROUPS = "X25519:P-256:P-384"
_VARIABLE = "OPENSSL_CONF"
_TEXT = f"""\
openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = ours
[ours]
MinProtocol = TLSv1.2
CipherString = DEFAULT:@SECLEVEL=2
Groups = {GROUPS}
"""


def load() -> None:
    """Have OpenSSL loaded with our configuration; too late once ``ssl`` was imported."""
    if _VARIABLE in os.environ:
        return
    fd = os.memfd_create("openssl.cnf", os.MFD_CLOEXEC)
    try:
        os.write(fd, _TEXT.encode("ascii"))
        os.environ[_VARIABLE] = f"/proc/self/fd/{fd}"
        import ssl as _  # noqa: F401 (loading it is the point)
    finally:
        os.environ.pop(_VARIABLE, None)
        os.close(fd)
