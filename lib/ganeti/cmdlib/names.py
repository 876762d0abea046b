"""Asks the resolver and the network about an instance's name, only on request."""

from __future__ import annotations

import socket

from ganeti import errors, ht
from ganeti.constants import ErrorCode

#: Where Ganeti knocks to see whether an address is taken (its node daemon's port):
#: a machine that refuses the connection is there as well as one that takes it.
PROBE_PORT = 1811
PROBE_TIMEOUT = 10.0


def normalize(name: str) -> str:
    """A name as it is stored (``ht.stored_name``); ``OpPrereqError`` for an invalid one."""
    stored = ht.stored_name(name)
    if not ht.is_host_name(stored):
        raise errors.OpPrereqError(f"{ht.shorten(name)} is not a valid host name", ErrorCode.INVAL)
    return stored


def resolve(name: str) -> tuple[str, str]:
    """Full name and address; ``OpPrereqError`` when there is none, or it is another's."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except OSError as err:
        raise errors.OpPrereqError(
            f"The name '{name}' cannot be resolved: {err.strerror or err}", ErrorCode.RESOLVER
        ) from err
    full = (found[0][3] or name).lower()
    if full != name and not full.startswith(name + "."):
        raise errors.OpPrereqError(
            f"The name '{name}' resolves to '{full}', another name", ErrorCode.INVAL
        )
    return full, str(found[0][4][0])


def is_taken(address: str) -> bool:
    """Does a machine answer at this address?"""
    try:
        socket.create_connection((address, PROBE_PORT), PROBE_TIMEOUT).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
