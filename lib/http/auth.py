"""Credentials of HTTP Basic, and the users file.

A line of the file is ``name password [rights]``; ``#`` begins a comment line.
``passwords`` knows how a password may be kept, ``rights`` what the third word means.

Whatever in the file keeps a user out, or may not mean what its author thinks, is logged:
once for each version of the file, since the file is looked at with every request.
"""

from __future__ import annotations

import binascii
import codecs
import contextlib
import errno
import grp
import logging
import os
import pwd
import re
import stat
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ganeti.constants import HTTP_BASIC_REALM
from ganeti.http.errors import Unauthorized
from ganeti.http.passwords import CONTROL, BadPassword, Password, parse_password
from ganeti.http.rights import UNSAID, Rights, Vocabulary, parse_rights
from ganeti.utils.text import describe_os_error

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
    """A users file cannot be read or understood; the text says where, and why."""


#: Lines about one file at most; a file of another program's would have one for each user.
MAX_COMPLAINTS = 20


def parse_users(data: bytes, vocabulary: Vocabulary) -> tuple[dict[str, Entry], list[str]]:
    """Name -> entry, and complaints; of two lines for one name the last counts.

    Raises ``BrokenFile``.
    """
    users: dict[str, Entry] = {}
    places: dict[str, int] = {}
    data, complaints = _look_at_encoding(data)
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
        name = words[0]
        rights, wrong = parse_rights(words[2] if len(words) > 2 else "", vocabulary)
        try:
            password = parse_password(words[1])
        except BadPassword as err:
            raise BrokenFile(f"line {number}: {err}") from None
        wrong += _why_nobody_logs_in(name, password)
        if "\r" in line:
            wrong.append("a carriage return (CR) is within the line, and does not end it")
        if name in places:
            wrong.append(f"the user {name} is on line {places[name]} too; this line counts, "
                         "and that one does not")
        complaints += [f"line {number}: {text}" for text in wrong]
        users[name], places[name] = Entry(password, User(name, rights)), number
    return users, complaints


def _look_at_encoding(data: bytes) -> tuple[bytes, list[str]]:
    """The file without what an editor of another system left in it, and what that was."""
    complaints = []
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BrokenFile("line 1 is not UTF-8: the file is UTF-16; save it as UTF-8")
    if data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
        complaints.append("the file begins with a byte order mark, which is skipped; save it "
                          "without one, since Ganeti's own daemon takes it for part of a name")
    if b"\r\n" in data:
        complaints.append("lines end with CR LF, as those of DOS do; the CR is ignored")
    return data, complaints


