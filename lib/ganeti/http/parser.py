"""Bytes -> requests, as they come: feed whatever arrived, ask for the next request.

Theory. Whoever is in front of us (a proxy, a balancer, a log) reads the same bytes; where
two readers may differ, a request can be smuggled past one of them. So nothing is repaired
and nothing guessed: a head that RFC 9112 does not allow is refused, also where it lets us be
lenient. The checks and their order depend on the bytes alone, never on how they arrived.

A connection is a sequence of requests, each a head and a body. The parser is in one of three
states: IDLE (nothing of the next request is here), HEAD, BODY. ``feed`` appends, ``next``
goes as far as the bytes allow. What the bytes mean does not depend on where they were cut:
every decision is made either on a complete unit (head, chunk line, trailer) or on its limit
being exceeded.

After an error the parser is dead: where the next request would begin is not known, so nothing
that follows is looked at (RFC 9112, 2.2 and 11.2).

One liberty is Ganeti's: a method counts in any case of letters, as its own daemon upper-cases
it. Only HEAD changes where an answer ends, and a proxy may know no ``head``; so the
connection ends after the answer to one that is not in capitals.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Callable
from urllib.parse import unquote

from ganeti.http import errors
from ganeti.http.message import TOKEN, Headers, Request, RequestHead, Route, never

# -- the head of a request -------------------------------------------------------------


#: Longer than any method; longer words are not read to the end.
MAX_METHOD = 32
#: What RFC 9112, 3 asks to support at least; ``?tag=`` repeated 60 times fits.
MAX_TARGET = 8 * 1024
#: Method, target, version, two spaces, CRLF.
MAX_LINE = MAX_METHOD + MAX_TARGET + 12
#: Browsers and proxies send 10 to 30 fields; each costs us time.
MAX_FIELDS = 64
#: The fields with their line ends; a client needs far less than 2 KiB.
MAX_HEADER = 16 * 1024
#: More digits cannot be meant seriously, and would cost time to read.
MAX_LENGTH_DIGITS = 12

#: Fields of which a second line could give the request a second meaning.
_SINGLE = frozenset(
    {"host", "content-length", "transfer-encoding", "content-type", "authorization", "expect"}
)
#: Fields that say where a message ends, whom it is for or from: too late in a trailer
#: (RFC 9110, 6.5.1), and whoever merges trailers would heed them.
NO_TRAILERS = _SINGLE | {"connection", "te", "trailer", "upgrade"}

_VERSION = re.compile(r"HTTP/([0-9]\.[0-9])", re.ASCII)
_TARGET = re.compile(r"[!-~]+", re.ASCII)
_ABSOLUTE = re.compile(r"(https?)://([^/?]*)(.*)", re.ASCII | re.IGNORECASE)
_HOST = re.compile(
    r"(?:(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+|\[([0-9A-Fa-f:.]+)\])"
    r"(?::([0-9]{0,5}))?",
    re.ASCII,
)
_MAX_PORT = 65535
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_ENCODED_SLASH = re.compile(r"%2f", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
#: Control characters that no line may hold: all but tab, and the line ends between lines.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def has_bare_line_end(block: bytes | bytearray) -> bool:
    """Return whether there is a CR without LF or a LF without CR (RFC 9112, 2.2).

    A CR at the end may yet get its LF, and does not count.
    """
    pairs = block.count(b"\r\n")
    return block.count(b"\n") != pairs or block.count(b"\r") != pairs + block.endswith(b"\r")


def parse_head(block: bytes) -> RequestHead:
    """Parse a head, given without the empty line that ends it; raises ``HttpError``."""
    if has_bare_line_end(block) or block.endswith(b"\r"):
        raise errors.BadRequest("A line does not end with CR LF")
    if _CONTROL.search(block) is not None:
        raise errors.BadRequest("The header holds a control character")
    lines = block.decode("latin-1").split("\r\n")
    sent, target, minor = _request_line(lines[0])
    method = sent.upper()
    headers = parse_fields(lines[1:])
    version = _known_version(minor, headers)
    host = _host(headers, version)
    path, query, host = _split_target(method, target, host)
    length = _body_length(headers, version)
    # A proxy may not know that ``head`` has no body in its answer.
    is_unambiguous = method != "HEAD" or sent == method
    keep_alive = is_unambiguous and _keep_alive(headers, version)
    return RequestHead(
        method,
        target,
        path,
        query,
        version,
        headers,
        host,
        keep_alive,
        length,
        _expects_continue(headers, version),
    )


def _request_line(line: str) -> tuple[str, str, str]:
    """RFC 9112, 3: method SP target SP version, and nothing else; the method as it was sent."""
    words = line.split(" ")
    version = _VERSION.fullmatch(words[-1])
    if len(words) != 3 or version is None:
        raise errors.BadRequest("The request line is not METHOD TARGET HTTP/VERSION")
    if not version[1].startswith("1."):
        raise errors.HttpVersionNotSupported(f"HTTP/{version[1]} is not supported")
    method, target, _ = words
    if TOKEN.fullmatch(method) is None:
        raise errors.BadRequest("The method is not a word of letters")
    if len(method) > MAX_METHOD or method.upper() == "CONNECT":
        raise errors.NotImplementedMethod(f"Method {method[:MAX_METHOD]} is not supported")
    if len(target) > MAX_TARGET:
        raise errors.UriTooLong(f"The URI is longer than {MAX_TARGET} bytes")
    if _TARGET.fullmatch(target) is None or "#" in target:
        raise errors.BadRequest("The URI holds a character that must be percent-encoded")
    return method, target, version[1]


def _known_version(version: str, headers: Headers) -> str:
    """RFC 9110, 2.5: a later minor version is as the highest that we know."""
    if version in ("1.0", "1.1"):
        return version
    if "transfer-encoding" in headers:
        # Readers that know chunks in 1.1 alone take the first one for another request.
        raise errors.HttpVersionNotSupported(f"A body in chunks is for HTTP/1.1, not for {version}")
    return "1.1"


def parse_fields(lines: list[str]) -> Headers:
    """Field lines (RFC 9112, 5), free of control characters; raises ``HttpError``."""
    if len(lines) > MAX_FIELDS:
        raise errors.HeaderFieldsTooLarge(f"More than {MAX_FIELDS} header lines")
    items = []
    for line in lines:
        name, colon, value = line.partition(":")
        # A folded line (5.2) and a space before the colon (5.1) fail here, too.
        if not colon or TOKEN.fullmatch(name) is None:
            raise errors.BadRequest("A header line is not NAME: VALUE")
        items.append((name, value.strip(" \t")))
    headers = Headers(items)
    repeated = headers.repeated() & _SINGLE
    if repeated:
        raise errors.BadRequest(f"Header {min(repeated)} is given more than once")
    return headers


def _host(headers: Headers, version: str) -> str:
    """RFC 9112, 3.2: exactly one in HTTP/1.1."""
    host = headers.get("host")
    if host is None:
        if version == "1.1":
            raise errors.BadRequest("Header Host is missing")
        return ""
    if not _is_host(host):
        raise errors.BadRequest("Header Host is not a host and port")
    return host


def _is_host(text: str) -> bool:
    """``uri-host [":" port]`` (RFC 9112, 3.2; RFC 3986, 3.2.2), and not empty."""
    found = _HOST.fullmatch(text)
    if found is None or int(found[2] or 0) > _MAX_PORT:
        return False
    if found[1] is not None:
        try:
            ipaddress.IPv6Address(found[1])
        except ValueError:
            return False
    return True


def _split_target(method: str, target: str, host: str) -> tuple[str, str, str]:
    """Path, query and host of a target in origin, absolute or asterisk form (RFC 9112, 3.2)."""
    if target == "*" and method == "OPTIONS":
        return "*", "", host
    if not target.startswith("/"):
        target, host = _split_absolute(target, host)
        if not target and method == "OPTIONS":
            return "*", "", host  # RFC 9112, 3.2.4: the server as a whole
        if not target.startswith("/"):
            target = "/" + target
    path, _, query = target.partition("?")
    return decode_path(path), query, host


def _split_absolute(target: str, host: str) -> tuple[str, str]:
    """The rest, which may be empty, and the host of ``http://host/rest``; the Host header must
    agree (3.2.2)."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None or not _is_host(found[2]):
        raise errors.BadRequest("The URI is neither a path nor an http or https URI")
    scheme, authority, rest = found[1].lower(), found[2], found[3]
    port = _DEFAULT_PORTS[scheme]
    if host and _plain(host, port) != _plain(authority, port):
        raise errors.BadRequest("Header Host contradicts the host in the URI")
    return rest, authority


