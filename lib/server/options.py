"""Command line options that both daemons have."""

from __future__ import annotations

import argparse

from ganeti import constants
from ganeti.daemon import Options


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
