"""Credentials of HTTP Basic, and the users file.

A line of the file is ``name password [rights]``; ``#`` begins a comment line.
``passwords`` knows how a password may be kept, ``rights`` what the third word means.

An edit that revokes must revoke, even where it is clumsy: a line that cannot be used takes
its own user out, whatever earlier lines say, and nobody else. Only a file that cannot be
read as a whole leaves the previous users in force.

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
from ganeti.rapi.auth.passwords import CONTROL, BadPassword, Password, parse_password
from ganeti.rapi.auth.rights import UNSAID, Rights, Vocabulary, parse_rights
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

CHALLENGE = ("WWW-Authenticate", f'Basic realm="{HTTP_BASIC_REALM}"')

#: Two changes within one tick of the kernel's clock (1 to 10 ms) leave the same time stamp
#: behind, and a program that writes in place is seen half way. What was read sooner than this
#: after a change is read again.
SETTLED_NS = 50_000_000
#: Seconds after which a file that was changed a moment ago has settled.
SETTLING = 1.2 * SETTLED_NS / 1e9


_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class User:
    """An authenticated user and their rights."""

    name: str
    rights: Rights = UNSAID


def denied(message: str | None = None) -> Unauthorized:
    """Return a 401 with the challenge for HTTP Basic."""
    return Unauthorized(message, headers=[CHALLENGE])


def parse_basic(header: str | None) -> tuple[str, str]:
    """Return name and password of an ``Authorization`` header (RFC 7617).

    They are UTF-8, or latin-1 if they cannot be: old clients do not say which they mean.
    Raises ``Unauthorized``.
    """
    if not header:
        raise denied()
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        raise denied("Only HTTP Basic authentication is understood")
    rest = rest.strip(" ")
    try:
        data = binascii.a2b_base64(rest, strict_mode=True)
    except ValueError:  # binascii.Error is one
        data = b""
    # Strict as it is, it accepts surplus padding.
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
class UserEntry:
    """A user's line: the password, and the user with their rights."""

    password: Password
    user: User


class BrokenFile(Exception):
    """A users file cannot be read as a whole; the text says why."""


class _BadLine(Exception):
    """One line cannot be used: why, as it follows the line's number, and the cure."""

    def __init__(self, why: str, cure: str) -> None:
        super().__init__(why)
        self.cure = cure


#: Lines about one file at most; a file of another program's would have one for each user.
MAX_COMPLAINTS = 20
#: Characters of a name that the log shows.
MAX_SHOWN = 64


def parse_users(data: bytes, vocabulary: Vocabulary) -> tuple[dict[str, UserEntry], list[str]]:
    """Return name -> entry, and complaints.

    The last line of a name counts. If that one cannot be used, the user is not in the result.
    Raises ``BrokenFile`` if the data is not text.
    """
    users: dict[str, UserEntry] = {}
    line_numbers: dict[str, int] = {}
    data, complaints = _check_encoding(data)
    for number, raw in enumerate(data.split(b"\n"), 1):
        names = named_users(raw)
        if not names:
            continue
        earlier = next((line_numbers[name] for name in names if name in users), 0)
        entry: UserEntry | None
        try:
            entry, wrong = _parse_line(raw, vocabulary)
        except _BadLine as err:
            complaints.append(
                f"line {number}{err}; {_consequence(raw, names, earlier)}; {err.cure}"
            )
            entry, wrong = None, []
        for name in names:
            users.pop(name, None)
        if entry is None:
            continue
        name = entry.user.name
        if earlier:
            wrong.append(
                f"the user {name} is on line {earlier} too; this line counts, and that one does not"
            )
        complaints += [f"line {number}: {text}" for text in wrong]
        users[name], line_numbers[name] = entry, number
    return users, complaints


