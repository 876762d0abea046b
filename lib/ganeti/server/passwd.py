"""rapi-passwd: makes and edits lines of the users file, with hashed passwords.

The password is read from the terminal, or as one line from standard input. It is never an
argument, since every user of the machine can read command lines.

An exit code other than 0 means that the file is unchanged: until the new file is in place, any
error and any signal ends the program; from then on, none does.

Where Ganeti is installed as well, its own ganeti-rapi may have to read the file some day. That
understands clear text and {ha1} only, so {ha1} is the default there.
"""

from __future__ import annotations

import argparse
import codecs
import datetime
import getpass
import os
import pwd
import signal
import sys
from collections.abc import Collection, Sequence

from ganeti import constants, errors, pathutils
from ganeti.rapi.auth import passwords, users
from ganeti.rapi.auth.rights import parse_rights
from ganeti.rapi.permissions import VOCABULARY
from ganeti.utils import edit, io
from ganeti.utils.text import USER_NAME, describe_os_error

NEW_FILE_MODE = 0o640
BEST_SCHEME = next(iter(passwords.SCHEMES))
#: Exit code after SIGINT, as of a shell.
INTERRUPTED = 130
#: Signals that wait until the new file is in place.
HELD_SIGNALS = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}
#: Scheme of users without a password, who have a certificate.
NO_PASSWORD = "none"


#: The only hashed scheme that Ganeti's own daemon reads.
GANETI_SCHEME = "ha1"
#: Files of a Ganeti cluster below its local state directory that no cluster of ours has.
_GANETIS_FILES = ("config.data", "server.pem")
#: Programs and directories that Ganeti's packages or its `make install` create.
_GANETIS_PROGRAMS = (
    "/usr/lib/ganeti/daemon-util",
    "/usr/local/lib/ganeti/daemon-util",
    "/usr/share/ganeti/default",
    "/usr/sbin/gnt-cluster",
    "/usr/local/sbin/gnt-cluster",
)
#: The program that makes Ganeti's directories.
_ENSURE_DIRS = "/usr/lib/ganeti/ensure-dirs"


class PasswdError(errors.Error):
    """The users file cannot be changed as requested."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line, or exit with a message."""
    parser = argparse.ArgumentParser(
        prog="rapi-passwd",
        description="Add or change a user of the remote API. The password is read from the "
        "terminal, or as one line from standard input, and stored as a hash.",
    )
    parser.add_argument("name", metavar="NAME", help="the user")
    parser.add_argument(
        "--options",
        metavar="LIST",
        default="write",
        help="rights of the user, comma separated: a role (@admin, @operator, @readonly, read, "
        "write), single rights, or a role with changes; empty for none (default: write)",
    )
    parser.add_argument(
        "--scheme",
        choices=(*passwords.SCHEMES, NO_PASSWORD),
        help="how the password is stored; Ganeti itself only reads ha1; none is "
        "for users who have a certificate and no password "
        f"(default: {BEST_SCHEME}, or {GANETI_SCHEME} where Ganeti is installed too)",
    )
    parser.add_argument(
        "--expires", metavar="DATE", help="the user's last day (UTC), like 2027-01-31"
    )
    parser.add_argument("--file", metavar="FILE", help="users file (default: the daemon's)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--print",
        action="store_true",
        dest="only_print",
        help="print the line and change no file",
    )
    action.add_argument("--delete", action="store_true", help="remove the user")
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s (ganeti-rapi) {constants.RELEASE_VERSION}"
    )
    return parser.parse_args(argv)


def user_line(name: str, password: str | None, options: str, scheme: str) -> str:
    """Return ``name {scheme}hash options``, with ``!`` for no password (None).

    Raises ``PasswdError`` for a password that the file cannot hold or with which no login succeeds.
    """
    words = [word.strip() for word in options.split(",") if word.strip()]
    if password is None:
        return f"{name} ! {','.join(words)}".rstrip()
    if not password:
        raise PasswdError("the password is empty")
    if len(password) > passwords.MAX_LENGTH:
        raise PasswdError(f"the password has more than {passwords.MAX_LENGTH} characters")
    if passwords.CONTROL.search(password):
        raise PasswdError(
            "the password contains control characters, which no client can send (RFC 7617)"
        )
    if any("\ud800" <= character <= "\udfff" for character in password):
        raise PasswdError("the password is not UTF-8 text")
    return f"{name} {passwords.SCHEMES[scheme](name, password)} {','.join(words)}".rstrip()


def check_name(name: str) -> None:
    """Raise ``PasswdError`` unless a name is valid for a user."""
    if USER_NAME.fullmatch(name) is None:
        raise PasswdError(
            f"{name!r} cannot be a user's name: give up to 128 letters, digits and _ . @ + -"
        )


