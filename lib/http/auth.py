"""Who asks, and what that user may do.

The users file has lines ``name password [option,option]``; ``#`` begins a
comment. A password is cleartext, ``{cleartext}WORD``, or ``{ha1}HEX``, the MD5 of
``name:Ganeti Remote API:password`` (Ganeti since 2.1). Scheme names have any case;
one that is not known never matches.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from ganeti.constants import HTTP_BASIC_REALM
from ganeti.http.errors import Unauthorized

_SCHEME = re.compile(r"\{([A-Za-z0-9_-]+)\}(.*)", re.ASCII | re.DOTALL)
_HA1 = re.compile(r"[0-9a-f]{32}", re.ASCII)

READ, WRITE = "read", "write"


@dataclass(frozen=True)
class User:
    """A line of the users file."""

    name: str
    password: str
    options: frozenset[str] = frozenset()


#: Compared with when the name is unknown, so that this takes no less time.
_NOBODY = User("", "{ha1}" + "0" * 32)


def unauthorized(message: str = "") -> Unauthorized:
    """401, with the challenge that wget and Perl's LWP wait for."""
    return Unauthorized(message, headers=[
        ("WWW-Authenticate", f'Basic realm="{HTTP_BASIC_REALM}"')])


def ha1(name: str, password: str) -> str:
    """The hash of the scheme ha1."""
    text = f"{name}:{HTTP_BASIC_REALM}:{password}".encode("utf-8")
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def password_fits(user: User, name: str, password: str) -> bool:
    """Is it this user's password? Takes the same time wherever they differ."""
    scheme, expected = "cleartext", user.password
    found = _SCHEME.fullmatch(user.password)
    if found is not None:
        scheme, expected = found[1].lower(), found[2]
    if scheme == "ha1":
        given = ha1(name, password)
        expected = expected.lower()
    else:
        given = password
    same = hmac.compare_digest(given.encode("utf-8"), expected.encode("utf-8"))
    return same and scheme in ("cleartext", "ha1")


def parse_basic(header: str) -> tuple[str, str]:
    """Name and password of an Authorization header (RFC 7617); raises ``Unauthorized``."""
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise unauthorized("the only authentication scheme here is Basic")
    try:
        raw = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise unauthorized("the credentials are not base64") from None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    name, colon, password = text.partition(":")
    if not colon:
        raise unauthorized("the credentials hold no colon")
    return name, password


def parse_users(text: str) -> dict[str, User]:
    """The users of a file's text; ``ValueError`` names the line that is wrong."""
    users: dict[str, User] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) not in (2, 3):
            raise ValueError(f"line {number}: not a name, a password and options")
        options = frozenset(words[2].split(",")) if len(words) == 3 else frozenset()
        if words[0] in users:
            raise ValueError(f"line {number}: user {words[0]} stands there twice")
        users[words[0]] = User(words[0], words[1], options - {""})
    return users


class UsersFile:
    """The users, read again when their file changes. Safe for many threads."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(paths)
        self._mutex = threading.Lock()
        self._users: dict[str, User] = {}
        self._seen: object = None
        self.reload()

    def reload(self) -> None:
        """Read the file now; a broken one keeps the users that were."""
        with self._mutex:
            self._seen = self._stamp()
            self._read()

    def authenticate(self, header: str | None) -> User:
        """Who an Authorization header belongs to; raises ``Unauthorized``."""
        if header is None:
            raise unauthorized("this needs a user and a password")
        name, password = parse_basic(header)
        self._refresh()
        user = self._users.get(name, _NOBODY)
        if not password_fits(user, name, password) or user is _NOBODY:
            raise unauthorized("unknown user or wrong password")
        return user

    def _refresh(self) -> None:
        stamp = self._stamp()
        if stamp != self._seen:
            with self._mutex:
                if stamp != self._seen:
                    self._seen = stamp
                    self._read()

    def _stamp(self) -> object:
        """What changes when the file does."""
        for path in self._paths:
            try:
                found = os.stat(path)
            except FileNotFoundError:
                continue
            except OSError as err:
                return path, err.errno
            return path, found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode
        return None

    def _read(self) -> None:
        for path in self._paths:
            try:
                with open(path, encoding="utf-8") as file:
                    self._users = parse_users(file.read())
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as err:
                logging.error("Users file %s is not used, the users stay as they were: %s",
                              path, err)
                return
            logging.info("Read %d users from %s", len(self._users), path)
            return
        logging.warning("There is no users file (%s): nobody can log in", self._paths[0])
        self._users = {}


def allows(user: User, access: str | None) -> bool:
    """Has the user this right? ``""`` or None is everybody's, ``write`` has them all."""
    return not access or access in user.options or WRITE in user.options
