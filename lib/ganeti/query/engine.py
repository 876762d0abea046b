"""Answers queries: which fields, which rows, which of them pass the filter.

A filter that only names things (``qlang.filters.keys``) is not a test but a list of
what to look up: rows come in its order, and an unknown name is an error. With
any other filter, rows come in the kind's own order, and what is unknown does
not pass. (Ganeti 3.0; its clients rely on both.)

A page of jobs (``paging`` of ``luxi.Query``) is found by the database's indexes, so it costs
what is on the page and not what is in the queue.

The state of a kind is one word that is cheap to make. Two answers to the same question are the
same if the word was the same before both. It changes with the whole configuration and with
every guest's state, so it may change more often than an answer does, and it means nothing to
another process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ganeti import errors, ht, luxi
from ganeti.constants import ErrorCode, JobStatus, ResultStatus
from ganeti.jqueue.listing import JobPage
from ganeti.qlang import filters
from ganeti.query import (
    group,
    instance,
    job,
    job_filter,
    node,
    others,
)
from ganeti.query.base import FieldDef, Kind, Reading, Sources, unknown
from ganeti.utils.text import nice_key, nice_sorted

# -- queries ---------------------------------------------------------------------------

KINDS: dict[str, Kind[Any]] = {
    kind.name: kind
    for kind in (
        instance.KIND,
        node.KIND,
        group.KIND,
        job.KIND,
        others.LOCK,
        others.NETWORK,
        others.EXPORT,
        job_filter.KIND,
    )
}

#: Kinds that Ganeti asks through opcodes only.
_BY_OPCODE = frozenset({"cluster", "os", "extstorage"})

_NORMAL = int(ResultStatus.NORMAL)


def answer(sources: Sources, call: luxi.Query) -> dict[str, Any] | luxi.Reply:
    """Return the answer to a Query, with the note that ``paging`` or ``state`` asks for."""
    if call.paging is not None and call.what == "job":
        return run_page(sources, call.fields, call.qfilter, call.paging)
    # Read before the rows: a change in between then makes another state for the same answer,
    # never another answer for the same state.
    state = None if call.state is None else state_of(sources, call.state)
    found = run(sources, call.what, call.fields, call.qfilter)
    return found if state is None else luxi.Reply(found, {"state": state})


def run(
    sources: Sources,
    what: str,
    fields: Sequence[str],
    filter_: object,
    page: Callable[[Reading], Iterable[Any]] | None = None,
) -> dict[str, Any]:
    """Query: ``{"fields": [definition, ...], "data": [[[status, value], ...], ...]}``.

    ``page`` gives the rows instead of the kind; the filter holds within it.

    ``ParameterError`` for what is wrong with kind or filter, ``OpPrereqError``
    (unknown_entity) for a name that is looked up and not found.
    """
    kind = _kind(what)
    tree = None if filter_ is None else filters.parse(filter_)
    chosen = [kind.fields.get(name) or unknown(name) for name in fields]
    test = None if tree is None else filters.make_test(tree, lambda name: _access(kind, name))
    needed = set(fields) if tree is None else {*fields, *filters.fields(tree)}
    reading = Reading(sources, live=_is_live(kind, needed), needed=needed)
    if page is not None:
        rows = list(filter(test, page(reading)))
    elif (keys := _keys(kind, tree)) is not None:
        rows = _look_up(kind, reading, keys)
    else:
        rows = list(filter(test, kind.rows(reading, fields)))
    getters = [item.getter for item in chosen]
    return {
        "fields": [item.definition() for item in chosen],
        "data": [
            [
                [int(value), None] if value.__class__ is ResultStatus else [_NORMAL, value]
                for value in [get(row) for get in getters]
            ]
            for row in rows
        ],
    }


def field_list(what: str, names: Sequence[str] | None) -> dict[str, Any]:
    """QueryFields: ``{"fields": [definition, ...]}``, of these or of all in order."""
    kind = _kind(what)
    return {
        "fields": [
            (kind.fields.get(name) or unknown(name)).definition()
            for name in names or nice_sorted(list(kind.fields))
        ]
    }


def classic(
    sources: Sources, what: str, names: Sequence[str], fields: Sequence[str]
) -> list[list[Any]]:
    """Rows of plain values, of these or (no names) of all, in the kind's order.

    Unknown names give no row; unknown fields are an ``OpPrereqError``.
    """
    kind = _kind(what)
    getters = _known(kind, fields)
    reading = Reading(sources, live=_is_live(kind, fields), needed=fields)
    if not names or kind.named is None:
        return _plain(getters, kind.rows(reading, fields))
    assert kind.key is not None
    key = kind.fields[kind.key].getter
    found = {key(row): row for row in kind.named(reading, names) if row is not None}
    return _plain(getters, [found[name] for name in sorted(found, key=nice_key)])


def job_rows(sources: Sources, ids: Sequence[int] | None, fields: Sequence[str]) -> list[list[Any]]:
    """QueryJobs: rows of plain values, of these jobs in the order asked, or of all.

    A job that does not exist has its id and nothing else.
    """
    getters = _known(job.KIND, fields)
    reading = Reading(sources, live=False, needed=fields)
    if ids is None:
        return _plain(getters, job.KIND.rows(reading, fields))
    assert job.KIND.named is not None
    return _plain(getters, job.KIND.named(reading, ids))


def filter_rows(
    sources: Sources, uuids: Sequence[str] | None, fields: Sequence[str]
) -> list[list[Any]]:
    """QueryFilters: rows of plain values, of these job filters or (none named) of all."""
    getters = _known(job_filter.KIND, fields)
    found = sources.queue.filters
    return _plain(getters, [one for one in found if not uuids or one.uuid in uuids])


# -- kinds and fields ------------------------------------------------------------------


def _kind(what: str) -> Kind[Any]:
    if what in _BY_OPCODE:
        raise errors.GenericError(f"Queries for '{what}' are not supported")
    if what not in KINDS:
        raise errors.ParameterError(
            f"There is nothing called {ht.shorten(what)} to ask for, only {', '.join(KINDS)}"
        )
    return KINDS[what]


def _known(kind: Kind[Any], fields: Sequence[str]) -> list[Callable[[Any], Any]]:
    unknown_names = [name for name in fields if name not in kind.fields]
    if unknown_names:
        raise errors.OpPrereqError(
            "Unknown output fields selected: " + ", ".join(unknown_names), ErrorCode.INVAL
        )
    return [kind.fields[name].getter for name in fields]


def _is_live(kind: Kind[Any], fields: Collection[str]) -> bool:
    return any(name in kind.fields and kind.fields[name].live for name in fields)


def _access(kind: Kind[Any], name: str) -> filters.FieldAccess[Any]:
    found: FieldDef[Any] | None = kind.fields.get(name)
    if found is None:
        raise errors.ParameterError(f"There is no field '{name}' to filter by")
    return filters.FieldAccess(found.getter, found.comparison)


# -- rows --------------------------------------------------------------------------------


def _keys(kind: Kind[Any], tree: filters.Filter | None) -> list[Any] | None:
    """Return the keys to look up, or None if the filter does more than name things."""
    keys = None if tree is None or kind.key is None else filters.keys(tree, kind.key)
    for key in keys or ():
        if not isinstance(key, kind.key_type):
            raise errors.ParameterError(
                f"Field '{kind.key}' cannot be compared with {ht.shorten(key)}: it is "
                + ("a number" if kind.key_type is int else "a string")
            )
    return keys


def _look_up(kind: Kind[Any], reading: Reading, keys: Sequence[Any]) -> list[Any]:
    assert kind.named is not None
    found = kind.named(reading, keys)
    for key, row in zip(keys, found):
        if row is None:
            raise errors.OpPrereqError(f"{kind.label} name {key} not found", ErrorCode.NOENT)
    return list(found)


def _plain(getters: Sequence[Callable[[Any], Any]], rows: Iterable[Any]) -> list[list[Any]]:
    found = [[get(row) for get in getters] for row in rows]
    return [[None if isinstance(value, ResultStatus) else value for value in row] for row in found]


# -- the state of a kind ---------------------------------------------------------------


def state_of(sources: Sources, what: str) -> str | None:
    """The word for a kind's state; None for kinds that depend on more than this."""
    if what != "instance":
        return None
    config = sources.config.generation.token
    reading = Reading(sources, live=True, needed=())
    guests = 0
    for member in sources.config.nodes():
        found = reading.guests(member)
        guests ^= hash(
            (member.uuid, found if isinstance(found, ResultStatus) else frozenset(found.items()))
        )
    return f"{config}.{guests & (2**64 - 1):x}"


