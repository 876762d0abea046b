"""OP_TAGS_SET."""

from __future__ import annotations

from typing import Any

from ganeti import errors, opcodes
from ganeti.cmdlib.base import JobContext
from ganeti.cmdlib.tagging import TagUnit, check_count, check_tags
from ganeti.objects import copy_of


class LUTagsSet(TagUnit[opcodes.OpTagsSet]):
    """Add tags to one object; those that it has already are fine."""

    RERUN_SAFE = True

    def check(self) -> None:
        """Is the object there, and are the tags well formed?"""
        super().check()
        check_tags(self.op.tags)

    def execute(self, run: JobContext) -> Any:
        """Nothing is written when all tags are there."""
        tags = set(self.target.tags) | set(self.op.tags)
        try:
            check_count(tags)
        except errors.TagError as err:
            # Ganeti 3.0 finds this out while it works, hence this class.
            raise errors.OpExecError(f"Error while setting tags: {err}") from err
        if tags != set(self.target.tags):
            changed = copy_of(self.target)
            changed.tags = sorted(tags)
            self.tx.save(changed)
        return None
