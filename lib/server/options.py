"""Command line options that both daemons have."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from ganeti import constants
from ganeti.daemon import Options


class Parser(argparse.ArgumentParser):
    """Of a daemon: its exit codes mean something, and argparse's 2 is none of them."""

    def error(self, message: str) -> NoReturn:
        """A wrong command line is a failure like any other."""
        self.print_usage(sys.stderr)
        self.exit(constants.EXIT_FAILURE, f"{self.prog}: {message}\n")


def port(text: str) -> int:
    """A TCP port, or 0 for one that is free."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def count(text: str) -> int:
    """One or more; argparse names this function when it is not."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``Options``."""
    parser.add_argument("-f", "--foreground", action="store_true",
                        help="do not detach from the terminal")
    parser.add_argument("-d", "--debug", action="store_true", help="log more")
    parser.add_argument("--syslog", choices=("no", "yes", "only"), default="no",
                        help="log to syslog: not, too, or instead of the file (default: no)")
    parser.add_argument("--version", action="version",
                        version=f"%(prog)s (ganeti-rapi) {constants.RELEASE_VERSION}")


def read_arguments(arguments: argparse.Namespace) -> Options:
    """What ``add_arguments`` parsed."""
    return Options(arguments.foreground, arguments.debug, arguments.syslog)
