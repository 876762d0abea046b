"""OP_TAGS_SET."""

from __future__ import annotations

from typing import Any

from ganeti import constants, errors, opcodes
from ganeti.cmdlib.base import Run
from ganeti.cmdlib.tagging import TagUnit, check_tags
from ganeti.objects import copy_of


class LUTagsSet(TagUnit[opcodes.OpTagsSet]):
    """Add tags to one object; those that it has already are fine."""

    RERUN_SAFE = True

    def check(self) -> None:
        """Are the tags well formed, and is the object there?"""
        check_tags(self.op.tags)
        super().check()

    def execute(self, run: Run) -> Any:
        """Nothing is written when all tags are there."""
        tags = set(self.target.tags) | set(self.op.tags)
        if len(tags) > constants.MAX_TAGS_PER_OBJECT:
            # Ganeti 3.0 finds this out while it works, hence this class.
            raise errors.OpExecError(f"More than {constants.MAX_TAGS_PER_OBJECT} tags on one "
                                     f"object are too many, this would make {len(tags)}")
        if tags != set(self.target.tags):
            changed = copy_of(self.target)
            changed.tags = sorted(tags)
            self.tx.save(changed)
        return None
