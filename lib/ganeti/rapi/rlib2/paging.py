"""A page of the list of jobs: which of them, in which order, from where, how many.

Our master is told all of it and answers the page alone. A real one passes the
words over and answers every job, so what it answered is filtered, sorted and
cut here, too; of our master's answer that changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import ROUND_CEILING, Decimal
from typing import Any

from ganeti import errors, ht, luxi
from ganeti.constants import JobStatus
from ganeti.rapi.arguments import Argument, Integer, Words, choice, flag
from ganeti.rapi.baserlib import Exchange
from ganeti.rapi.reading import objects

#: More jobs than this are no page.
MAX_LIMIT = 1000
_MICROSECONDS = 1_000_000
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?", re.ASCII)


class Since(Argument):
    """A time in seconds, read as whole microseconds: what jobs are stamped with."""

    kind = "seconds since 1970"

    def parse(self, values: list[str]) -> int:
        text = values[0].strip()
        if _SECONDS.fullmatch(text) is None:
            raise ValueError(
                f"give seconds since 1970, as 1700000000 or 1700000000.5, not {ht.shorten(text)}"
            )
        return int((Decimal(text) * _MICROSECONDS).to_integral_value(ROUND_CEILING))


#: The words that ask for a page.
STATUS = Words([str(status) for status in JobStatus])
SINCE = Since()
AFTER = Integer(least=0)
ORDER = choice("asc", "desc")
LIMIT = Integer(least=1, most=MAX_LIMIT)
ARCHIVED = flag


@dataclass(frozen=True)
class Page:
    """What the query says; None where it says nothing."""

    status: list[str] | None = None
    since: int | None = None
    after: int | None = None
    order: str | None = None
    limit: int | None = None
    archived: bool | None = None

    def __bool__(self) -> bool:
        """Does the query say anything of it?"""
        return any(getattr(self, item.name) is not None for item in fields(self))

    @property
    def descending(self) -> bool:
        """From the newest down?"""
        return self.order == "desc"

    def to_wire(self) -> dict[str, Any]:
        """The paging of a Query; one job more than the limit shows that there are more."""
        words = {
            "status": self.status,
            "since": None if self.since is None else _as_seconds(self.since),
            "after": self.after,
            "descending": None if self.order is None else self.descending,
            "archived": self.archived,
            "limit": None if self.limit is None else self.limit + 1,
        }
        return {word: value for word, value in words.items() if value is not None}

    def matches(self, job: Mapping[str, Any]) -> bool:
        """Is the job one of these, wherever the page begins and ends?"""
        return (self.status is None or job["status"] in self.status) and (
            self.since is None or _microseconds(job["received_ts"]) >= self.since
        )

    def cut(self, ids: list[int]) -> tuple[list[int], bool]:
        """The jobs of the page in their order, and whether more come after them."""
        after = self.after
        if after is not None:
            ids = [
                number for number in ids if (number < after if self.descending else number > after)
            ]
        ids = sorted(ids, reverse=self.descending)
        return ids[: self.limit], self.limit is not None and len(ids) > self.limit


def _as_seconds(microseconds: int) -> int | float:
    seconds, rest = divmod(microseconds, _MICROSECONDS)
    return microseconds / _MICROSECONDS if rest else seconds


def _microseconds(timestamp: Any) -> int:
    """A pair of seconds and microseconds as one number; before all times when it is none."""
    try:
        seconds, rest = timestamp
        return int(seconds) * _MICROSECONDS + int(rest)
    except (TypeError, ValueError):
        return -1


def number_of(job: Mapping[str, Any]) -> int:
    """The id of a row; raises ``errors.RequestError`` when it is none."""
    number = luxi.parse_job_id(job["id"])
    if number is None:
        raise errors.RequestError(f"the master's answer has a job {ht.shorten(job['id'])}")
    return number


def find(exchange: Exchange, page: Page, uri: str) -> list[int]:
    """The ids of a page; its total and where the next one is become headers of the answer."""
    # A real master lists archived jobs only to those who ask for this field.
    columns = ["id", "status", "received_ts", *(["archived"] if page.archived else [])]
    reply = exchange.master.ask(luxi.Query("job", columns, None, page.to_wire()))
    matching = [
        number_of(job) for job in objects("job", columns, reply.result) if page.matches(job)
    ]
    total = reply.notes.get("total")
    exchange.headers.append(("X-Total-Count", str(total if type(total) is int else len(matching))))
    shown, more = page.cut(matching)
    if more:
        words = exchange.query.with_word("after", shown[-1])
        exchange.headers.append(("Link", f'<{uri}?{words}>; rel="next"'))
    return shown
