"""The package under the tests, for this process and for every child that a test starts.

GANETI_TEST_LIB names the folders to find it in, if not lib/ of this checkout: those of a
build outside the source tree, or an installed copy's.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
LIB = os.environ.get("GANETI_TEST_LIB") or str(SOURCE / "lib")


def _scratch() -> str:
    """A folder that lives as long as this process."""
    folder, owner = tempfile.mkdtemp(prefix="ganeti-test-"), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked child of a test leaves it alone
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


sys.path[:0] = LIB.split(os.pathsep)
os.environ["PYTHONPATH"] = LIB
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", _scratch())
for name in ("GANETI_ROOTDIR", "GANETI_HOSTNAME"):
    os.environ.pop(name, None)

try:
    import hypothesis
except ImportError:
    pass
else:  # the same examples on every run, and no verdict by the clock
    hypothesis.settings.register_profile("ganeti", derandomize=True, deadline=None, database=None)
    hypothesis.settings.load_profile("ganeti")
