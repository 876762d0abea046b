"""Checks in a booted system with us installed: units, hand-overs, init script, log rotation.

Usage: booted.py, inside such a disposable system (see debian.py). The units and the init script are
in place and enabled, and the users exist; there is no cluster yet.
"""

import importlib
import sys

from machine import run_checks

# Checks run in the order of the imports: the first ones need an empty machine.
for module in ("unit_checks", "foreign_checks", "init_checks"):
    importlib.import_module(module)

if __name__ == "__main__":
    sys.exit(run_checks())
