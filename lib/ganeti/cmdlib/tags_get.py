"""OP_TAGS_GET: the tags of one object."""

from __future__ import annotations

from collections.abc import Sequence

from ganeti import opcodes
from ganeti.cmdlib.base import JobContext
from ganeti.cmdlib.tagging import TagUnit
from ganeti.locking import Want


class LUTagsGet(TagUnit[opcodes.OpTagsGet]):
    """Read the tags of one object."""

    RERUN_SAFE = True

    def locks(self) -> Sequence[Want]:
        """Return no locks: a reader sees the last commit."""
        return ()

    def execute(self, run: JobContext) -> list[str]:
        """Return the tags, sorted."""
        return sorted(self.target.tags)
