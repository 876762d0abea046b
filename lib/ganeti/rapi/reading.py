"""Reading objects with ``Query``: cells become plain values.

The classic calls (``QueryInstances`` ...) fail as a whole if an older or newer master does not know
a field. In the answer to a ``Query`` such a field is a cell without a value.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import urllib.parse
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ganeti import constants, errors, ht, luxi, serializer
from ganeti.constants import ErrorCode, ResultStatus
from ganeti.http import errors as http_errors
from ganeti.http import negotiation
from ganeti.http.message import state_tag
from ganeti.rapi.baserlib import ResourceRequest
from ganeti.serializer import Json, JsonObject

_NORMAL = int(ResultStatus.NORMAL)
#: Objects that are read and written as JSON at a time; that is some 70 KiB.
BATCH = 50

#: Slot of a URI -> the kind of object that it names.
KIND_OF_SLOT = {
    "instance_name": "instance",
    "node_name": "node",
    "group_name": "group",
    "network_name": "network",
}
#: Kinds whose names are host names, which are not case-sensitive and stored in lower case.
_HOSTS = frozenset({"instance", "node"})


def objects(what: str, fields: Sequence[str], answer: object) -> list[JsonObject]:
    """Return the answer to a ``Query`` as objects with these fields, null for missing values.

    Raises ``errors.RequestError`` for an answer that is not a table of cells.
    """
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == len(fields) for row in rows
    ):
        raise errors.RequestError(
            f"the master's answer about {what} is not a table: " + ht.shorten(answer)
        )
    try:
        # One expression, because a long list has hundreds of thousands of cells.
        return [
            dict(zip(fields, [value if status == _NORMAL else None for status, value in row]))
            for row in rows
        ]
    except (TypeError, ValueError):
        raise errors.RequestError(
            f"the master answered {ht.shorten(rows)} instead of cells"
        ) from None


def read(
    request: ResourceRequest, what: str, fields: Sequence[str], qfilter: list[Json] | None = None
) -> list[JsonObject]:
    """Ask the master for objects, and return them with these fields, null for missing values."""
    return objects(what, fields, request.master.call(luxi.Query(what, list(fields), qfilter)))


#: Returns the master's reply, or raises the error that it answered.
GetReply = Callable[[], luxi.Reply]
#: Makes the rows of a list from one of its questions and the reply to it.
MakeRows = Callable[[luxi.Query, GetReply], list[JsonObject]]


class StreamedList:
    """A list that is too long to be made at once: pieces of its text, and its ETag.

    ``count`` is its approximate length. ``make_rows`` makes the rows from the reply to each of
    ``questions``, of which there is at least one. The master works on a question while the reply
    to the one before becomes text. Nothing is asked while a slow client reads, and no more than
    two replies are kept for it, as bytes.
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
        # An error of the first piece is answered with a status of its own.
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
                # In a list, from which it is popped: a name would keep the piece in memory
                # while it is sent.
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
    """The client has the answer with this ETag already."""

    tag: str


def read_all(
    request: ResourceRequest,
    what: str,
    fields: Sequence[str],
    shape: Callable[[JsonObject], JsonObject] = lambda row: row,
) -> list[JsonObject] | StreamedList | NotModified:
    """Return all objects with these fields, each as ``shape`` returns it.

    If there are more than ``BATCH``, they are read in batches by name, as a real master has no
    other paging, and the name is the key of all kinds that have many objects. Objects that are
    removed meanwhile are left out. Our own master says which state it is in: the list then has an
    ETag before it is made, and is not made for a client that has it already.
    """
    if request.if_none_match and negotiation.has_state_tag(request.if_none_match):
        with contextlib.suppress(errors.GenericError, errors.RequestError):
            # The note is the same beside any answer; there are fewest groups.
            _, tag = _names_and_tag(request, "group", what, fields)
            if tag is not None and negotiation.tag_matches(tag, request.if_none_match):
                return NotModified(tag)
    names, tag = _names_and_tag(request, what, what, fields)
    if len(names) <= BATCH:
        return [shape(row) for row in read(request, what, fields)] if names else []
    # Compressed, similar names take a tenth of the memory while a slow client reads.
    batches = [
        zlib.compress("\n".join(names[start : start + BATCH]).encode(), 1)
        for start in range(0, len(names), BATCH)
    ]
    questions = (
        _question(what, fields, zlib.decompress(batch).decode().split("\n")) for batch in batches
    )

    def make_rows(question: luxi.Query, answer: GetReply) -> list[JsonObject]:
        return [shape(row) for row in _objects_by_name(request, question, answer)]

    return StreamedList(request, len(names), questions, make_rows, tag)


def _names_and_tag(
    request: ResourceRequest, named: str, what: str, fields: Sequence[str]
) -> tuple[list[str], str | None]:
    """Return the names of the kind ``named``, and the ETag of a list of ``what`` read after them.

    The ETag is None if the master does not say which state it is in.
    """
    reply = request.master.ask(luxi.Query(named, ["name"], None, state=what))
    state = reply.notes.get("state")
    form = f"{constants.RELEASE_VERSION} {request.like_2_0}"
    tag = state_tag(form, what, *fields, state) if isinstance(state, str) else None
    return [str(row["name"]) for row in objects(named, ["name"], reply.result)], tag


def any_of(key: str, values: Iterable[Json]) -> list[Json]:
    """Return the filter for objects whose ``key`` has one of these values."""
    return ["|", *(["==", key, value] for value in values)]


def _question(what: str, fields: Sequence[str], names: Sequence[str]) -> luxi.Query:
    return luxi.Query(what, list(fields), any_of("name", names))


def _objects_by_name(
    request: ResourceRequest, question: luxi.Query, answer: GetReply
) -> list[JsonObject]:
    """Return the objects that a question names, without those that have been removed since.

    A master refuses a whole question if one of its names is unknown; halves of it are asked then.
    """
    what, fields = question.what, question.fields
    try:
        return objects(what, fields, answer().result)
    except errors.OpPrereqError as err:
        if err.code != ErrorCode.NOENT:
            raise
    names = [name for _, _, name in (question.qfilter or ())[1:]]
    if len(names) == 1:
        return []
    half = len(names) // 2
    found: list[JsonObject] = []
    for part in (names[:half], names[half:]):
        smaller = _question(what, fields, part)
        found += _objects_by_name(request, smaller, functools.partial(request.master.ask, smaller))
    return found


def stored_name(kind: str, name: str) -> str:
    """Return a name from a URI as a master would store it."""
    return name.lower() if kind in _HOSTS else name


def read_one(request: ResourceRequest, what: str, fields: Sequence[str], name: str) -> JsonObject:
    """Return the object with this name (or unambiguous short name) or UUID.

    Raises ``NotFound``.
    """
    found = read(request, what, fields, ["==", "name", name])
    # A real luxid looks an object up by UUID as well, but its filter then compares the name.
    if not found and ht.is_uuid(name.lower()):
        found = read(request, what, fields, ["==", "uuid", name.lower()])
    if not found:
        raise http_errors.NotFound(detail=f"there is no {what} '{name}'")
    return found[0]


def entries(request: ResourceRequest, what: str, uri: str) -> list[JsonObject]:
    """Return ``[{"id", "name", "uri"}]`` of all objects.

    The page of the 2.0 API has ``id``, its code ``name``.
    """
    names = [row["name"] for row in read(request, what, ["name"])]
    return [
        {"id": name, "name": name, "uri": f"{uri}/{urllib.parse.quote(str(name), safe='')}"}
        for name in names
    ]
