"""Who is it (HTTP Basic against the users file), and what may they do.

A line of the file is ``name password [option,option...]``; ``#`` begins a
comment line. A password is clear text, ``{cleartext}text`` or ``{ha1}hex``, the
MD5 of ``name:realm:password`` (Ganeti's formats, ``lib/http/auth.py`` there).
An option is a right: ``write`` has them all, ``read`` is reading what is not
open anyway, any other is the right of that name.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ganeti.constants import HTTP_BASIC_REALM
from ganeti.http.errors import Unauthorized

READ, WRITE = "read", "write"

CHALLENGE = ("WWW-Authenticate", f'Basic realm="{HTTP_BASIC_REALM}"')

#: Two changes within one tick of the kernel's clock (1 to 10 ms) leave the same time stamp
#: behind. What was read sooner than this after a change is read again.
SETTLED_NS = 50_000_000

_SCHEME = re.compile(r"\{([^}]*)\}(.*)", re.DOTALL)
#: Nobody's password: what an unknown user's is compared with.
_NOBODY = "{cleartext}"


@dataclass(frozen=True)
class User:
    """Somebody who proved it, and their options, in small letters."""

    name: str
    options: frozenset[str] = frozenset()


def allows(user: User | None, access: str | None) -> bool:
    """May this user (None: somebody unknown) do what needs ``access``?

    '' or None is open to all; "read", "write" or a right such as "instances.startup".
    """
    if not access:
        return True
    if user is None:
        return False
    return WRITE in user.options or access in user.options


def denied(message: str | None = None) -> Unauthorized:
    """A 401 that says how to do better."""
    return Unauthorized(message, headers=[CHALLENGE])


def parse_basic(header: str | None) -> tuple[str, str]:
    """Name and password of an ``Authorization`` header (RFC 7617); raises ``Unauthorized``.

    UTF-8, or latin-1 where it is not: old clients do not say which they mean.
    """
    if not header:
        raise denied()
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        raise denied("Only HTTP Basic authentication is understood")
    rest = rest.strip(" ")
    try:
        data = binascii.a2b_base64(rest, strict_mode=True)
    except ValueError:                  # binascii.Error is one
        data = b""
    if not data or len(rest) % 4:       # strict as it is, it takes padding too many
        raise denied("Header Authorization is not Base64") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    name, colon, password = text.partition(":")
    if not colon:
        raise denied("Header Authorization holds no colon between name and password")
    return name, password


# -- passwords ------------------------------------------------------------------------

def ha1(name: str, password: str) -> str:
    """MD5 of name, realm and password, in hexadecimal: what ``{ha1}`` stores (RFC 7616)."""
    text = f"{name}:{HTTP_BASIC_REALM}:{password}".encode("utf-8", "surrogateescape")
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def verify(name: str, password: str, stored: str) -> bool:
    """Does the password fit what the file has? Takes the same time whatever the answer is."""
    found = _SCHEME.fullmatch(stored)
    scheme, secret = (found[1].lower(), found[2]) if found else ("cleartext", stored)
    # Both are worked out for every scheme: the time tells nothing about the file.
    digest = ha1(name, password)
    same_text = hmac.compare_digest(_digest(password), _digest(secret))
    same_digest = hmac.compare_digest(_digest(digest), _digest(secret.lower()))
    return {"cleartext": same_text, "ha1": same_digest}.get(scheme, False)


def _digest(text: str) -> bytes:
    """Of one length, so that comparing does not tell the secret's."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


# -- the file -------------------------------------------------------------------------

@dataclass(frozen=True)
class _Entry:
    password: str
    user: User


class BrokenFile(Exception):
    """A users file cannot be understood; the text says where."""


def parse_users(data: bytes) -> dict[str, _Entry]:
    """Name -> entry; of two lines for one name the last counts. Raises ``BrokenFile``."""
    users = {}
    for number, raw in enumerate(data.split(b"\n"), 1):
        try:
            line = raw.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise BrokenFile(f"line {number} is not UTF-8") from None
        if not line or line.startswith("#"):
            continue
        words = line.split(None, 2)
        if len(words) < 2:
            raise BrokenFile(f"line {number} is not NAME PASSWORD [OPTIONS]")
        options = words[2].split(",") if len(words) > 2 else []
        kept = frozenset(option.strip().lower() for option in options) - {""}
        users[words[0]] = _Entry(words[1], User(words[0], kept))
    return users


#: Path, time of the last change, size, inode; None: no file at all.
_Stamp = tuple[str, int, int, int] | None


class UsersFile:
    """The users, as the first of ``paths`` that exists has them at this moment.

    A change is noticed when somebody comes. A file that is broken, or cannot be read,
    is logged once and changes nothing; no file at all means no users.
    Safe to use from several threads.
    """

    def __init__(self, paths: Sequence[str],
                 clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._paths = tuple(paths)
        self._clock_ns = clock_ns
        self._mutex = threading.Lock()
        self._users: Mapping[str, _Entry] = {}
        self._stamp: _Stamp = None
        self._settled = True
        self._complaint = ""

    def authenticate(self, header: str | None) -> User:
        """Who sent this ``Authorization`` header; raises ``Unauthorized``."""
        name, password = parse_basic(header)
        entry = self._current().get(name)
        stored = _NOBODY if entry is None else entry.password
        if not verify(name, password, stored) or entry is None:
            raise denied("Wrong user name or password")
        return entry.user

    def reload(self) -> None:
        """Read the file now, whether it seems to have changed or not."""
        with self._mutex:
            self._read(self._look())

    def _current(self) -> Mapping[str, _Entry]:
        with self._mutex:
            stamp = self._look()
            if stamp != self._stamp or not self._settled:
                self._read(stamp)
            return self._users

    def _look(self) -> _Stamp:
        for path in self._paths:
            try:
                stat = os.stat(path)
            except FileNotFoundError:
                continue
            except OSError:
                return path, 0, 0, 0        # it is there, and reading it will say why not
            return path, stat.st_mtime_ns, stat.st_size, stat.st_ino
        return None

    def _read(self, stamp: _Stamp) -> None:
        self._stamp, self._settled = stamp, True
        if stamp is None:
            self._users = {}
            return
        path, changed = stamp[:2]
        self._settled = self._clock_ns() - changed > SETTLED_NS
        try:
            with open(path, "rb") as file:
                self._users = parse_users(file.read())
            self._complaint = ""
        except FileNotFoundError:
            self._settled = False           # gone since we looked
        except (OSError, BrokenFile) as err:
            problem = err.strerror if isinstance(err, OSError) else str(err)
            self._complain(f"{path}: {problem}")

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            logging.error("The users stay as they were, because their file is broken: %s", text)
        self._complaint = text