def _plain(host: str, port: str) -> str:
    """A host in a form that can be compared, without its scheme's own port."""
    return host.lower().removesuffix(":").removesuffix(port)


def decode_path(path: str) -> str:
    """Percent-decoded once; an encoded slash stays ``%2F``. Raises ``BadRequest``."""
    if "%" not in path:
        return path
    if _BAD_ESCAPE.search(path) is not None:
        raise errors.BadRequest("The URI holds a broken percent-encoding")
    try:
        return "%2F".join(unquote(part, errors="strict") for part in _ENCODED_SLASH.split(path))
    except UnicodeDecodeError:
        raise errors.BadRequest("The path of the URI is not UTF-8") from None


def _body_length(headers: Headers, version: str) -> int | None:
    """RFC 9112, 6.3, without its lenient branches."""
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise errors.BadRequest("Transfer-Encoding and Content-Length exclude each other")
        if version == "1.0":
            raise errors.BadRequest("Transfer-Encoding does not exist in HTTP/1.0")
        if coding.lower() != "chunked":
            raise errors.NotImplementedMethod("Transfer-Encoding can only be chunked")
        return None
    if length is None:
        return 0
    if _DIGITS.fullmatch(length) is None:
        raise errors.BadRequest("Content-Length is not a number")
    if len(length) > MAX_LENGTH_DIGITS:
        raise errors.PayloadTooLarge()
    return int(length)


