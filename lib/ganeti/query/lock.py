"""Locks: who holds them, who waits for them. A lock that nobody wants does not exist."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ganeti.constants import FieldKind
from ganeti.locking import LockState
from ganeti.query.base import FieldDef, Kind, Reading, table

_Field = FieldDef[LockState]
_OTHER = FieldKind.OTHER


def _jobs(owners: Iterable[str]) -> list[str]:
    """Owners as Ganeti 3.0 shows them: ids of jobs, as text."""
    return [owner.removeprefix("job/") for owner in owners]


def _rows(reading: Reading, fields: Collection[str]) -> list[LockState]:
    return reading.sources.locks.states()


KIND = Kind(
    "lock",
    "Lock",
    table(
        [
            _Field("name", "Name", _OTHER, "What is locked", lambda row: row.name),
            _Field(
                "mode",
                "Mode",
                _OTHER,
                "How it is held: exclusive, shared, or not at all",
                lambda row: row.mode,
            ),
            _Field("owner", "Owner", _OTHER, "Jobs that hold it", lambda row: _jobs(row.owners)),
            _Field(
                "pending",
                "Pending",
                _OTHER,
                "Jobs that wait for it, and how they want it",
                lambda row: [[mode, _jobs(owners)] for mode, owners in row.pending],
            ),
        ]
    ),
    _rows,
)
