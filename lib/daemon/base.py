"""A daemon's steps, its options, and the error that says why it cannot start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ganeti import constants, errors


class DaemonError(errors.Error):
    """The daemon cannot start; ``exit_code`` is what its process ends with."""

    def __init__(self, text: str, exit_code: int = constants.EXIT_FAILURE) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Options:
    """What every daemon's command line can say."""

    foreground: bool = False
    debug: bool = False
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
    #: The pid file that is ours and locked; None while it is not, or not any more.
    pid_fd: int | None = None

    def prepare(self) -> None:
        """Check that this is the place, and make directories that are missing."""

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

    #: Starts a process that takes this one's place; None: there is no such thing.
    hand_over: Callable[[], None] | None = None

    def finish(self) -> None:
        """Close what is open."""