def chosen_rights(options: str, expires: str | None) -> tuple[str, bool]:
    """Return the third field of the line, and whether the user's last day is over.

    Raises ``PasswdError`` for unknown rights and dates.
    """
    if expires is not None:
        if not expires.strip() or "," in expires:
            raise PasswdError(f"--expires {expires!r} is not a valid date (expected YYYY-MM-DD)")
        options += f",expires={expires.strip()}"
    rights, complaints = parse_rights(options, VOCABULARY)
    if complaints:
        raise PasswdError(complaints[0])
    return options, rights.has_expired(datetime.datetime.now(datetime.timezone.utc).date())


def replace_line(data: bytes, name: str, line: str | None) -> bytes:
    """Return the file with the user's line replaced, added or (None) removed.

    Every other line that names the user is removed, even an unreadable one, since the daemon uses
    the last one. All other lines are unchanged. Raises ``PasswdError`` for an unknown user to
    remove.
    """
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    indexes = [index for index, old in enumerate(lines) if name in users.named_users(old)]
    if line is None and not indexes:
        raise PasswdError(f"there is no user {name}")
    kept = [old for index, old in enumerate(lines) if index not in indexes]
    if line is not None:
        kept.insert(indexes[0] if indexes else len(kept), line.encode("utf-8"))
    return b"".join(each + b"\n" for each in kept)


def change(path: str, name: str, line: str | None) -> None:
    """Replace the users file atomically, keeping its mode and owner.

    A new file gets the owner of its directory. Of a symbolic link, the target is replaced.
    """
    path = _real_path(path)
    try:
        with edit.locked(path):
            old = edit.read_file(path)
            if old is None:
                data, found = b"", os.stat(os.path.dirname(path))
                mode = NEW_FILE_MODE
            else:
                data, found = old
                mode = found.st_mode & 0o777
            _users(path, data)
            new = replace_line(data.removeprefix(codecs.BOM_UTF8), name, line)
            if (name in _users(path, new)) is (line is None):
                raise PasswdError(f"{path} would not be understood by the daemon")
            ids = (found.st_uid, found.st_gid) if os.geteuid() == 0 else (-1, -1)
            _hold_signals()
            _write(path, new, mode, *ids)
    except edit.EditError as err:
        raise PasswdError(str(err)) from None
    except OSError as err:
        raise PasswdError(_why_not(path, err)) from None


def _users(path: str, data: bytes) -> Collection[str]:
    """Return the names of the users that the daemon would accept.

    Raises ``PasswdError`` for a file that it would refuse.
    """
    try:
        return users.parse_users(data, VOCABULARY)[0]
    except users.BrokenFile as err:
        raise PasswdError(f"{path} would not be read by the daemon: {err}") from None


def _hold_signals() -> None:
    """Block signals that would end this process; it ends in a moment anyway."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)


def _write(path: str, data: bytes, mode: int, uid: int, gid: int) -> None:
    """Replace the file; raises ``OSError`` only if it was not replaced."""
    try:
        io.write_file(path, data, mode=mode, uid=uid, gid=gid)
    except OSError as err:
        now = edit.read_file(path)
        if now is None or now[0] != data:
            raise
        _warn(f"{path} is changed, but a power cut may undo that: {describe_os_error(err)}")


def _real_path(path: str) -> str:
    """Return the file to which a path leads, through links that may be followed.

    Raises ``PasswdError``.
    """
    try:
        return edit.follow_links(path)
    except edit.EditError as err:
        raise PasswdError(str(err)) from None
    except OSError as err:
        raise PasswdError(_why_not(os.path.abspath(path), err)) from None


def check_file(path: str) -> None:
    """Raise ``PasswdError`` if the file cannot be read, or its directory does not exist."""
    path = _real_path(path)
    try:
        os.stat(os.path.dirname(path))
        found = edit.read_file(path)
        _users(path, b"" if found is None else found[0])
    except OSError as err:
        raise PasswdError(_why_not(path, err)) from None


def _why_not(path: str, err: OSError) -> str:
    """Return why the file cannot be changed, and what to do about it where that is known."""
    directory = os.path.dirname(path)
    if isinstance(err, FileNotFoundError) and not os.path.isdir(directory):
        return f"there is no directory {directory}; {_how_to_make(directory)}"
    reason = f"cannot change {path}: {err.strerror or describe_os_error(err)}"
    if isinstance(err, PermissionError):
        return f"{reason}; run this as root or as {_owner(directory)}"
    return reason


def _how_to_make(directory: str) -> str:
    """Return how to create the directory of a users file."""
    paths = pathutils.Paths.from_environment()
    if directory != paths.rapi_dir:
        return f"create it with: mkdir -p {directory}"
    if not ganeti_is_installed(paths):
        return "create the cluster first, with: ganeti-cluster init NAME"
    program = paths.root + _ENSURE_DIRS
    if os.path.exists(program):
        return f"create it with: {program}"
    return f"create it with: mkdir -m 0750 {directory}"


def _owner(directory: str) -> str:
    """Return the user who may change files in a directory, apart from root."""
    try:
        uid = os.stat(directory).st_uid
        return f"user {pwd.getpwuid(uid).pw_name}"
    except (OSError, KeyError):
        return f"the owner of {directory}"


def read_password() -> str:
    """Return a password that was typed twice on the terminal, or a line of standard input."""
    if sys.stdin is None:  # the shell's <&-
        raise PasswdError("no password was given")
    try:
        if not sys.stdin.isatty():
            # Read no more than it takes to recognize a password that is too long.
            line = sys.stdin.readline(passwords.MAX_LENGTH + 3)
            return line.removesuffix("\r\n" if line.endswith("\r\n") else "\n")
        password = getpass.getpass("Password: ")
        again = getpass.getpass("Again: ")
    except EOFError:
        print(file=sys.stderr)  # the prompt's line
        raise PasswdError("no password was given") from None
    except UnicodeDecodeError:
        raise PasswdError("the password is not UTF-8 text") from None
    if again != password:
        raise PasswdError("the two passwords differ")
    return password


# -- machines on which Ganeti is installed ------------------------------------------------


def ganeti_is_installed(paths: pathutils.Paths) -> bool:
    """Return whether a Ganeti cluster or Ganeti's programs are on this machine."""
    files = [f"{paths.lib_dir}/{name}" for name in _GANETIS_FILES]
    programs = [f"{paths.root}{path}" for path in _GANETIS_PROGRAMS]
    return any(os.path.lexists(path) for path in files + programs)


