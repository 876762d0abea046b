"""The package to test, in this process and in the processes that tests start.

GANETI_TEST_LIB has the folders of the package, if that is not lib/ of this checkout: those of a
build outside of the source tree, or of an installed copy.
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
    """Make a folder that is removed when this process ends, and return its path."""
    folder, owner = tempfile.mkdtemp(prefix="ganeti-test-"), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not in a forked child
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
else:  # the same examples in every run, and no time limits
    hypothesis.settings.register_profile("ganeti", derandomize=True, deadline=None, database=None)
    hypothesis.settings.load_profile("ganeti")
