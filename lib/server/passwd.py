"""rapi-passwd: makes and edits lines of the users file, with hashed passwords.

The password is asked for on a terminal, else read as one line from standard
input; it never stands on a command line, where every user of the machine could
read it.
"""

from __future__ import annotations

import argparse
import getpass
import os
import re
import sys
from collections.abc import Sequence

from ganeti import constants, errors, pathutils
from ganeti.http import auth, passwords
from ganeti.http.rights import parse_rights
from ganeti.rapi.permissions import VOCABULARY
from ganeti.utils import io

_NAME = re.compile(r"[A-Za-z0-9_.@+-]{1,128}", re.ASCII)

NEW_FILE_MODE = 0o640
BEST = next(iter(passwords.SCHEMES))
#: No password at all: for whom a certificate tells.
NONE = "none"


class PasswdError(errors.Error):
    """What was asked for cannot be done, in words."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="rapi-passwd", description="Add or change a user of the remote API: the password "
        "is asked for, or read as one line from standard input, and kept as a hash.")
    parser.add_argument("name", metavar="NAME", help="the user")
    parser.add_argument("--options", metavar="LIST", default="write",
                        help="what the user may do: a role (@admin, @readonly, read, write), "
                             "single rights, or a role with changes, comma separated; empty "
                             "for none (default: write)")
    parser.add_argument("--scheme", choices=(*passwords.SCHEMES, NONE), default=BEST,
                        help="how the password is kept; Ganeti itself only reads ha1; none is "
                             "for a user who has a certificate and no password "
                             f"(default: {BEST})")
    parser.add_argument("--expires", metavar="DATE",
                        help="the user's last day (UTC), like 2027-01-31")
    parser.add_argument("--file", metavar="FILE", help="users file (default: the daemon's)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--print", action="store_true", dest="only_print",
                        help="only print the line, change no file")
    action.add_argument("--delete", action="store_true", help="remove the user")
    parser.add_argument("--version", action="version",
                        version=f"%(prog)s (ganeti-rapi) {constants.RELEASE_VERSION}")
    return parser.parse_args(argv)


def user_line(name: str, password: str | None, options: str, scheme: str) -> str:
    """``name {scheme}hash options``, with ``!`` for no password (None).

    ``PasswdError`` for what cannot stand in the file.
    """
    words = [word.strip() for word in options.split(",") if word.strip()]
    if _NAME.fullmatch(name) is None:
        raise PasswdError(f"{name!r} cannot be a user's name")
    _, complaints = parse_rights(options, VOCABULARY)
    if complaints:
        raise PasswdError(complaints[0])
    if password is None:
        return f"{name} ! {','.join(words)}".rstrip()
    if not password:
        raise PasswdError("the password is empty")
    if len(password) > passwords.MAX_LENGTH:
        raise PasswdError(f"the password has more than {passwords.MAX_LENGTH} characters")
    return f"{name} {passwords.SCHEMES[scheme](name, password)} {','.join(words)}".rstrip()


def replace_line(text: str, name: str, line: str | None) -> str:
    """The file with the user's line replaced, added or (None) removed; the rest untouched.

    A second line of the same user goes: the daemon heeds the last one.
    """
    lines = text.removesuffix("\n").split("\n") if text else []
    places = [index for index, old in enumerate(lines) if old.split()[:1] == [name]]
    if line is None and not places:
        raise PasswdError(f"there is no user {name}")
    kept = [old for index, old in enumerate(lines) if index not in places]
    if line is not None:
        kept.insert(places[0] if places else len(kept), line)
    return "".join(f"{each}\n" for each in kept)


def edit(path: str, name: str, line: str | None) -> None:
    """Change the users file in one step; mode and owner stay, a new one is the directory's."""
    old = ""
    mode, owner = NEW_FILE_MODE, os.stat(os.path.dirname(path) or ".")
    if os.path.exists(path):
        owner = os.stat(path)
        mode = owner.st_mode & 0o777
        with open(path, encoding="utf-8") as file:
            old = file.read()
    new = replace_line(old, name, line)
    try:
        auth.parse_users(new.encode("utf-8"), VOCABULARY)
    except auth.BrokenFile as err:
        raise PasswdError(f"{path} would not be read by the daemon: {err}") from None
    ids = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (-1, -1)
    io.write_file(path, new, mode=mode, uid=ids[0], gid=ids[1])


def read_password() -> str:
    """Twice from the terminal, or a line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise PasswdError("the two passwords differ")
    return password


def users_file(paths: pathutils.Paths) -> str:
    """The file that the daemon reads: the first that exists, else the first."""
    return next((path for path in paths.users_files if os.path.exists(path)),
                paths.users_files[0])


def run(arguments: argparse.Namespace, paths: pathutils.Paths) -> str:
    """Do it; what to print."""
    path = arguments.file or users_file(paths)
    if arguments.delete:
        edit(path, arguments.name, None)
        return f"User {arguments.name} is removed from {path}"
    options = arguments.options
    if arguments.expires:
        options += f",expires={arguments.expires}"
    password = None if arguments.scheme == NONE else read_password()
    line = user_line(arguments.name, password, options, arguments.scheme)
    if arguments.only_print:
        return line
    edit(path, arguments.name, line)
    return f"User {arguments.name} is in {path}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    arguments = parse_arguments(argv)
    try:
        print(run(arguments, pathutils.Paths.from_environment()))
    except (PasswdError, OSError, UnicodeDecodeError) as err:
        print(f"rapi-passwd: {err}", file=sys.stderr)
        return constants.EXIT_FAILURE
    return constants.EXIT_SUCCESS


if __name__ == "__main__":
    sys.exit(main())
