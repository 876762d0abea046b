"""HTTP/1.1 messages: bytes to a request, a response to bytes. No sockets.

Theory. A stream of bytes has one meaning here or none. Everything that another
parser might read differently (two lengths, a length and chunks, blanks before
a colon, bare line feeds, folded lines: RFC 9112, sections 2.2, 5, 6 and 11) is
refused, and after a refusal nothing more of the stream is read: where the next
request begins is then a matter of opinion, which is what request smuggling
lives on.

``RequestReader`` is fed whatever arrives, cut anywhere, and gives out requests as
they are complete. It keeps what it has read of the next one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from ganeti.http.errors import (BadRequest, ExpectationFailed, HeaderFieldsTooLarge,
                                HttpVersionNotSupported, NotImplementedMethod, PayloadTooLarge,
                                UriTooLong)

#: A start line beyond this is 414. Ganeti 3.0 reads 8 KiB; a hundred tags fit.
MAX_TARGET = 8192
#: Header lines and their bytes in all, beyond which it is 431. Living clients send ten.
MAX_HEADER_LINES = 64
MAX_HEADER_BYTES = 16384
#: A body beyond this is 413. The largest real one, a multi-allocation, is far smaller.
MAX_BODY = 1024 * 1024
#: Longest chunk extension and trailer section that are passed over.
MAX_CHUNK_LINE = 300
MAX_TRAILER = 4096
#: Digits of a Content-Length; more is no length but an attack on arithmetic.
MAX_LENGTH_DIGITS = 12

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
_TARGET = re.compile(rb"[!-~]+")
_VALUE = re.compile(rb"[\t -~\x80-\xff]*")
_LENGTH = re.compile(rb"[0-9]+")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t -~]{0,256})?")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?", re.ASCII)
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_UNSAFE_HEADER = re.compile("[\r\n\x00]")


class Headers:
    """Header fields, by name in any case; each name may occur several times."""

    def __init__(self, fields: Sequence[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, list[str]] = {}
        for name, value in fields:
            self._fields.setdefault(name.lower(), []).append(value)

    def get(self, name: str) -> str | None:
        """The value, several joined by commas (RFC 9110, 5.3); None if absent."""
        values = self._fields.get(name.lower())
        return None if values is None else ", ".join(values)

    def get_all(self, name: str) -> list[str]:
        """Each value as it came."""
        return list(self._fields.get(name.lower(), ()))

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._fields


def _nobody_left() -> bool:
    return False


@dataclass(frozen=True)
class Request:
    """One request. ``path`` is percent-decoded once, ``query`` is as it came."""

    method: str
    target: str
    path: str
    query: str
    version: tuple[int, int]
    headers: Headers
    body: bytes = b""
    host: str | None = None
    peer: str = ""
    #: Has the client hung up? To be asked during long work.
    gone: Callable[[], bool] = field(default=_nobody_left, compare=False)

    @property
    def keep_alive(self) -> bool:
        """May the connection serve another request (RFC 9112, 9.3)?"""
        options = {word.strip().lower()
                   for word in (self.headers.get("Connection") or "").split(",")}
        if "close" in options:
            return False
        return self.version >= (1, 1) or "keep-alive" in options


@dataclass(frozen=True)
class Response:
    """One response; what the message's framing needs is added by ``serialize``."""

    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    #: The client proved who it is: its connection is the last to be sacrificed.
    authenticated: bool = False
    close: bool = False


# -- responses ------------------------------------------------------------------------

_date = (0, "")


def _now() -> str:
    """The Date header's value; made once a second."""
    global _date
    second = int(time.time())
    if _date[0] != second:
        _date = (second, formatdate(second, usegmt=True))
    return _date[1]


def serialize(response: Response, request: Request | None, *, server: str, close: bool) -> bytes:
    """A response as bytes. ``request`` is None when it could not be read."""
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {response.status} {phrase}", f"Date: {_now()}", f"Server: {server}"]
    for name, value in response.headers:
        if _UNSAFE_HEADER.search(name + value):
            raise ValueError(f"header {name!r} would break the message")
        lines.append(f"{name}: {value}")
    bodiless = response.status in (204, 304) or response.status < 200
    if not bodiless:
        lines.append(f"Content-Length: {len(response.body)}")
    if close:
        lines.append("Connection: close")
    elif request is not None and request.version < (1, 1):
        lines.append("Connection: keep-alive")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    if bodiless or (request is not None and request.method == "HEAD"):
        return head
    return head + response.body


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


# -- requests -------------------------------------------------------------------------


