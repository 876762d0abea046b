"""Bytes -> requests, as they come: feed whatever arrived, ask for the next request.

Theory. A connection is a sequence of requests, each a head and a body. The
reader is in one of three phases: IDLE (nothing of the next request is here),
HEAD, BODY. ``feed`` appends, ``next`` goes as far as the bytes allow. What the
bytes mean does not depend on where they were cut: every decision is made either
on a complete unit (head, chunk line, trailer) or on its limit being exceeded.

After an error the reader is dead: where the next request would begin is not
known, so nothing that follows is looked at (RFC 9112, 2.2 and 11.2).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable

from ganeti.http import errors, head
from ganeti.http.message import Request, never

#: Bodies of this API are a few KiB, but for those that may name thousands of objects. (Ganeti
#: reads 10 MiB of everything.)
MAX_BODY, MAX_LARGE_BODY = 1024 * 1024, 10 * 1024 * 1024
#: Extensions of a chunk (RFC 9112, 7.1.1) are ignored; nobody sends long ones.
MAX_CHUNK_EXTENSION = 256
#: Size, extension, CRLF.
MAX_CHUNK_LINE = 8 + MAX_CHUNK_EXTENSION + 2
#: Chunks of a body; each takes us about 2 us. A client that sends JSON as it makes it has
#: hundreds of a few bytes, one that has a million wants us to work for nothing.
MAX_CHUNKS = 4 * 1024
#: Bytes of a head that is remembered: a program that keeps its connection mostly sends the
#: same one again, and reading it is a fifth of all that a small request costs.
MAX_REMEMBERED = 2 * 1024
#: Trailers (RFC 9112, 7.1.2) are checked, and dropped.
MAX_TRAILER = 4 * 1024

_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = rb"(?:" + _NAME + rb'|"[ !#-\[\]-~]*")'
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})((?:;" + _NAME + rb"(?:=" + _VALUE + rb")?)*)")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


#: Method and path of a request -> bytes that its body may have.
BodyLimit = Callable[[str, str], int]


def ordinary(method: str, path: str) -> int:
    """The limit where nothing says more."""
    return MAX_BODY


class Phase(enum.Enum):
    """What the reader waits for."""

    IDLE = "a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"


class RequestReader:
    """Reads one connection's requests.

    ``peer`` and ``gone`` become the requests'.
    """

    def __init__(
        self, *, max_body: BodyLimit = ordinary, peer: str = "", gone: Callable[[], bool] = never
    ) -> None:
        self._max_body = max_body
        self._peer = peer
        self._gone = gone
        #: Whom the client's certificate names; known once hands were shaken.
        self.certificate = ""
        self._buffer = bytearray()
        self._skipped = False  # an empty line before the request
        self._head: head.Head | None = None
        self._last: tuple[bytes, head.Head] | None = None
        self._chunks: _Chunks | None = None
        self._owes_continue = False
        self._error: errors.HttpError | None = None

    @property
    def buffered(self) -> int:
        """Bytes that were fed and belong to no request yet."""
        return len(self._buffer)

    @property
    def held(self) -> int:
        """Bytes that are kept of what is not whole yet."""
        return len(self._buffer) + (self._chunks.size if self._chunks is not None else 0)

    @property
    def phase(self) -> Phase:
        """What the reader waits for, as of the last ``next``."""
        if self._head is not None:
            return Phase.BODY
        if bytes(self._buffer[:3]) in (b"", b"\r", b"\r\n"):
            return Phase.IDLE
        return Phase.HEAD

    def feed(self, data: bytes) -> None:
        """More bytes of the connection."""
        if self._error is None:
            self._buffer += data

    def next(self) -> Request | None:
        """The next request, or None when more bytes are needed.

        Raises ``HttpError``, from then on the same one again.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._next()
        except errors.HttpError as err:
            self._error = err
            self._buffer.clear()
            raise

    def refuse(self, error: errors.HttpError) -> None:
        """Forget what was fed; from now on every ``next`` raises this."""
        self._error = error
        self._buffer = bytearray()
        self._chunks = None

    def end(self) -> None:
        """Nothing more will be read: forget what was fed, and whom requests ask for ``gone``."""
        self._gone = never
        self._buffer = bytearray()
        if self._error is not None:
            self._error.__traceback__ = None  # its frames hold the reader

    def take_continue(self) -> bool:
        """Does the client wait for a 100 (RFC 9110, 10.1.1)? True once for a request."""
        owed, self._owes_continue = self._owes_continue, False
        return owed and self._head is not None and not self._buffer

    def without_body(self) -> Request:
        """The request whose body is still to come, as the last one of its connection."""
        assert self._head is not None
        return self._request(self._head, b"", keep_alive=False)

    def _next(self) -> Request | None:
        if self._head is None:
            if not self._read_head():
                return None
        found = self._head
        assert found is not None
        body = self._read_body(found)
        if body is None:
            return None
        self._head = self._chunks = None
        self._skipped = self._owes_continue = False
        return self._request(found, body, found.keep_alive)

    def _request(self, found: head.Head, body: bytes, keep_alive: bool) -> Request:
        return Request(
            found.method,
            found.target,
            found.path,
            found.query,
            found.version,
            found.headers,
            body,
            found.host,
            self._peer,
            self._gone,
            keep_alive,
            self.certificate,
        )

    # -- the head ---------------------------------------------------------------------

    def _read_head(self) -> bool:
        """Take a head off the buffer; False when it is not complete."""
        buffer = self._buffer
        if not self._skipped and buffer.startswith(b"\r\n"):
            # RFC 9112, 2.2: old clients end a body with one line end too many.
            del buffer[:2]
            self._skipped = True
        line_end = buffer.find(b"\n", 0, head.MAX_LINE)
        if line_end < 0:
            if len(buffer) >= head.MAX_LINE:
                raise errors.UriTooLong("The request line is too long")
            return False
        limit = line_end + 1 + head.MAX_HEADER
        end = buffer.find(b"\r\n\r\n", 0, limit)
        if end < 0:
            if head.has_bare_line_end(buffer[:limit]):
                raise errors.BadRequest("A line does not end with CR LF")
            if len(buffer) >= limit:
                raise errors.HeaderFieldsTooLarge(
                    f"The header is longer than {head.MAX_HEADER} bytes"
                )
            return False
        self._head = self._parse_head(bytes(buffer[:end]))
        del buffer[: end + 4]
        self._begin_body(self._head)
        return True

    def _parse_head(self, block: bytes) -> head.Head:
        """What it means depends on the bytes alone, so the same bytes mean the same."""
        if self._last is not None and self._last[0] == block:
            return self._last[1]
        found = head.parse_head(block)
        self._last = (block, found) if len(block) <= MAX_REMEMBERED else None
        return found

    def _begin_body(self, found: head.Head) -> None:
        if found.length is None:
            self._chunks = _Chunks(self._max_body(found.method, found.path))
        elif found.length and found.length > (limit := self._max_body(found.method, found.path)):
            raise _too_large(limit)
        self._owes_continue = found.expects_continue and found.length != 0

    # -- the body ---------------------------------------------------------------------

    def _read_body(self, found: head.Head) -> bytes | None:
        """Take the body off the buffer; None when it is not complete."""
        if self._chunks is not None:
            return self._chunks.read(self._buffer)
        length = found.length or 0
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body