def _why_nobody_logs_in(name: str, password: Password) -> list[str]:
    """What keeps the user of a line out, for ever."""
    cure = f"set a new password with: rapi-passwd {name}"
    found = []
    if ":" in name:
        found.append(f"nobody can log in as {name}: a name that holds a colon cannot be sent "
                     "(RFC 7617)")
    elif CONTROL.search(name) or not name.isprintable():
        found.append(f"the user name {ascii(name)} contains characters that cannot be seen, so "
                     "that hardly anybody can log in with it")
    trouble = password.never_matches()
    if trouble:
        found.append(f"nobody can log in as {name}: {trouble}; {cure}")
    return found


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

    A change is noticed when a user is looked for. A file that is broken, or cannot be read,
    is logged once and changes nothing; no file at all means no users. Complaints are logged
    once for each version of the file. Safe to use from several threads.
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
        #: When the file was first seen with this stamp.
        self._first_seen = 0
        self._settled = True
        #: The error that was logged last.
        self._error = ""
        #: Complaints about the version that is in force, and those that were logged last.
        self._complaints: tuple[_Stamp, list[str]] = (None, [])
        self._logged: tuple[_Stamp, list[str]] = (None, [])

    def find(self, name: str) -> tuple[Entry | None, tuple[Password, ...]]:
        """The user's line, and a decoy of each costly kind that the file has."""
        with self._mutex:
            self._look_again()
            return self._users.get(name), self._decoys

    def load(self) -> list[str]:
        """Read the file for the first time; complaints about it, which are not logged.

        Raises ``BrokenFile``, whose text names the file and the cure, if it is there and
        cannot be used: nobody could log in.
        """
        with self._mutex:
            stamp = self._look()
            path = self._paths[0] if stamp is None else stamp[0]
            try:
                self._take(stamp)
            except FileNotFoundError:       # gone since we looked; the next look will see it
                self._settled = False
            except OSError as err:
                raise BrokenFile(f"cannot read the users file {path}: {_reason(err)}; "
                                 f"{_cure(path, err)}") from None
            except BrokenFile as err:
                raise BrokenFile(f"the users file {path} is broken, and nobody could log in: "
                                 f"{err}; correct or remove that line") from None
            self._logged = self._complaints
            return list(self._complaints[1])

    def reload(self) -> int | None:
        """Read the file now, whether it seems to have changed or not; how many users it has.

        None where it cannot be used, which is logged: the users stay as they were.
        """
        with self._mutex:
            self._error = ""                # whoever asks for it hears of it again
            self._read(self._look())
            self._log_complaints()
            return None if self._error else len(self._users)

    def _look_again(self) -> None:
        stamp = self._look()
        if stamp != self._stamp or not self._settled:
            self._read(stamp)
        if self._settled:                   # else it may be half written
            self._log_complaints()

    def _look(self) -> _Stamp:
        for path in self._paths:
            try:
                found = os.stat(path)
            except FileNotFoundError:
                continue
            except OSError:
                return path, 0, 0, 0        # it is there, and reading it will say why not
            return path, found.st_mtime_ns, found.st_size, found.st_ino
        return None

    def _read(self, stamp: _Stamp) -> None:
        """Take up what the file holds now, if it can be used."""
        path = "" if stamp is None else stamp[0]
        try:
            self._take(stamp)
            self._error = ""
        except FileNotFoundError:
            self._settled = False           # gone since we looked
        except (OSError, BrokenFile) as err:
            reason = _reason(err) if isinstance(err, OSError) else str(err)
            self._complain(f"{path}: {reason}")

    def _take(self, stamp: _Stamp) -> None:
        """Have the users of this version; raises ``OSError`` and ``BrokenFile``."""
        self._note(stamp)
        if stamp is None:
            self._users, self._decoys = {}, ()
            self._complaints = stamp, [f"There is no users file ({self._paths[0]}), and nobody "
                                       "can log in; make one with: rapi-passwd NAME"]
            return
        path = stamp[0]
        data, mode = _content(path)
        self._users, found = parse_users(data, self._vocabulary)
        self._decoys = _decoys(self._users.values())
        if not self._users:
            found.append("there is no user in it, and nobody can log in; add one with: "
                         "rapi-passwd NAME")
        found += _dangers(mode, self._users)
        more = [f"and {len(found) - MAX_COMPLAINTS} more"] if len(found) > MAX_COMPLAINTS else []
        complaints = [f"{path}: {text}" for text in [*found[:MAX_COMPLAINTS], *more]]
        before = self._complaints[0]
        if before is not None and self._paths.index(path) > self._paths.index(before[0]):
            complaints.insert(0, f"{before[0]} is gone: the users are those of {path} now")
        self._complaints = stamp, complaints

    def _note(self, stamp: _Stamp) -> None:
        """Remember the version that is read, and whether it may change unnoticed.

        A time in the future (a clock was set back) tells nothing. Then a version has settled
        once it has been seen for long enough.
        """
        now = self._clock_ns()
        if stamp != self._stamp:
            self._stamp, self._first_seen = stamp, now
        self._settled = (stamp is None or now - stamp[1] > SETTLED_NS
                         or abs(now - self._first_seen) > SETTLED_NS)

    def _complain(self, text: str) -> None:
        if text != self._error:
            logging.error("Users file not reloaded, keeping previous users: %s", text)
        self._error = text

    def _log_complaints(self) -> None:
        if self._complaints != self._logged:
            for text in self._complaints[1]:
                logging.warning("%s", text)
            self._logged = self._complaints


def _content(path: str) -> tuple[bytes, int]:
    """What a file holds, and its mode; ``OSError`` for what is not a file."""
    # A pipe would have us wait for its writer.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Is a directory" if stat.S_ISDIR(mode) else
                          "Not a regular file", path)
        with open(fd, "rb", closefd=False) as file:
            return file.read(), mode
    finally:
        os.close(fd)


def _reason(err: OSError) -> str:
    return err.strerror or describe_os_error(err)


def _cure(path: str, err: OSError) -> str:
    """What an administrator can do about a users file that cannot be read."""
    if not isinstance(err, PermissionError):
        return "correct that, or move it away"
    user, group = str(os.geteuid()), str(os.getegid())
    with contextlib.suppress(KeyError):
        user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    closed, folder = "", os.path.dirname(os.path.abspath(path))
    while folder != "/":                # the outermost counts
        if not os.access(folder, os.X_OK, effective_ids=True):
            closed = folder
        folder = os.path.dirname(folder)
    if closed:
        return f"let user {user} into {closed}: chgrp {group} {closed} && chmod g+x {closed}"
    return f"let user {user} read it: chown {user} {path} && chmod u+r {path}"
