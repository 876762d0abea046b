"""Reading objects with ``Query``: cells become plain values.

``Query`` and not the classic calls: there a field that an older or newer
master does not know fails everything, here it is a cell without a value.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import urllib.parse
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ganeti import constants, errors, ht, luxi, serializer
from ganeti.constants import ErrorCode, ResultStatus
from ganeti.http import errors as http_errors
from ganeti.http import negotiation
from ganeti.http.message import state_tag
from ganeti.rapi.baserlib import ResourceRequest

_NORMAL = int(ResultStatus.NORMAL)
#: Objects that are asked for, and made JSON of, at a time: some 70 KiB.
BATCH = 50


def objects(what: str, fields: Sequence[str], answer: Any) -> list[dict[str, Any]]:
    """The answer of a Query as objects with these fields; null for what has no value."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == len(fields) for row in rows
    ):
        raise errors.RequestError(
            f"the master's answer about {what} is no table: " + ht.shorten(answer)
        )
    try:
        # In one place, as long lists have hundreds of thousands of cells.
        return [
            dict(zip(fields, [value if status == _NORMAL else None for status, value in row]))
            for row in rows
        ]
    except (TypeError, ValueError):
        raise errors.RequestError(
            f"the master answered {ht.shorten(rows)} in the place of cells"
        ) from None


def read(
    request: ResourceRequest, what: str, fields: Sequence[str], qfilter: list[Any] | None = None
) -> list[dict[str, Any]]:
    """Objects with these fields; null for what has no value."""
    return objects(what, fields, request.master.call(luxi.Query(what, list(fields), qfilter)))


#: Raises what the master answered, if that is an error.
GetReply = Callable[[], luxi.Reply]
#: One of many questions, and the answer to it -> what is to be shown of it.
MakeRows = Callable[[luxi.Query, GetReply], list[dict[str, Any]]]


class StreamedList:
    """A list that is too long to be made at once: its text, piece by piece, and its tag.

    ``count`` says how long it will be, about. Of each of ``questions``, at least one,
    ``make_rows`` shows what was answered. The master works on the next one while the answer to
    the last becomes text. Nothing is asked while a slow client reads; what is kept for it
    are two answers, as bytes.
    """

    def __init__(
        self,
        request: ResourceRequest,
        count: int,
        questions: Iterable[luxi.Query],
        make_rows: MakeRows,
        tag: str | None = None,
    ) -> None:
        self.count = count
        pieces = self._make_pieces(request.master, iter(questions), make_rows)
        # What fails at once still becomes an answer of its own.
        self.pieces: Iterator[bytes] = itertools.chain([next(pieces)], pieces)
        self.tag = tag

    @staticmethod
    def _make_pieces(
        master: luxi.BoundClient, questions: Iterator[luxi.Query], make_rows: MakeRows
    ) -> Iterator[bytes]:
        question = next(questions)
        answer = master.begin(question)()
        separator = b"["
        while True:
            following = next(questions, None)
            pending = None if following is None else master.begin(following)
            try:
                rows = make_rows(question, functools.partial(luxi.parse_reply, answer))
                # In a list, as a name here would keep it while it is sent.
                ready = [separator + serializer.dump_bytes(rows)[1:-2]] if rows else []
                del rows
            finally:
                answer = b"" if pending is None else pending()
            if ready:
                yield ready.pop()
                separator = b","
            if following is None:
                break
            question = following
        yield b"]\n" if separator == b"," else b"[]\n"


@dataclass(frozen=True)
class NotModified:
    """The client has the answer already; this is its tag."""

    tag: str


def read_all(
    request: ResourceRequest,
    what: str,
    fields: Sequence[str],
    shape: Callable[[dict[str, Any]], dict[str, Any]] = lambda row: row,
) -> list[dict[str, Any]] | StreamedList | NotModified:
    """All objects with these fields, each as ``shape`` makes it.

    More than ``BATCH`` of them are asked for in parts, by name: that is what a real master
    can do, and the name is the key of all kinds that have many. What vanishes meanwhile is
    left out. Our own master says what state it is in, so that an answer has a tag before
    it is made, and need not be made for a client that has it.
    """
    if request.if_none_match and negotiation.has_state_tag(request.if_none_match):
        with contextlib.suppress(errors.GenericError, errors.RequestError):
            # Groups are what there are fewest of.
            _, tag = _names_and_tag(request, "group", what, fields)
            if tag is not None and negotiation.tag_matches(tag, request.if_none_match):
                return NotModified(tag)
    names, tag = _names_and_tag(request, what, what, fields)
    if len(names) <= BATCH:
        return [shape(row) for row in read(request, what, fields)] if names else []
    # Names that are much alike take a tenth of the memory so, while a slow client reads.
    batches = [
        zlib.compress("\n".join(names[start : start + BATCH]).encode(), 1)
        for start in range(0, len(names), BATCH)
    ]
    questions = (
        _question(what, fields, zlib.decompress(batch).decode().split("\n")) for batch in batches
    )

    def make_rows(question: luxi.Query, answer: GetReply) -> list[dict[str, Any]]:
        return [shape(row) for row in _objects_by_name(request, question, answer)]

    return StreamedList(request, len(names), questions, make_rows, tag)


def _names_and_tag(
    request: ResourceRequest, named: str, what: str, fields: Sequence[str]
) -> tuple[list[str], str | None]:
    """Names of one kind, and the tag of an answer with these fields of a kind just before."""
    reply = request.master.ask(luxi.Query(named, ["name"], None, state=what))
    state = reply.notes.get("state")
    form = f"{constants.RELEASE_VERSION} {request.like_2_0}"
    tag = state_tag(form, what, *fields, state) if isinstance(state, str) else None
    return [row["name"] for row in objects(named, ["name"], reply.result)], tag


def _question(what: str, fields: Sequence[str], names: Sequence[str]) -> luxi.Query:
    return luxi.Query(what, list(fields), ["|", *(["==", "name", name] for name in names)])


def _objects_by_name(
    request: ResourceRequest, question: luxi.Query, answer: GetReply
) -> list[dict[str, Any]]:
    """The objects that a question names, without those that are not there any more."""
    what, fields = question.what, question.fields
    try:
        return objects(what, fields, answer().result)
    except errors.OpPrereqError as err:
        if err.code != ErrorCode.NOENT:
            raise
    # One of them has vanished since; a master refuses the whole question then.
    names = [name for _, _, name in (question.qfilter or ())[1:]]
    if len(names) == 1:
        return []
    half = len(names) // 2
    found = []
    for part in (names[:half], names[half:]):
        smaller = _question(what, fields, part)
        found += _objects_by_name(request, smaller, functools.partial(request.master.ask, smaller))
    return found


def read_one(
    request: ResourceRequest, what: str, fields: Sequence[str], name: str
) -> dict[str, Any]:
    """The object of this name (a short one, if it is the only one) or uuid; else ``NotFound``."""
    found = read(request, what, fields, ["==", "name", name])
    if not found and ht.is_uuid(name.lower()):  # which a real luxid finds, and then compares
        found = read(request, what, fields, ["==", "uuid", name.lower()])
    if not found:
        raise http_errors.NotFound(detail=f"there is no {what} '{name}'")
    return found[0]


def entries(request: ResourceRequest, what: str, uri: str) -> list[dict[str, Any]]:
    """``[{"id", "name", "uri"}]`` of all objects: 2.0's page and its code have one key each."""
    names = [row["name"] for row in read(request, what, ["name"])]
    return [
        {"id": name, "name": name, "uri": f"{uri}/{urllib.parse.quote(str(name), safe='')}"}
        for name in names
    ]
