"""The command line options of both daemons."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from typing import NoReturn

from ganeti import constants, daemon
from ganeti.daemon import Options


class Parser(argparse.ArgumentParser):
    """A daemon's parser: errors exit with a code of Ganeti's, not with argparse's 2."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with failure, also for a unit's condition."""
        self.print_usage(sys.stderr)
        is_condition = "--check-role" in sys.argv[1:]
        code = daemon.EXIT_CONDITION_FAILED if is_condition else constants.EXIT_FAILURE
        self.exit(code, f"{self.prog}: {message}\n")


def port(text: str) -> int:
    """Return a TCP port, or 0 for a free one; raise ``ValueError`` outside of 0 to 65535."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def count(text: str) -> int:
    """Return a number of at least 1; argparse uses this function's name in its message."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def packages(text: str) -> tuple[str, ...]:
    """Return the names in a list with commas; raise ``ArgumentTypeError`` for an unknown one."""
    names = tuple(text.split(","))
    for name in names:
        if not is_module(name):
            raise argparse.ArgumentTypeError(f"ganeti has no package or module {name!r}")
    return names


def is_module(name: str) -> bool:
    """Return whether a dotted name below ``ganeti`` is that of a package or module."""
    try:
        return bool(name) and importlib.util.find_spec(f"ganeti.{name}") is not None
    except (ImportError, ValueError):  # what precedes a dot is missing, or not a package
        return False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that ``read_arguments`` returns, --check-role and --version."""
    parser.add_argument(
        "-f", "--foreground", action="store_true", help="do not detach from the terminal"
    )
    # Apart from --debug: argparse would take the f of -df for a package.
    parser.add_argument(
        "-d", dest="debug", action="store_const", const=("",), default=(), help="log more"
    )
    parser.add_argument(
        "--debug",
        metavar="PACKAGE,...",
        nargs="?",
        type=packages,
        const=("",),
        default=(),
        help="like -d; with packages or modules of ganeti, like jqueue or http.server, log more "
        "about these alone",
    )
    parser.add_argument(
        "--syslog",
        choices=("no", "yes", "only"),
        default="no",
        help="log to syslog: not at all, as well, or instead of the file (default: no)",
    )
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="lines like Ganeti's, or JSON objects (default: text)",
    )
    parser.add_argument(
        "--check-role",
        action="store_true",
        help="only check whether a start makes sense on this machine: exit with 0, "
        "11 (another node is the master), 12 (no cluster) or 255",
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s (ganeti-rapi) {constants.RELEASE_VERSION}"
    )


def read_arguments(arguments: argparse.Namespace) -> Options:
    """Return the parsed options."""
    return Options(arguments.foreground, arguments.debug, arguments.syslog, arguments.log_format)


def run(program: daemon.Daemon, arguments: argparse.Namespace) -> int:
    """Run a daemon, or check its role, as its command line says; return the exit code."""
    if arguments.check_role:
        return daemon.check_role(program)
    return daemon.run(program, read_arguments(arguments))


def own_command() -> list[str]:
    """Return the command that started this process.

    A script that was run by its name is run by its name again, so that the new process has the
    script's name, which init scripts look for.
    """
    script = sys.argv[0]
    with open("/proc/self/comm", encoding="utf-8", errors="replace") as file:
        name = file.read().rstrip("\n")
    if name == os.path.basename(script)[:15]:
        return [script if "/" in script else f"./{script}", *sys.argv[1:]]
    return [sys.executable, *sys.orig_argv[1:]]
