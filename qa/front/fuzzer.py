"""One fuzz target in a process: atheris generates inputs and follows their paths.

    fuzzer.py TARGET SECONDS FOLDER

FOLDER holds the corpus, and ``FOLDER/findings`` the first input for each place that raised a
forbidden exception. Prints a JSON object of ``executions``, ``slowest`` (processor seconds) and
``findings``, pairs of a file and its exception. Run by a Python that has atheris.
"""

import hashlib
import json
import logging
import os
import sys
import time
import traceback
from pathlib import Path

import atheris

TEST = Path(__file__).resolve().parent.parent.parent / "test"
sys.path.insert(0, str(TEST))
#: The longest input: the targets' own limits are small.
LONGEST = 3000
#: Limits after which an input counts as a finding: seconds and MiB.
ENDLESS, INSATIABLE = 20, 512

with atheris.instrument_imports(include=["ganeti"]):
    import conftest  # noqa: F401 (it puts the package on the path)
    from support import fuzz


class FuzzRun:
    """A run of the target until its time is over."""

    def __init__(self, name, seconds, folder):
        self.target = fuzz.TARGETS[name]
        self.folder = folder
        self.end = time.monotonic() + seconds
        self.executions, self.slowest = 0, 0.0
        self.findings = {}

    def __call__(self, data):
        if time.monotonic() > self.end:
            self.tell()
        begin = time.thread_time()
        try:
            self.target(data)
        except Exception as err:
            self.keep(data, err)
        self.slowest = max(self.slowest, time.thread_time() - begin)
        self.executions += 1

    def keep(self, data, err):
        """Keep the first input that fails at a place."""
        place = traceback.extract_tb(err.__traceback__)[-1]
        key = type(err).__name__, place.filename, place.lineno
        if key not in self.findings:
            path = self.folder / hashlib.sha256(data).hexdigest()[:16]
            path.write_bytes(data)
            traceback.print_exception(err)
            self.findings[key] = str(path), f"{type(err).__name__}: {err}"[:200]

    def tell(self):
        """Print the result and exit: libFuzzer never returns."""
        print(
            json.dumps(
                {
                    "executions": self.executions,
                    "slowest": self.slowest,
                    "findings": list(self.findings.values()),
                }
            ),
            flush=True,
        )
        os._exit(0)


def write_words(path, name):
    """Write a dictionary in libFuzzer's format."""
    path.write_text(
        "".join(
            '"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"\n'
            for word in fuzz.words(name)
        )
    )


def main():
    name, seconds, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    for part in ("learned", "findings", "seeds"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(fuzz.seeds(name)):
        (folder / f"seeds/{number}").write_bytes(data)
    write_words(folder / "words", name)
    logging.disable(logging.WARNING)  # Our mistakes are errors.
    run = FuzzRun(name, seconds, folder / "findings")
    atheris.Setup(
        [
            sys.argv[0],
            str(folder / "learned"),
            str(folder / "seeds"),
            f"-dict={folder / 'words'}",
            f"-max_len={LONGEST}",
            f"-timeout={ENDLESS}",
            f"-rss_limit_mb={INSATIABLE}",
            f"-artifact_prefix={folder / 'findings'}/",
            "-print_final_stats=0",
            "-verbosity=0",
        ],
        run,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