class _Chunks:
    """A body in chunks (RFC 9112, 7.1)."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._body = bytearray()
        self._count = 0
        self._left = 0  # bytes of the present chunk that are not here yet
        self._data_end = False  # is the CRLF after a chunk's data due?
        self._trailer = False

    @property
    def size(self) -> int:
        """Bytes of the body that are here."""
        return len(self._body)

    def read(self, buffer: bytearray) -> bytes | None:
        """Take what is there off the buffer; the body, once it is complete."""
        while not self._trailer:
            if self._left:
                if not buffer:
                    return None
                self._take_data(buffer)
            elif self._data_end:
                if len(buffer) < 2:
                    return None
                if buffer[:2] != b"\r\n":
                    raise errors.BadRequest("A chunk is not as long as it says")
                del buffer[:2]
                self._data_end = False
            elif not self._read_size(buffer):
                return None
        return bytes(self._body) if self._read_trailer(buffer) else None

    def _take_data(self, buffer: bytearray) -> None:
        part = buffer[: self._left]
        del buffer[: len(part)]
        self._body += part
        self._left -= len(part)
        self._data_end = not self._left

    def _read_size(self, buffer: bytearray) -> bool:
        end = buffer.find(b"\n", 0, MAX_CHUNK_LINE)
        if end < 0:
            if len(buffer) >= MAX_CHUNK_LINE:
                raise errors.BadRequest("The line before a chunk is too long")
            return False
        line = _CHUNK_LINE.fullmatch(buffer, 0, end - 1) if buffer[end - 1 : end] == b"\r" else None
        if line is None or len(line[2]) > MAX_CHUNK_EXTENSION:
            raise errors.BadRequest("The line before a chunk is not its size")
        size = int(line[1], 16)
        del line  # it holds the buffer, which could not shrink
        del buffer[: end + 1]
        self._count += 1
        if self._count > MAX_CHUNKS:
            raise errors.BadRequest(f"The body comes in more than {MAX_CHUNKS} chunks")
        if len(self._body) + size > self._max_body:
            raise _too_large(self._max_body)
        self._left = size
        self._trailer = not size
        return True

    def _read_trailer(self, buffer: bytearray) -> bool:
        if buffer.startswith(b"\r\n"):
            del buffer[:2]
            return True
        end = buffer.find(b"\r\n\r\n", 0, MAX_TRAILER)
        block = bytes(buffer[:MAX_TRAILER] if end < 0 else buffer[:end])
        if head.has_bare_line_end(block) or (end >= 0 and block.endswith(b"\r")):
            raise errors.BadRequest("A line of the trailer does not end with CR LF")
        if end < 0:
            if len(buffer) >= MAX_TRAILER:
                raise errors.BadRequest("The trailer is too long")
            return False
        if _CONTROL.search(block) is not None:
            raise errors.BadRequest("The trailer holds a control character")
        for name, _ in head.parse_fields(block.decode("latin-1").split("\r\n")):
            if name.lower() in head.NO_TRAILERS:
                raise errors.BadRequest(f"Header {name} stands in the trailer")
        del buffer[: end + 4]
        return True


def _too_large(limit: int) -> errors.PayloadTooLarge:
    return errors.PayloadTooLarge(f"The body is longer than {limit} bytes")
