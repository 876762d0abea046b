"""An installed system as root sees it: users, groups, modes, ports, signals, exit codes.

Usage: privileged.py BUILD, where BUILD was configured with --prefix=/mnt/usr, in namespaces
of its own (mount, network, process, host name; see `run`): what is mounted, installed and
started here is gone when this process ends, and no process outside can be seen or ended.
"""

import http.client
import subprocess
import sys

import daemon_checks  # noqa: F401 (its checks come first)
import option_checks  # noqa: F401
from machine import CHECKS, prepare


def main(build: str) -> int:
    """Run every check; what failed is told, and the others run all the same."""
    prepare(build)
    failed = 0
    for function in CHECKS:
        title = function.__name__.replace("_", " ")
        try:
            function()
        except (AssertionError, OSError, subprocess.SubprocessError,
                http.client.HTTPException) as err:
            failed += 1
            print(f"FAILED: {title}\n    {type(err).__name__}: {err}", flush=True)
        else:
            print(f"  {title}", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
