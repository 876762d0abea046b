"""Parser of the users file.

A line of the file is ``name password [rights]``; ``#`` begins a comment line. ``passwords``
parses the second word, ``rights`` the third field.

An edit that is meant to revoke must revoke, even a clumsy one. So a line that cannot be used
locks out the user that it names, whatever earlier lines say, and nobody else. Only a file that
cannot be read as a whole leaves the previous users in force.

Anything in the file that locks a user out, or may not mean what its author thinks, is a
complaint for the log.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ganeti.rapi.auth.passwords import CONTROL, BadPassword, Password, parse_password
from ganeti.rapi.auth.rights import UNSAID, Rights, Vocabulary, parse_rights
from ganeti.utils.text import describe_os_error


@dataclass(frozen=True)
class User:
    """A user of the API, and the rights that decide on their requests."""

    name: str
    rights: Rights = UNSAID


@dataclass(frozen=True)
class UserEntry:
    """A line of the users file: the password, and the user with their rights."""

    password: Password
    user: User


class BrokenFile(Exception):
    """The users file cannot be read as a whole; the text says why."""


class _BadLine(Exception):
    """A line cannot be used; the text, which follows the line's number, says why."""

    def __init__(self, why: str, cure: str) -> None:
        super().__init__(why)
        self.cure = cure


#: Complaints about one file that are logged; another program's file would cause one for each user.
MAX_COMPLAINTS = 20
#: Characters of a name that a complaint shows.
MAX_SHOWN = 64


def parse_users(data: bytes, vocabulary: Vocabulary) -> tuple[dict[str, UserEntry], list[str]]:
    """Return name -> entry, and complaints.

    If several lines have the same name, the last one counts; if that one cannot be used, the
    user is not in the result. Raises ``BrokenFile`` if the data is not text.
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
                f"user {name} is on line {earlier} too; this line counts, and that one is ignored"
            )
        complaints += [f"line {number}: {text}" for text in wrong]
        users[name], line_numbers[name] = entry, number
    return users, complaints


def named_users(raw: bytes) -> list[str]:
    """Return the names that a line of the file may mean; none for a comment or a blank line.

    The likeliest one comes first. There are several if the line is damaged: its first word has
    invisible characters in or after the name, or is not UTF-8.
    """
    line = raw.decode("utf-8", "surrogateescape").strip()
    if not line or line.startswith("#"):
        return []
    word = line.split(None, 1)[0]
    if word.isprintable():  # no control characters, and no surrogates for invalid bytes
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
    """Parse a line that is neither blank nor a comment; return its entry, and complaints.

    Raises ``_BadLine``.
    """
    correct = "correct or remove the line"
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
        raise _BadLine(f": {err}", f"set a new password with: rapi-passwd {name}") from err
    return UserEntry(password, User(name, rights)), wrong + _login_problems(name, password)


def _consequence(raw: bytes, names: Sequence[str], earlier: int) -> str:
    """Return a clause that says whom a bad line locks out.

    ``earlier`` is the number of an earlier line of the same user, or 0.
    """
    # A single word may be a password that an editor wrapped to the next line: do not log it.
    alone = len(raw.split(None, 1)) < 2
    shown = names[0] if names[0].isprintable() else ascii(names[0])
    user = "the user that it names" if alone else f"user {shown[:MAX_SHOWN]}"
    return f"{user} is locked out" + (f", and line {earlier} is ignored" if earlier else "")


def _check_encoding(data: bytes) -> tuple[bytes, list[str]]:
    """Return the data without a byte order mark, and complaints; raises ``BrokenFile``."""
    complaints = []
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BrokenFile("line 1 is not UTF-8: the file is UTF-16; save it as UTF-8")
    if data.count(0) * 3 > len(data):
        raise BrokenFile(
            "it consists mostly of NUL bytes: it is UTF-16 or UTF-32 and should be saved as "
            "UTF-8, or was damaged in a crash"
        )
    if data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
        complaints.append(
            "the file begins with a byte order mark, which is skipped; save it "
            "without one, because Ganeti's own daemon reads it as part of a name"
        )
    if b"\r\n" in data:
        complaints.append("lines end with CR LF; the CR is ignored")
    return data, complaints


def _login_problems(name: str, password: Password) -> list[str]:
    """Return the reasons why nobody can log in with a line; an empty list if somebody can."""
    advice = f"set a new password with: rapi-passwd {name}"
    found = []
    if ":" in name:
        found.append(f"nobody can log in as {name}: a name with a colon cannot be sent (RFC 7617)")
    elif CONTROL.search(name) or not name.isprintable():
        found.append(
            f"the user name {ascii(name)} contains invisible characters, so that hardly "
            "anybody can log in with it"
        )
    trouble = password.never_matches()
    if trouble:
        found.append(f"nobody can log in as {name}: {trouble}; {advice}")
    return found


def decoys(entries: Iterable[UserEntry]) -> tuple[Password, ...]:
    """Return a password that nobody has, for each costly kind among the entries."""
    kinds = {entry.password.costs: entry.password for entry in entries}
    return tuple(found.decoy() for costs, found in kinds.items() if costs is not None)


def exposure_warnings(mode: int, users: Mapping[str, UserEntry]) -> list[str]:
    """Return warnings about a file that others can read and passwords in clear text."""
    found = []
    if mode & 0o004:
        found.append("every user of this machine can read it")
    clear = sorted(name for name, entry in users.items() if entry.password.scheme == "cleartext")
    if clear:
        more = f" and {len(clear) - 5} more" if len(clear) > 5 else ""
        names = ", ".join(clear[:5]) + more
        found.append(f"the passwords of {names} are in clear text; rapi-passwd hashes them")
    return found


def read_file(path: str) -> tuple[bytes, os.stat_result]:
    """Return the content of a regular file and its state just afterwards; raises ``OSError``."""
    # Without O_NONBLOCK, opening a named pipe would wait for its writer.
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


def error_text(err: OSError) -> str:
    """Return the system's words for an error, without its number."""
    return err.strerror or describe_os_error(err)


def cure(path: str, err: OSError) -> str:
    """Return advice on a users file that cannot be read."""
    if not isinstance(err, PermissionError):
        return "correct that, or move the file away"
    user, group = str(os.geteuid()), str(os.getegid())
    with contextlib.suppress(KeyError):
        user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    closed, folder = "", os.path.dirname(os.path.abspath(path))
    while folder != "/":  # report the outermost folder that we cannot enter
        if not os.access(folder, os.X_OK, effective_ids=True):
            closed = folder
        folder = os.path.dirname(folder)
    if closed:
        return f"let user {user} into {closed}: chgrp {group} {closed} && chmod g+x {closed}"
    return f"let user {user} read it: chown {user} {path} && chmod u+r {path}"
