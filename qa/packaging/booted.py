"""A booted system that has us installed: systemd units, hand-overs, init script, log rotation.

Usage: booted.py, inside such a system that is thrown away afterwards (see debian.py). The units
and the init script are in place and enabled, and the users exist; there is no cluster yet.
"""

import sys

import foreign_checks  # noqa: F401
import init_checks  # noqa: F401
import unit_checks  # noqa: F401 (its checks come first, from an empty machine on)
from machine import run_checks

if __name__ == "__main__":
    sys.exit(run_checks())