def named_users(raw: bytes) -> list[str]:
    """Return the names that one line of the file gives: none for a comment or a blank line.

    The first is the likeliest. A damaged line may mean one of several: where the name has
    characters in or behind it that cannot be seen, or is latin-1.
    """
    line = raw.decode("utf-8", "surrogateescape").strip()
    if not line or line.startswith("#"):
        return []
    word = line.split(None, 1)[0]
    if word.isprintable():  # neither control characters nor surrogates
        return [word]
    visible = "".join(filter(str.isprintable, word))
    found = [word, visible, next(filter(None, CONTROL.split(word)), "")]
    data = word.encode("utf-8", "surrogateescape")
    if not _is_utf_8(data):
        found = [*data.decode("latin-1").split()[:1], *found]
    return list(dict.fromkeys(filter(None, found)))


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def _parse_line(raw: bytes, vocabulary: Vocabulary) -> tuple[UserEntry, list[str]]:
    """Parse a line that is neither blank nor a comment; return the entry, and complaints.

    Raises ``_BadLine``.
    """
    correct = "correct the line or remove it"
    if not _is_utf_8(raw):
        raise _BadLine(" is not UTF-8", "save the file as UTF-8")
    line = raw.decode("utf-8").strip()
    if CONTROL.search(line.replace("\t", " ")):
        raise _BadLine(" contains control characters", correct)
    words = line.split(None, 2)
    if len(words) < 2:
        raise _BadLine(" is not NAME PASSWORD [RIGHTS]", correct)
    name = words[0]
    rights, wrong = parse_rights(words[2] if len(words) > 2 else "", vocabulary)
    try:
        password = parse_password(words[1])
    except BadPassword as err:
        raise _BadLine(f": {err}", f"set a new password with: rapi-passwd {name}") from None
    return UserEntry(password, User(name, rights)), wrong + _login_problems(name, password)


def _consequence(raw: bytes, names: Sequence[str], earlier: int) -> str:
    """Return the consequence of a line that cannot be used, for the log."""
    # A single word may be a password that an editor wrapped into a line of its own.
    alone = len(raw.split(None, 1)) < 2
    shown = names[0] if names[0].isprintable() else ascii(names[0])
    who = "the user that it names" if alone else f"the user {shown[:MAX_SHOWN]}"
    return f"{who} is out" + (f", and line {earlier} does not count" if earlier else "")


def _check_encoding(data: bytes) -> tuple[bytes, list[str]]:
    """Return the file without byte order mark, and complaints; raises ``BrokenFile``."""
    complaints = []
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BrokenFile("line 1 is not UTF-8: the file is UTF-16; save it as UTF-8")
    if data.count(0) * 3 > len(data):
        raise BrokenFile(
            "it is no text, as it is NUL bytes for the most part: UTF-16 or UTF-32, "
            "which should be saved as UTF-8, or what a crash has left"
        )
    if data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
        complaints.append(
            "the file begins with a byte order mark, which is skipped; save it "
            "without one, since Ganeti's own daemon takes it for part of a name"
        )
    if b"\r\n" in data:
        complaints.append("lines end with CR LF, as those of DOS do; the CR is ignored")
    return data, complaints


def _login_problems(name: str, password: Password) -> list[str]:
    """Return why nobody can ever log in with a line; empty if somebody can."""
    cure = f"set a new password with: rapi-passwd {name}"
    found = []
    if ":" in name:
        found.append(
            f"nobody can log in as {name}: a name that holds a colon cannot be sent (RFC 7617)"
        )
    elif CONTROL.search(name) or not name.isprintable():
        found.append(
            f"the user name {ascii(name)} contains characters that cannot be seen, so "
            "that hardly anybody can log in with it"
        )
    trouble = password.never_matches()
    if trouble:
        found.append(f"nobody can log in as {name}: {trouble}; {cure}")
    return found


def _decoys(entries: Iterable[UserEntry]) -> tuple[Password, ...]:
    kinds = {entry.password.costs: entry.password for entry in entries}
    return tuple(found.decoy() for costs, found in kinds.items() if costs is not None)


def _exposure_warnings(mode: int, users: Mapping[str, UserEntry]) -> list[str]:
    """Return warnings about a readable file and passwords in clear text."""
    found = []
    if mode & 0o004:
        found.append("every user of this machine can read it")
    clear = sorted(name for name, entry in users.items() if entry.password.scheme == "cleartext")
    if clear:
        more = f" and {len(clear) - 5} more" if len(clear) > 5 else ""
        found.append(
            f"passwords in clear text, of {', '.join(clear[:5])}{more}; rapi-passwd makes hashes"
        )
    return found


#: Path, time of the last change, size, inode; None: no file at all.
_Stamp = tuple[str, int, int, int] | None


