"""The base classes of the cluster's objects: their common fields and their stored form."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(kw_only=True)
class ConfigObject:
    """Base of the objects that the configuration stores one by one.

    The stored form is a JSON object with the attributes as its keys.
    """

    uuid: str
    serial_no: int = 1
    ctime: float = 0.0
    mtime: float = 0.0
    tags: list[str] = field(default_factory=list)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the object with this stored form; raise ``TypeError`` for unknown keys."""
        return cls(**data)


@dataclass(kw_only=True)
class Part:
    """A part of an instance: has a uuid, but lives and is stored with its owner."""

    uuid: str
    name: str | None = None


#: Returns a deep copy of an object, which the caller may change.
copy_of = copy.deepcopy
