"""Credentials of HTTP Basic, and the users file.

A line of the file is ``name password [rights]``; ``#`` begins a comment line.
``passwords`` knows how a password may be kept, ``rights`` what the third word means.
"""

from __future__ import annotations

import binascii
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ganeti.constants import HTTP_BASIC_REALM
from ganeti.http.errors import Unauthorized
from ganeti.http.passwords import BadPassword, Password, parse_password
from ganeti.http.rights import UNSAID, Rights, Vocabulary, parse_rights

CHALLENGE = ("WWW-Authenticate", f'Basic realm="{HTTP_BASIC_REALM}"')

#: Two changes within one tick of the kernel's clock (1 to 10 ms) leave the same time stamp
#: behind. What was read sooner than this after a change is read again.
SETTLED_NS = 50_000_000


_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class User:
    """Somebody who proved it, and what they may do."""

    name: str
    rights: Rights = UNSAID


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
    # Strict as it is, it takes padding too many.
    if not data or binascii.b2a_base64(data, newline=False) != rest.encode("latin-1"):
        raise denied("Header Authorization is not Base64")
    if _CONTROL.search(data):
        raise denied("Header Authorization holds control characters (RFC 7617, 2)")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    name, colon, password = text.partition(":")
    if not colon:
        raise denied("Header Authorization holds no colon between name and password")
    return name, password


# -- the file -------------------------------------------------------------------------

@dataclass(frozen=True)
class Entry:
    """One line."""

    password: Password
    user: User


class BrokenFile(Exception):
    """A users file cannot be understood; the text says where."""


def parse_users(data: bytes, vocabulary: Vocabulary) -> tuple[dict[str, Entry], list[str]]:
    """Name -> entry, and complaints; of two lines for one name the last counts.

    Raises ``BrokenFile``.
    """
    users, complaints = {}, []
    for number, raw in enumerate(data.split(b"\n"), 1):
        try:
            line = raw.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise BrokenFile(f"line {number} is not UTF-8") from None
        if not line or line.startswith("#"):
            continue
        words = line.split(None, 2)
        if len(words) < 2:
            raise BrokenFile(f"line {number} is not NAME PASSWORD [RIGHTS]")
        rights, wrong = parse_rights(words[2] if len(words) > 2 else "", vocabulary)
        complaints += [f"line {number}: {text}" for text in wrong]
        try:
            password = parse_password(words[1])
        except BadPassword as err:
            raise BrokenFile(f"line {number}: {err}") from None
        users[words[0]] = Entry(password, User(words[0], rights))
    return users, complaints


def _decoys(entries: Iterable[Entry]) -> tuple[Password, ...]:
    kinds = {entry.password.costs: entry.password for entry in entries}
    return tuple(found.decoy() for costs, found in kinds.items() if costs is not None)


def _dangers(mode: int, users: Mapping[str, Entry]) -> list[str]:
    """What an administrator should know about passwords that lie open."""
    found = []
    if mode & 0o004:
        found.append("every user of this machine can read it")
    clear = sorted(name for name, entry in users.items() if entry.password.scheme == "cleartext")
    if clear:
        more = f" and {len(clear) - 5} more" if len(clear) > 5 else ""
        found.append(f"passwords in clear text, of {', '.join(clear[:5])}{more}; "
                     "rapi-passwd makes hashes")
    return found


#: Path, time of the last change, size, inode; None: no file at all.
_Stamp = tuple[str, int, int, int] | None


class UsersFile:
    """The users, as the first of ``paths`` that exists has them at this moment.

    A change is noticed when somebody comes. A file that is broken, or cannot be read,
    is logged once and changes nothing; no file at all means no users. Words of
    rights that ``vocabulary`` does not have are logged once for each version of the file.
    Safe to use from several threads.
    """

    def __init__(self, paths: Sequence[str], vocabulary: Vocabulary = Vocabulary(),
                 clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._paths = tuple(paths)
        self._vocabulary = vocabulary
        self._clock_ns = clock_ns
        self._mutex = threading.Lock()
        self._users: Mapping[str, Entry] = {}
        self._decoys: tuple[Password, ...] = ()
        self._stamp: _Stamp = None
        self._settled = True
        self._complaint = ""

    def find(self, name: str) -> tuple[Entry | None, tuple[Password, ...]]:
        """The user's line, and a decoy of each costly kind that the file has."""
        with self._mutex:
            self._look_again()
            return self._users.get(name), self._decoys

    def reload(self) -> None:
        """Read the file now, whether it seems to have changed or not."""
        with self._mutex:
            self._read(self._look())

    def _look_again(self) -> None:
        stamp = self._look()
        if stamp != self._stamp or not self._settled:
            self._read(stamp)

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
            self._users, self._decoys = {}, ()
            return
        path, changed = stamp[:2]
        self._settled = self._clock_ns() - changed > SETTLED_NS
        try:
            with open(path, "rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                self._users, wrong = parse_users(file.read(), self._vocabulary)
            self._decoys = _decoys(self._users.values())
            if self._settled:
                for text in [*wrong, *_dangers(mode, self._users)]:
                    logging.warning("%s: %s", path, text)
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
