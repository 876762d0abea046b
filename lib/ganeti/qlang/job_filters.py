"""Job filters (``gnt-filter``): rules that decide which jobs may start.

A job filter applies to the jobs that match all of its predicates:

    ["jobid", filter]    tests ``id``; the value "watermark" stands for the id of the last job
                         when the job filter was created
    ["opcode", filter]   tests the fields of opcodes, ``a.b`` being b of a; one opcode of the job
                         must match
    ["reason", filter]   tests ``source``, ``reason`` and ``timestamp`` of entries in reason
                         trails; one entry of one opcode must match

The filters in predicates are those of ``filters``. A value that cannot be compared (a field that
does not exist, another type) does not match. Job filters are applied in order: by priority, then
watermark, then uuid. The first one that a job matches decides, unless its action is CONTINUE:

    "ACCEPT"             the job may start
    "PAUSE"              the job stays in the queue
    "REJECT"             the job is canceled
    ["RATE_LIMIT", n]    the job may start while fewer than n others of this job filter have
                         started and not ended
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, TypeVar

from ganeti import ht
from ganeti.errors import ParameterError
from ganeti.qlang import filters
from ganeti.serializer import Json

ACCEPT, CONTINUE, PAUSE, REJECT, RATE_LIMIT = (
    "ACCEPT",
    "CONTINUE",
    "PAUSE",
    "REJECT",
    "RATE_LIMIT",
)
_WATERMARK = "watermark"
#: Characters of a text in which patterns are searched: short texts keep this fast (``safe_regex``).
TEXT_SEARCHED = 1000

#: The opcodes of a job as they are shown: ``OP_ID``, parameters, ``reason``.
Ops = Sequence[Mapping[str, Any]]
_Test = Callable[[int, Ops], bool]


@dataclass(frozen=True)
class JobFilter:
    """A job filter as it is stored and shown, with valid values."""

    uuid: str
    watermark: int
    priority: int
    predicates: list[Predicate]
    action: Action
    reason_trail: list[list[Json]]

    @property
    def order(self) -> tuple[int, int, str]:
        """Return the key by which job filters are sorted."""
        return self.priority, self.watermark, self.uuid

    @property
    def limit(self) -> int | None:
        """Return how many jobs may have begun; None unless the action is RATE_LIMIT."""
        return None if isinstance(self.action, str) else int(self.action[1])

    def matches(self, job_id: int, ops: Ops) -> bool:
        """Return whether a job matches all predicates."""
        return all(test(job_id, ops) for test in self._tests)

    @cached_property
    def _tests(self) -> list[_Test]:
        return [_TESTS[kind](_parse(tree), self.watermark) for kind, tree in self.predicates]


def first_match(job_filters: Iterable[JobFilter], job_id: int, ops: Ops) -> JobFilter | None:
    """Return the first of some job filters in order that decides about a job, or None."""
    for job_filter in job_filters:
        if job_filter.action != CONTINUE and job_filter.matches(job_id, ops):
            return job_filter
    return None


def normalize(tree: Json) -> Json:
    """Return a filter in the form in which it is stored: with ``==`` alone for ``=`` and ``!=``, as
    luxid 3.0 does."""
    if not isinstance(tree, list) or not tree:
        return tree
    if tree[0] in ("&", "|", "!"):
        return [tree[0], *map(normalize, tree[1:])]
    if tree[0] == "!=":
        return ["!", ["==", *tree[1:]]]
    return ["==" if tree[0] == "=" else tree[0], *tree[1:]]


# -- the types of a job filter's values -----------------------------------------------

_FIELDS = {"jobid": {"id"}, "reason": {"source", "reason", "timestamp"}, "opcode": None}


def _is_predicate(value: list[Any]) -> bool:
    if len(value) != 2:
        return False
    kind, data = value
    if not isinstance(kind, str) or kind not in _FIELDS:
        return False
    try:
        tree = filters.parse(data)
    except ParameterError:
        return False
    allowed = _FIELDS[kind]
    return tree is not None and (allowed is None or filters.fields(tree) <= allowed)


def _is_action(value: str | list[Json]) -> bool:
    if isinstance(value, str):
        return value in (ACCEPT, CONTINUE, PAUSE, REJECT)
    if len(value) != 2 or value[0] != RATE_LIMIT:
        return False
    limit = value[1]
    return isinstance(limit, int) and not isinstance(limit, bool) and limit > 0


Predicate = Annotated[
    list[Any],
    ht.Refinement(
        '["jobid", filter on id], ["opcode", filter] or '
        '["reason", filter on source, reason and timestamp]',
        _is_predicate,
    ),
]
Action = Annotated[
    str | list[Any],
    ht.Refinement(
        '"ACCEPT", "CONTINUE", "PAUSE", "REJECT" or ["RATE_LIMIT", 1 or more]', _is_action
    ),
]


# -- tests of jobs ----------------------------------------------------------------------

_Row = TypeVar("_Row")


def _parse(data: Json) -> filters.Filter:
    """Return the tree of a predicate's filter, which is never null."""
    return filters.parse(data) or filters.And(())


