"""OP_TAGS_DEL: tags removed from one object."""

from __future__ import annotations

from ganeti import errors, opcodes
from ganeti.cmdlib.base import JobContext
from ganeti.cmdlib.tagging import TagUnit, check_tags
from ganeti.constants import ErrorCode
from ganeti.objects import copy_of


class LUTagsDel(TagUnit[opcodes.OpTagsDel]):
    """Remove tags from one object."""

    RERUN_SAFE = True

    def check(self) -> None:
        """Check that the object has each of the tags, and that none is given twice."""
        super().check()
        # Ganeti's pattern lets a trailing newline pass. No stored tag has one: "not found".
        check_tags([tag.removesuffix("\n") for tag in self.op.tags])
        missing = sorted(set(self.op.tags) - set(self.target.tags))
        if missing:
            words = ", ".join(f"'{tag}'" for tag in missing)
            raise errors.OpPrereqError(f"Tag(s) {words} not found", ErrorCode.NOENT)
        if len(set(self.op.tags)) < len(self.op.tags):
            # Not OpPrereqError: Ganeti 3.0 removes them one by one, and fails at the second.
            twice = next(tag for tag in self.op.tags if self.op.tags.count(tag) > 1)
            raise errors.TagError(f"Tag '{twice}' is given twice")

    def execute(self, run: JobContext) -> None:
        """Remove the tags; the result is null."""
        if self.op.tags:
            changed = copy_of(self.target)
            changed.tags = sorted(set(self.target.tags) - set(self.op.tags))
            self.tx.save(changed)
