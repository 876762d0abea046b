"""Checks of an installed system as root: users, groups, modes, ports, signals, exit codes.

Usage: privileged.py BUILD, in private namespaces (mount, network, process, host name; see `run').
BUILD was configured with --prefix=/mnt/usr, or GANETI_PREFIX. Mounts, files and processes are gone
when this process ends, and no process outside can be seen or ended.
"""

import sys

import daemon_checks  # noqa: F401 (its checks come first)
import hostile_checks  # noqa: F401
import option_checks  # noqa: F401
from machine import prepare, run_checks

if __name__ == "__main__":
    prepare(sys.argv[1])
    sys.exit(run_checks())
