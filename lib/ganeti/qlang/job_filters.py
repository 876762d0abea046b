"""Job filters (``gnt-filter``): which jobs may begin.

A job filter is for the jobs that match all of its predicates:

    ["jobid", filter]    on ``id``; the value "watermark" is the last job's id of when the
                         job filter was made
    ["opcode", filter]   on the fields of an opcode, ``a.b`` being b of a; any opcode will do
    ["reason", filter]   on ``source``, ``reason`` and ``timestamp`` of an entry in a reason
                         trail; any entry of any opcode will do

The filters within predicates are those of ``filters``. A value that one cannot compare (there
is no such field, it is of another type) does not match. Job filters are applied in order: by
priority, then watermark, then uuid. The first that a job matches decides, unless its action is
CONTINUE:

    "ACCEPT"             the job may begin
    "PAUSE"              it stays in the queue
    "REJECT"             it is canceled
    ["RATE_LIMIT", n]    it may begin while fewer than n others of this job filter have begun
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

from ganeti import ht
from ganeti.errors import ParameterError
from ganeti.qlang import filters

ACCEPT, CONTINUE, PAUSE, REJECT, RATE_LIMIT = (
    "ACCEPT",
    "CONTINUE",
    "PAUSE",
    "REJECT",
    "RATE_LIMIT",
)
_WATERMARK = "watermark"
#: Characters of a text that patterns are tried on: in short texts they are fast (``safe_regex``).
TEXT_SEARCHED = 1000

#: The opcodes of a job as they are shown: ``OP_ID``, parameters, ``reason``.
Ops = Sequence[Mapping[str, Any]]
_Test = Callable[[int, Ops], bool]


@dataclass(frozen=True)
class JobFilter:
    """One job filter, as it is stored and shown; its parts were checked before."""

    uuid: str
    watermark: int
    priority: int
    predicates: list[list[Any]]
    action: str | list[Any]
    reason_trail: list[list[Any]]

    @property
    def order(self) -> tuple[int, int, str]:
        """Return the key by which job filters are sorted."""
        return self.priority, self.watermark, self.uuid

    @property
    def limit(self) -> int | None:
        """Return how many jobs may have begun; None unless the action is RATE_LIMIT."""
        return None if isinstance(self.action, str) else int(self.action[1])

    def matches(self, job_id: int, ops: Ops) -> bool:
        """Do all its predicates hold for a job?"""
        return all(test(job_id, ops) for test in self._tests)

    @cached_property
    def _tests(self) -> list[_Test]:
        return [_TESTS[kind](filters.parse(tree), self.watermark) for kind, tree in self.predicates]


def first_match(job_filters: Iterable[JobFilter], job_id: int, ops: Ops) -> JobFilter | None:
    """Return the first of ``job_filters`` (in their order) that decides about a job, or None."""
    for job_filter in job_filters:
        if job_filter.action != CONTINUE and job_filter.matches(job_id, ops):
            return job_filter
    return None


def normalize(tree: Any) -> Any:
    """Return a filter as it is stored: one spelling for each meaning (as luxid 3.0)."""
    if not isinstance(tree, list) or not tree:
        return tree
    if tree[0] in ("&", "|", "!"):
        return [tree[0], *map(normalize, tree[1:])]
    if tree[0] == "!=":
        return ["!", ["==", *tree[1:]]]
    return ["==" if tree[0] == "=" else tree[0], *tree[1:]]


# -- do values fit? -------------------------------------------------------------------

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


def _is_action(value: str | list[Any]) -> bool:
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


# -- does a job match? ------------------------------------------------------------------


def _holds(test: Callable[[Any], bool], row: Any) -> bool:
    try:
        return test(row)
    except ParameterError:
        return False


def _test_of_id(tree: filters.Filter | None, watermark: int) -> _Test:
    assert tree is not None

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


def _test_of_opcodes(tree: filters.Filter | None, watermark: int) -> _Test:
    assert tree is not None

    def field_of_opcode(path: str) -> filters.FieldAccess[Mapping[str, Any]]:
        return filters.FieldAccess(lambda op: _opcode_field(op, path))

    test = filters.make_test(tree, field_of_opcode)
    return lambda job_id, ops: any(_holds(test, op) for op in ops)


def _opcode_field(op: Mapping[str, Any], path: str) -> Any:
    found: Any = op
    for name in path.split("."):
        if not isinstance(found, Mapping) or found.get(name) is None:
            raise ParameterError(f"The opcode has no '{path}'")
        found = found[name]
    return _searchable(found)


def _test_of_reasons(tree: filters.Filter | None, watermark: int) -> _Test:
    assert tree is not None
    positions = {"source": 0, "reason": 1, "timestamp": 2}

    def field_of_entry(name: str) -> filters.FieldAccess[Sequence[Any]]:
        return filters.FieldAccess(lambda entry: _searchable(entry[positions[name]]))

    test = filters.make_test(tree, field_of_entry)
    return lambda job_id, ops: any(_holds(test, entry) for entry in _entries(ops))


def _entries(ops: Ops) -> Iterable[Sequence[Any]]:
    return (entry for op in ops for entry in op.get("reason") or ())


def _searchable(value: Any) -> Any:
    return value[:TEXT_SEARCHED] if isinstance(value, str) else value


_TESTS: dict[str, Callable[[filters.Filter | None, int], _Test]] = {
    "jobid": _test_of_id,
    "opcode": _test_of_opcodes,
    "reason": _test_of_reasons,
}