def _holds(test: Callable[[_Row], bool], row: _Row) -> bool:
    """Return the result of a test, False if the row has a value that it cannot compare."""
    try:
        return test(row)
    except ParameterError:
        return False


def _test_of_id(tree: filters.Filter, watermark: int) -> _Test:
    def job_id_itself(_: str) -> filters.FieldAccess[int]:
        return filters.FieldAccess(lambda job_id: job_id)

    test = filters.make_test(_with_watermark(tree, watermark), job_id_itself)
    return lambda job_id, ops: _holds(test, job_id)


def _with_watermark(tree: filters.Filter, watermark: int) -> filters.Filter:
    if isinstance(tree, (filters.And, filters.Or)):
        return replace(tree, parts=tuple(_with_watermark(part, watermark) for part in tree.parts))
    if isinstance(tree, filters.Not):
        return filters.Not(_with_watermark(tree.part, watermark))
    if isinstance(tree, filters.Compare) and tree.value == _WATERMARK:
        return replace(tree, value=watermark)
    return tree


def _test_of_opcodes(tree: filters.Filter, watermark: int) -> _Test:
    def field_of_opcode(path: str) -> filters.FieldAccess[Mapping[str, Any]]:
        return filters.FieldAccess(lambda op: _opcode_field(op, path))

    test = filters.make_test(tree, field_of_opcode)
    return lambda job_id, ops: any(_holds(test, op) for op in ops)


def _opcode_field(op: Mapping[str, Any], path: str) -> object:
    """Return the value at a path such as ``a.b``; raises ``ParameterError`` if it has none."""
    found: object = op
    for name in path.split("."):
        if not isinstance(found, Mapping) or found.get(name) is None:
            raise ParameterError(f"The opcode has no '{path}'")
        found = found[name]
    return _searchable(found)


def _test_of_reasons(tree: filters.Filter, watermark: int) -> _Test:
    positions = {"source": 0, "reason": 1, "timestamp": 2}

    def field_of_entry(name: str) -> filters.FieldAccess[Sequence[Any]]:
        return filters.FieldAccess(lambda entry: _searchable(entry[positions[name]]))

    test = filters.make_test(tree, field_of_entry)
    return lambda job_id, ops: any(_holds(test, entry) for entry in _entries(ops))


def _entries(ops: Ops) -> Iterable[Sequence[Any]]:
    return (entry for op in ops for entry in op.get("reason") or ())


def _searchable(value: object) -> object:
    """Return a value whose text is short enough to search."""
    return value[:TEXT_SEARCHED] if isinstance(value, str) else value


_TESTS: dict[str, Callable[[filters.Filter, int], _Test]] = {
    "jobid": _test_of_id,
    "opcode": _test_of_opcodes,
    "reason": _test_of_reasons,
}
