"""OP_TAGS_GET."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ganeti import opcodes
from ganeti.cmdlib.base import JobContext
from ganeti.cmdlib.tagging import TagUnit
from ganeti.locking import Want


class LUTagsGet(TagUnit[opcodes.OpTagsGet]):
    """Answer the tags of one object, sorted."""

    RERUN_SAFE = True

    def locks(self) -> Sequence[Want]:
        """None: a reader sees the last commit."""
        return ()

    def execute(self, run: JobContext) -> Any:
        """List of tags."""
        return sorted(self.target.tags)
