"""Job filters: their fields and rows.

As in luxid 3.0, Query looks up no job filter by uuid: an unknown uuid matches nothing and
is not an error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ganeti.constants import FieldKind
from ganeti.qlang.job_filters import JobFilter
from ganeti.query import engine
from ganeti.query.engine import FieldDef, Kind, Reading, Sources, register, table


def _field(
    name: str, title: str, doc: str, getter: Callable[[JobFilter], object]
) -> FieldDef[JobFilter]:
    return FieldDef(name, title, FieldKind.OTHER, doc, getter)


def _rows(reading: Reading, fields: Collection[str]) -> list[JobFilter]:
    return list(reading.sources.queue.filters)


KIND = register(
    Kind(
        "filter",
        "Filter",
        table(
            [
                _field("uuid", "UUID", "UUID of the filter", lambda one: one.uuid),
                _field(
                    "priority",
                    "Priority",
                    "Priority of the filter; lower numbers are applied first",
                    lambda one: one.priority,
                ),
                _field(
                    "watermark",
                    "Watermark",
                    "Id of the last job when the filter was made",
                    lambda one: one.watermark,
                ),
                _field(
                    "predicates",
                    "Predicates",
                    "Conditions that a job must meet",
                    lambda one: one.predicates,
                ),
                _field(
                    "action", "Action", "Action for the jobs that match", lambda one: one.action
                ),
                _field(
                    "reason_trail",
                    "ReasonTrail",
                    "Reasons for the filter, and who gave them",
                    lambda one: one.reason_trail,
                ),
            ]
        ),
        _rows,
    )
)


def plain_rows(
    sources: Sources, uuids: Sequence[str] | None, fields: Sequence[str]
) -> list[list[object]]:
    """Answer QueryFilters: rows of plain values, of these job filters or (no uuids) of all.

    Raise ``OpPrereqError`` for an unknown field.
    """
    getters = engine.known_getters(KIND, fields)
    found = sources.queue.filters
    return engine.plain_rows(getters, [one for one in found if not uuids or one.uuid in uuids])