class RequestReader:
    """Turns bytes into requests. After it raised, the stream is finished."""

    def __init__(self, *, max_body: int = MAX_BODY, peer: str = "") -> None:
        self._buffer = bytearray()
        self._max_body = max_body
        self._peer = peer
        self._request: Request | None = None        # head read, body to come
        self._length = 0                            # of the body, unless chunked
        self._chunks: _Chunks | None = None
        #: The client waits for our word before it sends the body.
        self.expects_continue = False

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        self._buffer += data

    @property
    def idle(self) -> bool:
        """Is nothing of a next request there?"""
        return self._request is None and not self._buffer

    @property
    def in_body(self) -> bool:
        """Has the head been read, and is the body awaited?"""
        return self._request is not None

    def next(self) -> Request | None:
        """The next complete request; None if more bytes are needed. Raises ``HttpError``."""
        if self._request is None and not self._read_head():
            return None
        request = self._request
        assert request is not None
        if self._chunks is not None:
            body = self._chunks.read(self._buffer)
            if body is None:
                return None
        else:
            if len(self._buffer) < self._length:
                return None
            body = bytes(self._buffer[:self._length])
            del self._buffer[:self._length]
        self._request = self._chunks = None
        self.expects_continue = False
        return replace(request, body=body) if body else request

    def _read_head(self) -> bool:
        buffer = self._buffer
        # RFC 9112, 2.2: an empty line before the request line is passed over.
        while buffer.startswith(b"\r\n"):
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            self._refuse_endless(buffer)
            return False
        head = bytes(buffer[:end])
        del buffer[:end + 4]
        start, _, rest = head.partition(b"\r\n")
        if len(start) > MAX_TARGET + 64:
            raise UriTooLong(f"the request line is longer than {MAX_TARGET} bytes")
        if len(rest) > MAX_HEADER_BYTES:
            raise HeaderFieldsTooLarge(f"the header is longer than {MAX_HEADER_BYTES} bytes")
        method, target, version = _start_line(start)
        fields = _fields(rest)
        self._request = _request(method, target, version, fields, self._peer)
        self._frame(self._request)
        return True

    @staticmethod
    def _refuse_endless(buffer: bytearray) -> None:
        """Limits and lone line ends are found before the head is complete."""
        line_end = buffer.find(b"\r\n")
        if line_end < 0 and len(buffer) > MAX_TARGET + 64:
            raise UriTooLong(f"the request line is longer than {MAX_TARGET} bytes")
        if len(buffer) > MAX_TARGET + MAX_HEADER_BYTES + 128:
            raise HeaderFieldsTooLarge(f"the header is longer than {MAX_HEADER_BYTES} bytes")
        feed = buffer.find(b"\n")
        if feed == 0 or (feed > 0 and buffer[feed - 1] != 0x0d):
            raise BadRequest("a line ends with a bare line feed")
        if buffer and line_end < 0 and not _TOKEN.match(buffer[:1]) and buffer[0] != 0x0d:
            raise BadRequest("this is no HTTP request")

    def _frame(self, request: Request) -> None:
        """Where does the body end (RFC 9112, 6.3)? Never in two places."""
        headers = request.headers
        codings, lengths = headers.get_all("Transfer-Encoding"), headers.get_all("Content-Length")
        if codings:
            if lengths:
                raise BadRequest("Content-Length and Transfer-Encoding exclude each other")
            if request.version < (1, 1):
                raise BadRequest("HTTP/1.0 has no Transfer-Encoding")
            if [coding.lower() for coding in codings] != ["chunked"]:
                raise NotImplementedMethod("the only Transfer-Encoding read here is chunked")
            self._chunks = _Chunks(self._max_body)
        elif len(lengths) > 1:
            raise BadRequest("there is more than one Content-Length")
        self._length = _content_length(lengths[0], self._max_body) if lengths else 0
        expect = headers.get("Expect")
        if expect is not None and request.version >= (1, 1):
            if expect.lower() != "100-continue":
                raise ExpectationFailed(f"cannot meet the expectation {expect[:80]!r}")
            self.expects_continue = bool(self._chunks or self._length) and not self._buffer


def _start_line(line: bytes) -> tuple[str, str, tuple[int, int]]:
    parts = line.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise BadRequest("the request line is not: method, blank, target, blank, version")
    version = _VERSION.fullmatch(parts[2])
    if version is None:
        raise BadRequest("the request line does not end with a version")
    number = int(version[1]), int(version[2])
    if number[0] != 1 or number > (1, 1):
        raise HttpVersionNotSupported(f"HTTP/{number[0]}.{number[1]} is not spoken here")
    if len(parts[1]) > MAX_TARGET:
        raise UriTooLong(f"the target is longer than {MAX_TARGET} bytes")
    return parts[0].decode("ascii"), parts[1].decode("ascii"), number


