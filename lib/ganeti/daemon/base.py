"""A daemon's steps, its options, and the error for a start that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ganeti import constants, errors
from ganeti.daemon.pid_file import PidFile

logger = logging.getLogger(__name__)


class DaemonError(errors.Error):
    """The daemon cannot start; its process exits with ``exit_code``."""

    def __init__(self, text: str, exit_code: int = constants.EXIT_FAILURE) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Options:
    """Command line options of both daemons."""

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
    #: Added to the message that the daemon runs already: how to run a second one; may be ''.
    second_instance_hint: str = ""
    #: The open pid file; set by ``life`` before ``bind``.
    pid: PidFile | None = None
    #: Pid of the process that has taken over; None as long as this one is the daemon.
    successor: int | None = None

    #: Lines for the administrator who starts the daemon.
    warnings: tuple[str, ...] = ()

    def warn(self, text: str) -> None:
        """Log a warning about this start, and show it where the daemon was started."""
        logger.warning("%s", text)
        self.warnings += (text,)

    def check_role(self) -> None:
        """Raise ``DaemonError`` unless this daemon may run on this machine."""

    def prepare(self) -> None:
        """Create missing directories."""

    def bind(self) -> None:
        """Open sockets and files that may need root's privileges."""

    def start(self) -> None:
        """Open the rest; clients are answered when this returns."""

    def serve(self) -> None:
        """Serve clients until ``stop`` is called."""
        raise NotImplementedError

    def stop(self) -> None:
        """Make ``serve`` return soon; called from a signal handler."""
        raise NotImplementedError

    def wake(self, function: Callable[[], None]) -> None:
        """Let the main thread call a function soon; called from a signal handler."""
        function()

    def reload(self) -> None:
        """Read configuration files again, after SIGHUP."""

    #: Starts a process that replaces this one; None if this daemon cannot hand over.
    hand_over: Callable[[], None] | None = None

    def finish(self) -> None:
        """Close everything that is open."""
