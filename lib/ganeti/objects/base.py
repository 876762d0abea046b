"""The base classes of the cluster's objects: their common fields and their stored form."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeVar


@dataclass(kw_only=True)
class ConfigObject:
    """Base of the objects that the configuration stores one by one."""

    uuid: str
    serial_no: int = 1
    ctime: float = 0.0
    mtime: float = 0.0
    tags: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, for the database."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the object of a ``to_dict``; ``TypeError`` for a key of a newer version."""
        return cls(**data)


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_dict()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


@dataclass(kw_only=True)
class Part:
    """A part of an instance: has a uuid, but lives and is stored with its owner."""

    uuid: str
    name: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


_Object = TypeVar("_Object", bound=ConfigObject)


def copy_of(value: _Object) -> _Object:
    """Return a deep copy that may be changed."""
    return copy.deepcopy(value)
