"""rapi-passwd: makes and edits lines of the users file, with hashed passwords.

The password is asked for on a terminal, else read as one line from standard
input; it never stands on a command line, where every user of the machine could
read it.

Where Ganeti is installed as well, its own ganeti-rapi may have to read the same file one
day. It understands clear text and {ha1} only, so that the latter is the default there.
"""

from __future__ import annotations

import argparse
import getpass
import os
import pwd
import re
import sys
from collections.abc import Sequence

from ganeti import constants, errors, pathutils
from ganeti.http import auth, passwords
from ganeti.http.rights import parse_rights
from ganeti.rapi.permissions import VOCABULARY
from ganeti.utils import io
from ganeti.utils.text import describe_os_error

_NAME = re.compile(r"[A-Za-z0-9_.@+-]{1,128}", re.ASCII)

NEW_FILE_MODE = 0o640
BEST = next(iter(passwords.SCHEMES))
#: Exit code after SIGINT, as a shell has it.
INTERRUPTED = 130
#: No password at all: for whom a certificate tells.
NONE = "none"


#: The only scheme of a hash that Ganeti's own daemon reads.
GANETIS = "ha1"
#: What a Ganeti has below its local state directory, and no cluster of ours.
_GANETIS_FILES = ("config.data", "server.pem")
#: Programs and directories of its packages, and of its own `make install`.
_GANETIS_PROGRAMS = ("/usr/lib/ganeti/daemon-util", "/usr/local/lib/ganeti/daemon-util",
                     "/usr/share/ganeti/default", "/usr/sbin/gnt-cluster",
                     "/usr/local/sbin/gnt-cluster")
#: What makes Ganeti's directories.
_ENSURE_DIRS = "/usr/lib/ganeti/ensure-dirs"


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
    parser.add_argument("--scheme", choices=(*passwords.SCHEMES, NONE),
                        help="how the password is kept; Ganeti itself only reads ha1; none is "
                             "for a user who has a certificate and no password "
                             f"(default: {BEST}, or {GANETIS} where Ganeti is installed too)")
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
    path = os.path.abspath(path)
    try:
        found = os.stat(path if os.path.exists(path) else os.path.dirname(path))
        mode, old = NEW_FILE_MODE, ""
        if os.path.exists(path):
            mode, old = found.st_mode & 0o777, _read(path)
        new = replace_line(old, name, line)
        try:
            auth.parse_users(new.encode("utf-8"), VOCABULARY)
        except auth.BrokenFile as err:
            raise PasswdError(f"{path} would not be read by the daemon: {err}") from None
        ids = (found.st_uid, found.st_gid) if os.geteuid() == 0 else (-1, -1)
        io.write_file(path, new, mode=mode, uid=ids[0], gid=ids[1])
    except OSError as err:
        raise PasswdError(_why_not(path, err)) from None


def check_directory(path: str) -> None:
    """Raise ``PasswdError`` unless the users file's directory is there."""
    path = os.path.abspath(path)
    try:
        os.stat(os.path.dirname(path))
    except OSError as err:
        raise PasswdError(_why_not(path, err)) from None


