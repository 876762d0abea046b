"""The life of a daemon: options, privileges, pid file, hand-over to a successor.

    base        a daemon's steps, options and errors
    life        takes a daemon through its steps; signals
    pid_file    the lock that says that it runs
    privileges  whom it runs as
    handover    starts a successor on the same sockets
"""

from ganeti.daemon.base import Daemon, DaemonError, Options
from ganeti.daemon.life import run
from ganeti.daemon.privileges import become_user, make_directories, run_directories

__all__ = ["Daemon", "DaemonError", "Options", "become_user", "make_directories", "run",
           "run_directories"]