def _fields(block: bytes) -> list[tuple[str, str]]:
    """Header lines; strict as RFC 9112, section 5 allows."""
    if not block:
        return []
    lines = block.split(b"\r\n")
    if len(lines) > MAX_HEADER_LINES:
        raise HeaderFieldsTooLarge(f"there are more than {MAX_HEADER_LINES} header lines")
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if line[:1] in (b" ", b"\t"):
            raise BadRequest("a header line is folded")
        if not colon or not _TOKEN.fullmatch(name):
            raise BadRequest("a header line is not: name, colon, value")
        if not _VALUE.fullmatch(value):
            raise BadRequest(f"the header {name.decode('ascii')} holds a control character")
        fields.append((name.decode("ascii"), value.decode("latin-1")))
    return fields


def _request(method: str, target: str, version: tuple[int, int],
             fields: list[tuple[str, str]], peer: str) -> Request:
    headers = Headers(fields)
    hosts = headers.get_all("Host")
    if len(hosts) > 1 or (not hosts and version >= (1, 1)):
        raise BadRequest("HTTP/1.1 needs exactly one Host")
    host = hosts[0] if hosts else None
    if host is not None and not _HOST.fullmatch(host):
        raise BadRequest("the Host is none")
    path = target
    if path[:7].lower() == "http://" or path[:8].lower() == "https://":
        authority, slash, rest = path.partition("//")[2].partition("/")
        if not authority or (host is not None and authority.lower() != host.lower()):
            raise BadRequest("the target names another host than Host")
        path = slash + rest or "/"
    elif target == "*" and method == "OPTIONS":
        path = "/"
    elif not path.startswith("/"):
        raise BadRequest("the target is no path")
    path, _, query = path.partition("?")
    return Request(method, target, _decode(path), query, version, headers, b"", host, peer)


def _decode(path: str) -> str:
    """Percent-decode once; what is no UTF-8, or hides a control character, is refused."""
    if "#" in path or _PERCENT.search(path):
        raise BadRequest("the path is not percent-encoded as it should be")
    if "%" not in path:
        return path
    try:
        decoded = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("the path is not UTF-8") from None
    if any(ord(char) < 32 or ord(char) == 127 for char in decoded):
        raise BadRequest("the path holds a control character")
    return decoded


def _content_length(text: str, limit: int) -> int:
    if not _LENGTH.fullmatch(text.encode("latin-1")):
        raise BadRequest("Content-Length is no number")
    if len(text) > MAX_LENGTH_DIGITS or int(text) > limit:
        raise PayloadTooLarge(f"the body is longer than {limit} bytes")
    return int(text)


class _Chunks:
    """A chunked body (RFC 9112, 7.1) as it arrives."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()
        self._left: int | None = None               # of the present chunk, with its CRLF
        self._trailer = False

    def read(self, buffer: bytearray) -> bytes | None:
        """Take what is there; the body when it is complete."""
        while True:
            if self._trailer:
                return bytes(self._body) if self._end(buffer) else None
            if self._left is None:
                line = _chunk_line(buffer)
                if line is None:
                    return None
                size = int(line, 16)
                if len(self._body) + size > self._limit:
                    raise PayloadTooLarge(f"the body is longer than {self._limit} bytes")
                if size == 0:
                    self._trailer = True
                    continue
                self._left = size
            if len(buffer) < self._left + 2:
                return None
            if buffer[self._left:self._left + 2] != b"\r\n":
                raise BadRequest("a chunk does not end where it says")
            self._body += buffer[:self._left]
            del buffer[:self._left + 2]
            self._left = None

    def _end(self, buffer: bytearray) -> bool:
        """Pass over the trailer section; its fields are never merged into the header."""
        if buffer.startswith(b"\r\n"):
            del buffer[:2]
            return True
        end = buffer.find(b"\r\n\r\n")
        if max(end, 0) > MAX_TRAILER or (end < 0 and len(buffer) > MAX_TRAILER):
            raise HeaderFieldsTooLarge("the trailer is too long")
        if end < 0:
            return False
        _fields(bytes(buffer[:end]))
        del buffer[:end + 4]
        return True


def _chunk_line(buffer: bytearray) -> bytes | None:
    end = buffer.find(b"\r\n")
    if end < 0:
        if len(buffer) > MAX_CHUNK_LINE:
            raise BadRequest("a chunk's size line is too long")
        if b"\n" in buffer:
            raise BadRequest("a line ends with a bare line feed")
        return None
    line = _CHUNK.fullmatch(buffer[:end])
    if line is None:
        raise BadRequest("a chunk's size is none")
    size = bytes(line[1])
    del buffer[:end + 2]
    return size
