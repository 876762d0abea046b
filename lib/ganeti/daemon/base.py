"""A daemon's steps, its options, and the error that says why it cannot start."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ganeti import constants, errors
from ganeti.daemon.pid_file import PidFile

logger = logging.getLogger(__name__)


class DaemonError(errors.Error):
    """The daemon cannot start; ``exit_code`` is what its process ends with."""

    def __init__(self, text: str, exit_code: int = constants.EXIT_FAILURE) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Options:
    """Options that every daemon's command line has."""

    foreground: bool = False
    #: Whose debug lines are logged: dotted names below ``ganeti``; '' means every module.
    debug: tuple[str, ...] = ()
    syslog: str = "no"
    #: "text" or "json".
    log_format: str = "text"


class Daemon:
    """Base of both daemons."""

    name: str
    pid_file: str
    log_file: str
    #: User and group to become when started as root.
    user: str
    group: str
    #: How to run beside another one of this name, for the message that refuses it; may be ''.
    second_instance_hint: str = ""
    #: The open pid file; set by ``life`` before ``bind``.
    pid: PidFile | None = None
    #: The process that has taken over from this one; None as long as this one is the daemon.
    successor: int | None = None

    #: What the administrator who starts the daemon should know, a line each.
    warnings: tuple[str, ...] = ()

    def warn(self, text: str) -> None:
        """Log a warning about this start, and show it where the daemon was started."""
        logger.warning("%s", text)
        self.warnings += (text,)

    def check_role(self) -> None:
        """Raise ``DaemonError`` unless this daemon may run on this machine."""

    def prepare(self) -> None:
        """Make directories that are missing."""

    def bind(self) -> None:
        """Open what may need root's rights."""

    def start(self) -> None:
        """Open the rest; afterwards clients are answered."""

    def serve(self) -> None:
        """Work until ``stop``."""
        raise NotImplementedError

    def stop(self) -> None:
        """Begin to end; called from a signal handler."""
        raise NotImplementedError

    def wake(self, function: Callable[[], None]) -> None:
        """Have the main thread call this soon; called from a signal handler."""
        function()

    def reload(self) -> None:
        """Read files again."""

    #: Starts a process that replaces this one; None: this daemon cannot hand over.
    hand_over: Callable[[], None] | None = None

    def finish(self) -> None:
        """Close what is open."""