def _keep_alive(headers: Headers, version: str) -> bool:
    """RFC 9112, 9.3."""
    value = headers.get("connection")
    if value is None:
        return version == "1.1"
    words = {word.strip(" \t") for word in value.lower().split(",")}
    if "close" in words:
        return False
    return version == "1.1" or "keep-alive" in words


def _expects_continue(headers: Headers, version: str) -> bool:
    """RFC 9110, 10.1.1."""
    value = headers.get("expect")
    if value is None:
        return False
    if value.lower() != "100-continue":
        raise errors.ExpectationFailed("Expect can only be 100-continue")
    return version == "1.1"


# -- a connection as a sequence of requests --------------------------------------------


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

_NAME = TOKEN.pattern.encode("ascii")
_VALUE = rb"(?:" + _NAME + rb'|"[ !#-\[\]-~]*")'
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})((?:;" + _NAME + rb"(?:=" + _VALUE + rb")?)*)")


def route_nowhere(head: RequestHead) -> Route:
    """Return a route for parsing alone: it handles nothing."""
    return Route()


class ParserState(enum.Enum):
    """What the parser waits for."""

    IDLE = "a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"


class RequestParser:
    """Reads one connection's requests.

    ``route`` is called with each new head; what it returns limits the body. It becomes the
    request's, as ``peer`` and ``gone`` do.
    """

    def __init__(
        self,
        *,
        route: Callable[[RequestHead], Route] = route_nowhere,
        peer: str = "",
        gone: Callable[[], bool] = never,
    ) -> None:
        self._find_route = route
        self._peer = peer
        self._gone = gone
        #: Whom the client's certificate names; known once hands were shaken.
        self.certificate = ""
        self._buffer = bytearray()
        self._empty_line_skipped = False  # an empty line before the request
        self._head: RequestHead | None = None
        self._route = Route()  # of the head
        self._remembered: tuple[bytes, RequestHead, Route] | None = None
        self._chunks: _ChunkedBody | None = None
        self._owes_continue = False
        self._error: errors.HttpError | None = None

    @property
    def buffered(self) -> int:
        """Return how many bytes were fed and belong to no request yet."""
        return len(self._buffer)

    @property
    def held(self) -> int:
        """Return how many bytes are held of the request that is not complete yet."""
        return len(self._buffer) + (self._chunks.size if self._chunks is not None else 0)

    @property
    def state(self) -> ParserState:
        """Return what the parser waits for, as of the last ``next``."""
        if self._head is not None:
            return ParserState.BODY
        if bytes(self._buffer[:3]) in (b"", b"\r", b"\r\n"):
            return ParserState.IDLE
        return ParserState.HEAD

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        if self._error is None:
            self._buffer += data

    def next(self) -> Request | None:
        """Return the next request, or None when more bytes are needed.

        Raises ``HttpError``, and from then on the same one again.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._parse_next()
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
        """End parsing: drop the fed bytes, and the reference to the connection (``gone``)."""
        self._gone = never
        self._buffer = bytearray()
        if self._error is not None:
            self._error.__traceback__ = None  # its frames hold the parser

    def take_continue(self) -> bool:
        """Return whether the client waits for a 100 (RFC 9110, 10.1.1); True once per request."""
        owed, self._owes_continue = self._owes_continue, False
        return owed and self._head is not None and not self._buffer

    def without_body(self) -> Request:
        """Return the request whose body is missing yet, as the last one of its connection."""
        assert self._head is not None
        return self._request(self._head, b"", keep_alive=False)

    def _parse_next(self) -> Request | None:
        if self._head is None:
            if not self._read_head():
                return None
        found = self._head
        assert found is not None
        body = self._read_body(found)
        if body is None:
            return None
        self._head = self._chunks = None
        self._empty_line_skipped = self._owes_continue = False
        return self._request(found, body, found.keep_alive)

    def _request(self, found: RequestHead, body: bytes, keep_alive: bool) -> Request:
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
            self._route,
        )

    # -- the head ---------------------------------------------------------------------

    def _read_head(self) -> bool:
        """Take a head off the buffer; return False when it is not complete."""
        buffer = self._buffer
        if not self._empty_line_skipped and buffer.startswith(b"\r\n"):
            # RFC 9112, 2.2: old clients end a body with one line end too many.
            del buffer[:2]
            self._empty_line_skipped = True
        line_end = buffer.find(b"\n", 0, MAX_LINE)
        if line_end < 0:
            if len(buffer) >= MAX_LINE:
                raise errors.UriTooLong("The request line is too long")
            return False
        limit = line_end + 1 + MAX_HEADER
        end = buffer.find(b"\r\n\r\n", 0, limit)
        if end < 0:
            if has_bare_line_end(buffer[:limit]):
                raise errors.BadRequest("A line does not end with CR LF")
            if len(buffer) >= limit:
                raise errors.HeaderFieldsTooLarge(f"The header is longer than {MAX_HEADER} bytes")
            return False
        self._head = self._parse_head(bytes(buffer[:end]))
        del buffer[: end + 4]
        self._begin_body(self._head)
        return True

    def _parse_head(self, block: bytes) -> RequestHead:
        """Parse and route a head, or reuse the last one if the bytes are the same."""
        if self._remembered is not None and self._remembered[0] == block:
            _, found, self._route = self._remembered
            return found
        found = parse_head(block)
        self._route = self._find_route(found)
        self._remembered = (block, found, self._route) if len(block) <= MAX_REMEMBERED else None
        return found

    def _begin_body(self, found: RequestHead) -> None:
        limit = self._route.max_body
        if found.length is None:
            self._chunks = _ChunkedBody(limit)
        elif found.length > limit:
            raise _too_large(limit)
        self._owes_continue = found.expects_continue and found.length != 0

    # -- the body ---------------------------------------------------------------------

    def _read_body(self, found: RequestHead) -> bytes | None:
        """Take the body off the buffer and return it; None when it is not complete."""
        if self._chunks is not None:
            return self._chunks.read(self._buffer)
        length = found.length or 0
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body


class _ChunkedBody:
    """A body in chunks (RFC 9112, 7.1)."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._body = bytearray()
        self._count = 0
        self._chunk_left = 0  # bytes of the present chunk that are not here yet
        self._chunk_end_due = False  # is the CRLF after a chunk's data due?
        self._in_trailer = False

    @property
    def size(self) -> int:
        """Return how many bytes of the body have arrived."""
        return len(self._body)

    def read(self, buffer: bytearray) -> bytes | None:
        """Take received chunks off the buffer; return the body once it is complete, else None."""
        while not self._in_trailer:
            if self._chunk_left:
                if not buffer:
                    return None
                self._take_data(buffer)
            elif self._chunk_end_due:
                if len(buffer) < 2:
                    return None
                if buffer[:2] != b"\r\n":
                    raise errors.BadRequest("A chunk is not as long as it says")
                del buffer[:2]
                self._chunk_end_due = False
            elif not self._read_size(buffer):
                return None
        return bytes(self._body) if self._read_trailer(buffer) else None

    def _take_data(self, buffer: bytearray) -> None:
        part = buffer[: self._chunk_left]
        del buffer[: len(part)]
        self._body += part
        self._chunk_left -= len(part)
        self._chunk_end_due = not self._chunk_left

    def _read_size(self, buffer: bytearray) -> bool:
        end = buffer.find(b"\n", 0, MAX_CHUNK_LINE)
        if end < 0:
            if len(buffer) >= MAX_CHUNK_LINE:
                raise errors.BadRequest("The line before a chunk is too long")
            return False
        line = None
        if buffer[end - 1 : end] == b"\r":
            line = _CHUNK_LINE.fullmatch(buffer, 0, end - 1)
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
        self._chunk_left = size
        self._in_trailer = not size
        return True

    def _read_trailer(self, buffer: bytearray) -> bool:
        if buffer.startswith(b"\r\n"):
            del buffer[:2]
            return True
        end = buffer.find(b"\r\n\r\n", 0, MAX_TRAILER)
        block = bytes(buffer[:MAX_TRAILER] if end < 0 else buffer[:end])
        if has_bare_line_end(block) or (end >= 0 and block.endswith(b"\r")):
            raise errors.BadRequest("A line of the trailer does not end with CR LF")
        if end < 0:
            if len(buffer) >= MAX_TRAILER:
                raise errors.BadRequest("The trailer is too long")
            return False
        if _CONTROL.search(block) is not None:
            raise errors.BadRequest("The trailer holds a control character")
        for name, _ in parse_fields(block.decode("latin-1").split("\r\n")):
            if name.lower() in NO_TRAILERS:
                raise errors.BadRequest(f"Header {name} stands in the trailer")
        del buffer[: end + 4]
        return True


def _too_large(limit: int) -> errors.PayloadTooLarge:
    return errors.PayloadTooLarge(f"The body is longer than {limit} bytes")
