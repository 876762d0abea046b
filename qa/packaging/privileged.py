"""An installed system as root sees it: users, groups, modes, ports, signals, exit codes.

Usage: privileged.py BUILD, in namespaces of its own (mount, network, process, host name; see
`run'). BUILD was configured with --prefix=/mnt/usr, or what GANETI_PREFIX says. What is
mounted, installed and started here is gone when this process ends, and no process outside can
be seen or ended.
"""

import sys

import daemon_checks  # noqa: F401 (its checks come first)
import hostile_checks  # noqa: F401
import option_checks  # noqa: F401
from machine import prepare, run_checks

if __name__ == "__main__":
    prepare(sys.argv[1])
    sys.exit(run_checks())
