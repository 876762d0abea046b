"""The life of a daemon: options, privileges, pid file, hand-over to a successor.

base        a daemon's steps and errors
options     the options that all programs share
life        takes a daemon through its steps; signals
pid_file    the lock that shows that it runs
sd_notify   reports its state to systemd
privileges  the user that it runs as
handover    starts a successor on the same sockets
"""

from ganeti.daemon.base import Daemon, DaemonError, Options
from ganeti.daemon.life import EXIT_CONDITION_FAILED, check_role, must_stay, run
from ganeti.daemon.privileges import become_user, make_directories, run_directories, stays_root

__all__ = [
    "EXIT_CONDITION_FAILED",
    "Daemon",
    "DaemonError",
    "Options",
    "become_user",
    "check_role",
    "make_directories",
    "must_stay",
    "run",
    "run_directories",
    "stays_root",
]