def _read(path: str) -> str:
    """The text of a users file, without a byte order mark, which the daemon skips."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except UnicodeDecodeError:
        raise PasswdError(f"{path} is not UTF-8 text; save it as UTF-8") from None


def _why_not(path: str, err: OSError) -> str:
    """Why the file cannot be changed, and the cure where there is one."""
    directory = os.path.dirname(path)
    if isinstance(err, FileNotFoundError) and not os.path.isdir(directory):
        return f"there is no directory {directory}; {_how_to_make(directory)}"
    reason = f"cannot change {path}: {err.strerror or describe_os_error(err)}"
    if isinstance(err, PermissionError):
        return f"{reason}; run this as root or as {_owner(directory)}"
    return reason


def _how_to_make(directory: str) -> str:
    """What makes the directory of a users file."""
    paths = pathutils.Paths.from_environment()
    if directory != paths.rapi_dir:
        return f"create it with: mkdir -p {directory}"
    if not ganeti_is_installed(paths):
        return "create the cluster first, with: ganeti-cluster init NAME"
    program = paths.root + _ENSURE_DIRS
    return (f"create it with: {program}" if os.path.exists(program)
            else f"create it with: mkdir -m 0750 {directory}")


def _owner(directory: str) -> str:
    """Who may change files there, apart from root."""
    try:
        uid = os.stat(directory).st_uid
        return f"user {pwd.getpwuid(uid).pw_name}"
    except (OSError, KeyError):
        return f"the owner of {directory}"


def read_password() -> str:
    """Twice from the terminal, or a line of standard input."""
    try:
        if not sys.stdin.isatty():
            return sys.stdin.readline().rstrip("\n")
        password = getpass.getpass("Password: ")
        again = getpass.getpass("Again: ")
    except EOFError:
        print(file=sys.stderr)              # the prompt's line
        raise PasswdError("no password was given") from None
    except UnicodeDecodeError:
        raise PasswdError("the password is not UTF-8 text") from None
    if again != password:
        raise PasswdError("the two passwords differ")
    return password


# -- beside a Ganeti ----------------------------------------------------------------------

def ganeti_is_installed(paths: pathutils.Paths) -> bool:
    """Whether Ganeti itself is on this machine: a cluster of its, or its programs."""
    return any(map(os.path.lexists, (
        *(f"{paths.lib_dir}/{name}" for name in _GANETIS_FILES),
        *(f"{paths.root}{path}" for path in _GANETIS_PROGRAMS))))


def choose_scheme(wanted: str | None, beside: bool) -> tuple[str, str]:
    """How the password is kept, and what is to be said about that; ``beside`` a Ganeti."""
    if not beside:
        return wanted or BEST, ""
    if wanted is None:
        return GANETIS, (f"writing {{{GANETIS}}}, since Ganeti's own ganeti-rapi, which is "
                         f"installed here too, reads no better hash; where only this one will "
                         f"ever run, use: --scheme {BEST}")
    if wanted == NONE:
        return wanted, ("Ganeti's own ganeti-rapi, which is installed here too, would take the "
                        "! of this line for the password itself: remove the user before you "
                        "switch back to it")
    if wanted != GANETIS:
        return wanted, (f"Ganeti's own ganeti-rapi, which is installed here too, cannot read "
                        f"{{{wanted}}}: with it this user could not log in")
    return wanted, ""


def _warn(text: str) -> None:
    if text:
        print(f"rapi-passwd: {text}", file=sys.stderr)


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
    if not arguments.only_print:
        check_directory(path)               # before anybody types a password in vain
    beside = ganeti_is_installed(paths)
    scheme, remark = choose_scheme(arguments.scheme, beside)
    _warn(remark)
    options = arguments.options
    if arguments.expires:
        options += f",expires={arguments.expires}"
        _warn("Ganeti's own ganeti-rapi, which is installed here too, knows no last day: with it "
              "this user would never expire" if beside else "")
    password = None if scheme == NONE else read_password()
    line = user_line(arguments.name, password, options, scheme)
    if arguments.only_print:
        return line
    edit(path, arguments.name, line)
    return f"User {arguments.name} is in {path}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    arguments = parse_arguments(argv)
    try:
        found = run(arguments, pathutils.Paths.from_environment())
    except PasswdError as err:
        _warn(str(err))
        return constants.EXIT_FAILURE
    except OSError as err:
        _warn(describe_os_error(err))
        return constants.EXIT_FAILURE
    except KeyboardInterrupt:
        print(file=sys.stderr)              # the prompt's line
        return INTERRUPTED
    return _say(found)


def _say(text: str) -> int:
    """Print a line; the exit code."""
    try:
        print(text, flush=True)
        return constants.EXIT_SUCCESS
    except OSError as err:
        # Python would try to print it again at its end, and show a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _warn(f"cannot write to standard output: {err.strerror}")
        return constants.EXIT_FAILURE


if __name__ == "__main__":
    sys.exit(main())
