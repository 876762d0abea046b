"""Job filters: fields and rows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ganeti.constants import FieldKind
from ganeti.qlang.job_filters import JobFilter
from ganeti.query.base import FieldDef, Kind, Reading, table


def _field(
    name: str, title: str, doc: str, getter: Callable[[JobFilter], Any]
) -> FieldDef[JobFilter]:
    return FieldDef(name, title, FieldKind.OTHER, doc, getter)


def _rows(reading: Reading, fields: Collection[str]) -> list[JobFilter]:
    return list(reading.sources.queue.filters)


# As luxid 3.0, Query looks no uuid up: an unknown one does not pass, and is no error.
KIND = Kind(
    "filter",
    "Filter",
    table(
        [
            _field("uuid", "UUID", "What identifies the rule", lambda one: one.uuid),
            _field(
                "priority",
                "Priority",
                "Rules with lower numbers are asked first",
                lambda one: one.priority,
            ),
            _field(
                "watermark",
                "Watermark",
                "The last job when the rule was made",
                lambda one: one.watermark,
            ),
            _field("predicates", "Predicates", "Which jobs it is for", lambda one: one.predicates),
            _field("action", "Action", "What happens to them", lambda one: one.action),
            _field(
                "reason_trail",
                "ReasonTrail",
                "Who made the rule, and why",
                lambda one: one.reason_trail,
            ),
        ]
    ),
    _rows,
)
