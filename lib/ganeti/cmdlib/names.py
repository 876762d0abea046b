"""Questions to the resolver and the network about an instance's name.

They are asked only if the request wants them: ``name_check``, ``ip_check``.
"""

from __future__ import annotations

import socket

from ganeti import errors, ht
from ganeti.constants import ErrorCode

#: The port that Ganeti connects to in order to see whether an address is in use (its node
#: daemon's). A machine that refuses the connection uses the address as well.
PROBE_PORT = 1811
PROBE_TIMEOUT = 10.0


def normalize(name: str) -> str:
    """Return the stored form of a name (``ht.stored_name``); ``OpPrereqError`` if invalid."""
    stored = ht.stored_name(name)
    if not ht.is_host_name(stored):
        raise errors.OpPrereqError(f"{ht.shorten(name)} is not a valid host name", ErrorCode.INVAL)
    return stored


def resolve(name: str) -> tuple[str, str]:
    """Return full name and address; ``OpPrereqError`` if there is no address.

    ``OpPrereqError`` also if the name is an alias, whose full name begins differently.
    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except OSError as err:
        raise errors.OpPrereqError(
            f"The name '{name}' cannot be resolved: {err.strerror or err}", ErrorCode.RESOLVER
        ) from err
    full = (found[0][3] or name).lower()
    if full != name and not full.startswith(name + "."):
        raise errors.OpPrereqError(
            f"The name '{name}' resolves to a different name, '{full}'", ErrorCode.INVAL
        )
    return full, str(found[0][4][0])


def is_taken(address: str) -> bool:
    """Return whether a machine answers at this address within ``PROBE_TIMEOUT``."""
    try:
        socket.create_connection((address, PROBE_PORT), PROBE_TIMEOUT).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