def choose_scheme(wanted: str | None, beside: bool) -> tuple[str, str]:
    """Return the scheme of the password, and a remark about it or ''.

    ``beside`` says that Ganeti is installed on this machine.
    """
    if not beside:
        return wanted or BEST_SCHEME, ""
    if wanted is None:
        return GANETI_SCHEME, (
            f"writing {{{GANETI_SCHEME}}}, since Ganeti's own ganeti-rapi, which is "
            "installed here too, reads no better hash; if it will never run, use: "
            f"--scheme {BEST_SCHEME}"
        )
    if wanted == NO_PASSWORD:
        return wanted, (
            "Ganeti's own ganeti-rapi, which is installed here too, would take the "
            "! in this line for a password: remove the user before you switch back to it"
        )
    if wanted != GANETI_SCHEME:
        return wanted, (
            f"Ganeti's own ganeti-rapi, which is installed here too, cannot read "
            f"{{{wanted}}}: with it this user could not log in"
        )
    return wanted, ""


def _warn(text: str) -> None:
    if text:
        print(f"rapi-passwd: {text}", file=sys.stderr)


def users_file(paths: pathutils.Paths) -> str:
    """Return the file that the daemon reads: the first that exists, else the first."""
    return next((path for path in paths.users_files if os.path.exists(path)), paths.users_files[0])


def run(arguments: argparse.Namespace, paths: pathutils.Paths) -> str:
    """Carry out the command and return what to print; raises ``PasswdError``."""
    if arguments.file == "":
        raise PasswdError("--file is empty")
    path = arguments.file or users_file(paths)
    if arguments.delete:
        change(path, arguments.name, None)
        return f"User {arguments.name} is removed from {path}"
    check_name(arguments.name)
    options, is_over = chosen_rights(arguments.options, arguments.expires)
    if not arguments.only_print:
        check_file(path)  # before the user types a password in vain
    beside = ganeti_is_installed(paths)
    scheme, remark = choose_scheme(arguments.scheme, beside)
    _warn(remark)
    if arguments.expires and beside:
        _warn(
            "Ganeti's own ganeti-rapi, which is installed here too, ignores last days: with it "
            "this user would never expire"
        )
    if is_over:
        _warn(f"the last day of {arguments.name} is over already: this user cannot log in")
    password = None if scheme == NO_PASSWORD else read_password()
    line = user_line(arguments.name, password, options, scheme)
    if arguments.only_print:
        return line
    change(path, arguments.name, line)
    return f"User {arguments.name} is in {path}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = parse_arguments(argv)
    try:
        code = _print_line(run(arguments, pathutils.Paths.from_environment()))
        # The file is changed, even if the message about it cannot be printed.
        return code if arguments.only_print else constants.EXIT_SUCCESS
    except PasswdError as err:
        _warn(str(err))
        return constants.EXIT_FAILURE
    except OSError as err:
        _warn(describe_os_error(err))
        return constants.EXIT_FAILURE
    except KeyboardInterrupt:
        print(file=sys.stderr)  # the prompt's line
        return INTERRUPTED


def _print_line(text: str) -> int:
    """Print a line and return the exit code."""
    try:
        try:
            print(text, flush=True)
        except UnicodeEncodeError:  # a name or path that this terminal cannot show
            print(ascii(text), flush=True)
        return constants.EXIT_SUCCESS
    except OSError as err:
        # Otherwise Python would try to flush it at the end, and print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _warn(f"cannot write to standard output: {err.strerror}")
        return constants.EXIT_FAILURE


if __name__ == "__main__":
    sys.exit(main())