# -- pages of jobs ---------------------------------------------------------------------


def run_page(
    sources: Sources, fields: Sequence[str], filter_: object, paging: Mapping[str, Any]
) -> luxi.Reply:
    """The answer of a Query; its note ``total`` counts without ``after`` and ``limit``."""
    page = read_page(paging)
    total = 0

    def rows(reading: Reading) -> list[job.JobRow]:
        nonlocal total
        heads, total = sources.queue.heads(page)
        if job.HEAD_FIELDS.issuperset(reading.needed):
            return [job.JobRow(head.id, head) for head in heads]
        return [
            row for row in job.named(reading, [head.id for head in heads]) if row.job is not None
        ]

    answer = run(sources, "job", fields, filter_, rows)
    return luxi.Reply(answer, {"total": total})


def read_page(paging: Mapping[str, Any]) -> JobPage:
    """The page that is wanted; ``OpPrereqError`` names what is wrong."""
    found = {name: paging.get(name) for name in _CHECKS}
    for name, value in found.items():
        if value is not None and not _CHECKS[name].fits(value):
            raise errors.OpPrereqError(
                f"paging: {name} must be {_CHECKS[name].expects}, not {ht.shorten(value)}",
                ErrorCode.INVAL,
            )
    unknown_keys = sorted(set(paging) - set(_CHECKS))
    if unknown_keys:
        raise errors.OpPrereqError(f"paging has no {unknown_keys[0]}", ErrorCode.INVAL)
    status, since = found["status"], found["since"]
    unknown_statuses = sorted(set(status or ()) - set(map(str, JobStatus)))
    if unknown_statuses:
        raise errors.OpPrereqError(
            f"paging: there is no status {unknown_statuses[0]!r}", ErrorCode.INVAL
        )
    return JobPage(
        status=None if status is None else frozenset(status),
        since_us=None if since is None else round(since * 1_000_000),
        after=found["after"],
        descending=bool(found["descending"]),
        archived=bool(found["archived"]),
        limit=None if found["limit"] is None else min(found["limit"], 2**31),
    )


_CHECKS: dict[str, ht.Check] = {
    "status": ht.check_for(list[str]),
    "since": ht.check_for(float),
    "after": ht.check_for(ht.NonNegativeInt),
    "descending": ht.check_for(bool),
    "archived": ht.check_for(bool),
    "limit": ht.check_for(ht.PositiveInt),
}
