"""OP_TAGS_SET: tags added to one object."""

from __future__ import annotations

from ganeti import errors, opcodes
from ganeti.cmdlib.base import JobContext
from ganeti.cmdlib.tagging import TagUnit, check_count, check_tags
from ganeti.objects import copy_of


class LUTagsSet(TagUnit[opcodes.OpTagsSet]):
    """Add tags to one object; it may have some of them already."""

    RERUN_SAFE = True

    def check(self) -> None:
        """Find the object; ``TagError`` if a tag is invalid."""
        super().check()
        check_tags(self.op.tags)

    def execute(self, run: JobContext) -> None:
        """Add the tags; the result is null. Nothing is written if no tag is new."""
        tags = set(self.target.tags) | set(self.op.tags)
        try:
            check_count(tags)
        except errors.TagError as err:
            # Not OpPrereqError: Ganeti 3.0 counts them while it adds them.
            raise errors.OpExecError(f"Error while setting tags: {err}") from err
        if tags != set(self.target.tags):
            changed = copy_of(self.target)
            changed.tags = sorted(tags)
            self.tx.save(changed)
