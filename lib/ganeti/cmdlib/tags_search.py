"""OP_TAGS_SEARCH: a search through the tags of all objects."""

from __future__ import annotations

from collections.abc import Iterator

from ganeti import errors, opcodes
from ganeti.cmdlib.base import JobContext, LogicalUnit
from ganeti.constants import ErrorCode
from ganeti.objects import ConfigObject
from ganeti.qlang import safe_regex


class LUTagsSearch(LogicalUnit[opcodes.OpTagsSearch]):
    """Search the tags of all objects for a regular expression."""

    RERUN_SAFE = True

    def check(self) -> None:
        """Compile the pattern; ``OpPrereqError`` if it is invalid or could take too long."""
        try:
            self._pattern = safe_regex.compile_pattern(self.op.pattern)
        except ValueError as err:
            raise errors.OpPrereqError(str(err), ErrorCode.INVAL) from err

    def execute(self, run: JobContext) -> list[list[str]]:
        """Search; the result is a list of ``[path of the object, tag]``.

        The paths are those that Ganeti's ``gnt-cluster search-tags`` prints.
        """
        return [
            [path, tag]
            for path, target in self._targets()
            for tag in target.tags
            if self._pattern.search(tag)
        ]

    def _targets(self) -> Iterator[tuple[str, ConfigObject]]:
        yield "/cluster", self.config.cluster
        for instance in self.config.instances():
            yield f"/instances/{instance.name}", instance
        for node in self.config.nodes():
            yield f"/nodes/{node.name}", node
        for group in self.config.groups():
            yield f"/nodegroup/{group.name}", group