class UsersFile:
    """The users, as the first of ``paths`` that exists has them at this moment.

    A change is noticed when a user is looked for. A file that cannot be read as a whole is
    logged once and changes nothing; no file at all means no users. Complaints are logged
    once for each version of the file. Safe to use from several threads.

    A later path counts at the start and at a reload. In between it does not take over from an
    earlier one that goes away: a file that everybody has forgotten would bring back its users,
    be it for the moment that an editor needs to replace the other.

    The last line of a file that was changed a moment ago, and does not end with a newline, is
    perhaps half written. Cut, it might give more rights or a shorter password than in
    full, so that its user has to wait until the file has settled.
    """

    def __init__(
        self,
        paths: Sequence[str],
        vocabulary: Vocabulary = Vocabulary(),
        clock_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._paths = tuple(paths)
        #: How many of them are looked at now.
        self._candidates = len(self._paths)
        self._vocabulary = vocabulary
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._mutex = threading.Lock()
        self._users: Mapping[str, UserEntry] = {}
        self._decoys: tuple[Password, ...] = ()
        #: Names on the line that is perhaps half written.
        self._doubtful: Sequence[str] = ()
        #: What followed the last newline when it was believed; b"" if nothing did.
        self._last_line = b""
        self._stamp: _Stamp = None
        #: When the file was first seen with this stamp.
        self._first_seen = 0
        self._settled = True
        #: The error that was logged last.
        self._error = ""
        #: Complaints about the version that is in force, and those that were logged last.
        self._complaints: tuple[_Stamp, list[str]] = (None, [])
        self._logged: tuple[_Stamp, list[str]] = (None, [])

    def find(self, name: str) -> tuple[UserEntry | None, tuple[Password, ...]]:
        """Return the user's line, and a decoy of each costly kind that the file has.

        Waits ``SETTLING`` seconds if that line is perhaps half written.
        """
        with self._mutex:
            self._refresh()
            if name not in self._doubtful:
                return self._users.get(name), self._decoys
        self._sleep(SETTLING)
        with self._mutex:
            self._refresh()
            return self._users.get(name), self._decoys

    def load(self) -> list[str]:
        """Read the file for the first time; return complaints about it, which are not logged.

        Raises ``BrokenFile``, whose text names the file and the cure, if it is there and
        cannot be used: nobody could log in.
        """
        with self._mutex:
            self._candidates = len(self._paths)
            stamp = self._current_stamp()
            path = self._paths[0] if stamp is None else stamp[0]
            try:
                self._load_version(stamp, requested=True)
            except FileNotFoundError:  # gone since we looked; the next look will see it
                self._settled = False
            except OSError as err:
                raise BrokenFile(
                    f"cannot read the users file {path}: {_reason(err)}; {_cure(path, err)}"
                ) from None
            except BrokenFile as err:
                raise BrokenFile(
                    f"the users file {path} is broken, and nobody could log in: {err}"
                ) from None
            self._logged = self._complaints
            return list(self._complaints[1])

    def reload(self) -> int | None:
        """Read the file now, even if it seems unchanged; return how many users it has.

        None if it cannot be used, which is logged: the previous users stay in force.
        """
        with self._mutex:
            self._error = ""  # an error is logged again on request
            self._candidates = len(self._paths)
            self._reload_if_usable(self._current_stamp(), requested=True)
            self._log_complaints()
            return None if self._error else len(self._users)

    def _refresh(self) -> None:
        stamp = self._current_stamp()
        if stamp != self._stamp or not self._settled:
            self._reload_if_usable(stamp)
        if self._settled:  # else it may be half written
            self._log_complaints()

    def _current_stamp(self) -> _Stamp:
        for path in self._paths[: self._candidates]:
            try:
                return _stamp(path, os.stat(path))
            except FileNotFoundError:
                continue
            except OSError:
                return path, 0, 0, 0  # it is there, and reading it will say why not
        return None

    def _reload_if_usable(self, stamp: _Stamp, requested: bool = False) -> None:
        """Load what the file holds now; if it cannot be used, log why and keep the users."""
        path = "" if stamp is None else stamp[0]
        try:
            self._load_version(stamp, requested)
            self._error = ""
        except FileNotFoundError:
            self._settled = False  # gone since we looked
        except (OSError, BrokenFile) as err:
            reason = _reason(err) if isinstance(err, OSError) else str(err)
            self._log_error(f"{path}: {reason}")

    def _load_version(self, stamp: _Stamp, requested: bool = False) -> None:
        """Load the users of this version; raises ``OSError`` and ``BrokenFile``.

        ``requested``: at a start or reload, the file is taken to be finished.
        """
        self._note_version(stamp)
        if stamp is None:
            self._users, self._decoys, self._doubtful = {}, (), ()
            self._complaints = stamp, [self._no_file_complaint()]
            return
        path = stamp[0]
        data, found = _content(path)
        if _stamp(path, found) != stamp:
            self._settled = False  # it was written to after we had looked
        users, complaints = parse_users(data, self._vocabulary)
        self._users = self._without_unfinished_line(users, data, requested)
        self._decoys = _decoys(self._users.values())
        if not self._users:
            complaints.append(
                "there is no user in it, and nobody can log in; add one with: rapi-passwd NAME"
            )
        complaints += _exposure_warnings(found.st_mode, self._users)
        over = len(complaints) - MAX_COMPLAINTS
        more = [f"and {over} more"] if over > 0 else []
        texts = [f"{path}: {text}" for text in [*complaints[:MAX_COMPLAINTS], *more]]
        if path != self._paths[0]:
            texts.insert(0, f"the users are those of {path}, as there is no {self._paths[0]}")
        self._complaints = stamp, texts
        self._candidates = self._paths.index(path) + 1

    def _without_unfinished_line(
        self, users: Mapping[str, UserEntry], data: bytes, requested: bool
    ) -> Mapping[str, UserEntry]:
        """Return the users without those of a last line that is perhaps half written."""
        last = data.rpartition(b"\n")[2]
        # A line that counted before gives nobody more than they had.
        counted_before = last == self._last_line
        if self._settled or requested or counted_before:
            self._last_line, self._doubtful = last, ()
        else:
            self._doubtful = named_users(last)
        return {name: entry for name, entry in users.items() if name not in self._doubtful}

    def _no_file_complaint(self) -> str:
        """Return the complaint that there is no users file."""
        first = self._paths[0]
        text = f"There is no users file ({first}), and nobody can log in; make one with: "
        others = [path for path in self._paths[self._candidates :] if os.path.exists(path)]
        if not others:
            return text + "rapi-passwd NAME"
        return (
            f"{text}rapi-passwd --file {first} NAME; the users of {others[0]} would count "
            "after a reload (SIGHUP) or restart"
        )

    def _note_version(self, stamp: _Stamp) -> None:
        """Remember the version that is read, and whether it may change unnoticed.

        A time in the future (a clock was set back) tells nothing. Then a version has settled
        once it has been seen for long enough.
        """
        now = self._clock_ns()
        if stamp != self._stamp:
            self._stamp, self._first_seen = stamp, now
        if stamp is None:
            self._settled = True
        else:
            unchanged_for = max(now - stamp[1], abs(now - self._first_seen))
            self._settled = unchanged_for > SETTLED_NS

    def _log_error(self, text: str) -> None:
        if text != self._error:
            logger.error("Users file not reloaded, keeping previous users: %s", text)
        self._error = text

    def _log_complaints(self) -> None:
        if self._complaints != self._logged:
            for text in self._complaints[1]:
                logger.warning("%s", text)
            self._logged = self._complaints


def _stamp(path: str, found: os.stat_result) -> _Stamp:
    return path, found.st_mtime_ns, found.st_size, found.st_ino


def _content(path: str) -> tuple[bytes, os.stat_result]:
    """Return a file's content, and its state just afterwards; raises ``OSError``."""
    # A pipe would have us wait for its writer.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(
                errno.EINVAL, "Is a directory" if stat.S_ISDIR(mode) else "Not a regular file", path
            )
        with open(fd, "rb", closefd=False) as file:
            return file.read(), os.fstat(fd)
    finally:
        os.close(fd)


def _reason(err: OSError) -> str:
    return err.strerror or describe_os_error(err)


def _cure(path: str, err: OSError) -> str:
    """Return what an administrator can do about a users file that cannot be read."""
    if not isinstance(err, PermissionError):
        return "correct that, or move it away"
    user, group = str(os.geteuid()), str(os.getegid())
    with contextlib.suppress(KeyError):
        user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    closed, folder = "", os.path.dirname(os.path.abspath(path))
    while folder != "/":  # the outermost counts
        if not os.access(folder, os.X_OK, effective_ids=True):
            closed = folder
        folder = os.path.dirname(folder)
    if closed:
        return f"let user {user} into {closed}: chgrp {group} {closed} && chmod g+x {closed}"
    return f"let user {user} read it: chown {user} {path} && chmod u+r {path}"
