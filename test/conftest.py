"""The package under the tests, for this process and for every child that a test starts.

The modules lie in lib/ and are imported as ``ganeti``: a folder of the test
run's own holds a link of that name, and only this folder is on the path (lib/
itself never is, its ``http`` would hide the standard library's).
GANETI_TEST_LIB names another copy to test: the build tree's or an installed one.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
LIB = Path(os.environ.get("GANETI_TEST_LIB") or SOURCE / "lib").resolve()


def _folder() -> Path:
    """A folder that lives as long as this process, with ``ganeti`` in it."""
    folder = Path(tempfile.mkdtemp(prefix="ganeti-test-"))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked child of a test leaves it alone
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    (folder / "ganeti").symlink_to(LIB)
    return folder


FOLDER = _folder()
sys.path.insert(0, str(FOLDER))
os.environ["PYTHONPATH"] = str(FOLDER)
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(FOLDER / "hypothesis"))
for name in ("GANETI_ROOTDIR", "GANETI_HOSTNAME"):
    os.environ.pop(name, None)

try:
    import hypothesis
except ImportError:
    pass
else:  # the same examples on every run, and no verdict by the clock
    hypothesis.settings.register_profile(
        "ganeti", derandomize=True, deadline=None, database=None)
    hypothesis.settings.load_profile("ganeti")
