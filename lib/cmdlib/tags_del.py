"""OP_TAGS_DEL."""

from __future__ import annotations

from typing import Any

from ganeti import errors, opcodes
from ganeti.cmdlib.base import Run
from ganeti.cmdlib.tagging import TagUnit, check_tags
from ganeti.constants import ErrorCode
from ganeti.objects import copy_of


class LUTagsDel(TagUnit[opcodes.OpTagsDel]):
    """Remove tags from one object."""

    RERUN_SAFE = True

    def check(self) -> None:
        """Every tag must be there."""
        check_tags(self.op.tags)
        super().check()
        missing = sorted(set(self.op.tags) - set(self.target.tags))
        if missing:
            words = ", ".join(f"'{tag}'" for tag in missing)
            raise errors.OpPrereqError(f"Tag(s) {words} not found", ErrorCode.NOENT)

    def execute(self, run: Run) -> Any:
        """An empty list changes nothing."""
        if self.op.tags:
            changed = copy_of(self.target)
            changed.tags = sorted(set(self.target.tags) - set(self.op.tags))
            self.tx.save(changed)
        return None
