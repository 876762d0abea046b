"""What verification says, and how: one line of the job's log for each finding.

The form of a line is Ganeti 3.0's, since people and scripts read it:
``  - ERROR: node NAME: words``, or with error codes
``  - ERROR:ENODEHV:node:NAME:words``. A code in ``ignore_errors`` makes a
warning of an error.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from ganeti.cmdlib.base import JobContext


class Code(StrEnum):
    """Kinds of finding, with Ganeti's names for them."""

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


#: Part of the cluster that each code is about.
_KINDS = {"C": "cluster", "N": "node", "I": "instance"}


class Findings:
    """Writes findings, and remembers whether there was an error."""

    def __init__(self, run: JobContext, *, error_codes: bool, ignored: Collection[str]) -> None:
        self._run = run
        self._codes = error_codes
        self._ignored = frozenset(ignored)
        self.good = True

    def section(self, what: str) -> None:
        """Say what is looked at now."""
        self._run.log(f"* {what}")

    def error(self, code: Code, name: str, text: str) -> None:
        """Something is wrong with the thing of this name."""
        if code in self._ignored:
            self.warning(code, name, text)
        else:
            self.good = False
            self._write("ERROR", code, name, text)

    def warning(self, code: Code, name: str, text: str) -> None:
        """Something is not as it should be, and still counts as good."""
        self._write("WARNING", code, name, text)

    def note(self, text: str) -> None:
        """Something that was left out, or is worth knowing."""
        self._run.log(f"  - NOTICE: {text}")

    def _write(self, level: str, code: Code, name: str, text: str) -> None:
        kind = _KINDS[code[1]]
        if self._codes:
            self._run.log(f"  - {level}:{code}:{kind}:{name}:{text}")
        else:
            self._run.log(f"  - {level}: {kind} {name}: {text}")
