"""Findings of the verification: one line of the job's log for each.

People and scripts read these lines, so their form is Ganeti 3.0's:
``  - ERROR: node NAME: words``, or with error codes
``  - ERROR:ENODEHV:node:NAME:words``. An error whose code is in ``ignore_errors``
is written as a warning.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from ganeti.cmdlib.base import JobContext


class Code(StrEnum):
    """Kinds of findings; the values are Ganeti's names for them."""

    CLUSTER = "ECLUSTERCFG"
    DANGLING_NODE = "ECLUSTERDANGLINGNODES"
    DANGLING_INSTANCE = "ECLUSTERDANGLINGINST"
    NODE_DOWN = "ENODERPC"
    NODE_HYPERVISOR = "ENODEHV"
    NODE_N1 = "ENODEN1"
    NODE_OS = "ENODEOS"
    ORPHAN = "ENODEORPHANINSTANCE"
    INSTANCE_DOWN = "EINSTANCEDOWN"
    INSTANCE_DISK = "EINSTANCEMISSINGDISK"
    INSTANCE_LAYOUT = "EINSTANCELAYOUT"
    INSTANCE_PARAMETERS = "EINSTANCEBADNODE"
    INSTANCE_POLICY = "EINSTANCEPOLICY"
    INSTANCE_WRONG_NODE = "EINSTANCEWRONGNODE"
    INSTANCE_UP = "EINSTANCEUP"


#: Second letter of a code -> the kind of object that it is about.
_KINDS = {"C": "cluster", "N": "node", "I": "instance"}

#: The finding that ``debug_simulate_errors`` asks for.
SIMULATED_ERROR = "simulated error (debug_simulate_errors)"


class Findings:
    """Writer of findings; ``good`` turns false with the first error."""

    def __init__(self, run: JobContext, *, error_codes: bool, ignored: Collection[str]) -> None:
        self._run = run
        self._codes = error_codes
        self._ignored = frozenset(ignored)
        self.good = True

    def section(self, what: str) -> None:
        """Announce the next part of the verification."""
        self._run.log(f"* {what}")

    def error(self, code: Code, name: str, text: str) -> None:
        """Report an error of the object ``name``; a warning if its code is ignored."""
        if code in self._ignored:
            self.warning(code, name, text)
        else:
            self.good = False
            self._write("ERROR", code, name, text)

    def warning(self, code: Code, name: str, text: str) -> None:
        """Report a problem that does not make the verification fail."""
        self._write("WARNING", code, name, text)

    def note(self, text: str) -> None:
        """Report something that was skipped or is worth knowing."""
        self._run.log(f"  - NOTICE: {text}")

    def _write(self, level: str, code: Code, name: str, text: str) -> None:
        kind = _KINDS[code[1]]
        if self._codes:
            self._run.log(f"  - {level}:{code}:{kind}:{name}:{text}")
        else:
            self._run.log(f"  - {level}: {kind} {name}: {text}")
