"""Reading objects with ``Query``: cells become plain values.

``Query`` and not the classic calls: there a field that an older or newer
master does not know fails everything, here it is a cell without a value.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from typing import Any

from ganeti import errors, ht, luxi
from ganeti.constants import ResultStatus
from ganeti.http import errors as http_errors
from ganeti.rapi.baserlib import Exchange


def objects(what: str, fields: Sequence[str], answer: Any) -> list[dict[str, Any]]:
    """The answer of a Query as objects with these fields; null for what has no value."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(
            isinstance(row, list) and len(row) == len(fields) for row in rows):
        raise errors.RequestError(f"the master's answer about {what} is no table: "
                                  + ht.shorten(answer))
    return [dict(zip(fields, map(_value, row))) for row in rows]


def _value(cell: Any) -> Any:
    try:
        status, value = cell
    except (TypeError, ValueError):
        raise errors.RequestError(f"the master answered {ht.shorten(cell)} "
                                  "in the place of a cell") from None
    return value if status == ResultStatus.NORMAL else None


def read(exchange: Exchange, what: str, fields: Sequence[str],
         qfilter: list[Any] | None = None) -> list[dict[str, Any]]:
    """Objects with these fields; null for what has no value."""
    return objects(what, fields, exchange.master.call(luxi.Query(what, list(fields), qfilter)))


def read_one(exchange: Exchange, what: str, fields: Sequence[str], name: str) -> dict[str, Any]:
    """The object of this name (a short one, if it is the only one); else ``NotFound``."""
    found = read(exchange, what, fields, ["==", "name", name])
    if not found:
        raise http_errors.NotFound(detail=f"there is no {what} '{name}'")
    return found[0]


def entries(exchange: Exchange, what: str, uri: str) -> list[dict[str, Any]]:
    """``[{"id", "name", "uri"}]`` of all objects: 2.0's page and its code have one key each."""
    names = [row["name"] for row in read(exchange, what, ["name"])]
    return [{"id": name, "name": name, "uri": f"{uri}/{urllib.parse.quote(str(name), safe='')}"}
            for name in names]
