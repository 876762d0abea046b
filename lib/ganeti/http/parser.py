"""Incremental parser of HTTP/1 requests: feed it received bytes, ask it for the next request.

Other readers (a proxy, a load balancer, a log) see the same bytes before us. Where two readers
can disagree about them, a request can be smuggled past one of them. So the parser repairs
nothing and guesses nothing: it refuses every head that RFC 9112 does not allow, even where the
RFC permits a server to be lenient. The checks and their order depend on the bytes alone.

A connection is a sequence of requests, each of which is a head and a body. The parser is in one
of three states: IDLE (nothing of the next request has arrived), HEAD or BODY. ``feed`` appends
bytes, ``next`` goes as far as they allow. It does not matter how the bytes were cut on the way,
because every decision is made either about a complete unit (a head, a chunk's line, a trailer)
or about a limit that has been exceeded.

After an error the parser is dead. It cannot know where the next request would begin, so it
looks at nothing that follows (RFC 9112, 2.2 and 11.2).

We take one liberty, because Ganeti does: a method may be in lower case. Of these only HEAD
changes where its response ends, and a proxy need not know ``head``. So the connection is closed
after the response to a HEAD that is not in capitals.
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

#: Characters of a method; no real one is that long.
MAX_METHOD = 32
#: Bytes of a target. RFC 9112, 3 recommends to support this much; 60 times ``?tag=`` fits.
MAX_TARGET = 8 * 1024
#: Bytes of the request line: method, target, version, two spaces, CRLF.
MAX_LINE = MAX_METHOD + MAX_TARGET + 12
#: Field lines. Browsers and proxies send 10 to 30, and each one costs us time.
MAX_FIELDS = 64
#: Bytes of all field lines; clients send far less than 2 KiB.
MAX_HEADER = 16 * 1024
#: Digits of Content-Length. A longer number exceeds every limit, and converting it costs time.
MAX_LENGTH_DIGITS = 12

#: Fields that must not be repeated, since another reader might pick another line than we do.
_SINGLE = frozenset(
    {"host", "content-length", "transfer-encoding", "content-type", "authorization", "expect"}
)
#: Fields about framing, routing and authentication. They are not allowed in a trailer
#: (RFC 9110, 6.5.1), where a reader that merges trailers into the header would obey them.
NO_TRAILERS = _SINGLE | {"connection", "te", "trailer", "upgrade"}

_VERSION = re.compile(r"HTTP/([0-9]\.[0-9])", re.ASCII)
_TARGET = re.compile(r"[!-~]+", re.ASCII)
_ABSOLUTE = re.compile(r"(https?)://([^/?]*)(.*)", re.ASCII | re.IGNORECASE)
#: ``uri-host [":" port]`` (RFC 9112, 3.2; RFC 3986, 3.2.2), but not empty.
_HOST = re.compile(
    r"(?:(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+|\[([0-9A-Fa-f:.]+)\])"
    r"(?::([0-9]{0,5}))?",
    re.ASCII,
)
_MAX_PORT = 65535
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_ENCODED_SLASH = re.compile(r"%2f", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
#: Control characters that are not allowed in a line: all but tab. CR and LF are checked apart.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def has_bare_line_end(block: bytes | bytearray) -> bool:
    """Return whether there is a CR without LF or a LF without CR (RFC 9112, 2.2)."""
    # A CR at the very end does not count, since its LF may follow.
    pairs = block.count(b"\r\n")
    return block.count(b"\n") != pairs or block.count(b"\r") != pairs + block.endswith(b"\r")


def parse_head(block: bytes) -> RequestHead:
    """Parse a head, which is given without the empty line at its end; raises ``HttpError``."""
    _check_characters(block, "header")
    lines = block.decode("latin-1").split("\r\n")
    sent, target, minor = _request_line(lines[0])
    method = sent.upper()
    headers = parse_fields(lines[1:])
    version = _known_version(minor, headers)
    host = _host(headers, version)
    path, query, host = _split_target(method, target, host)
    length = _body_length(headers, version)
    # A proxy may not know that the response to ``head`` has no body, and wait for one.
    is_unambiguous = method != "HEAD" or sent == method
    keep_alive = is_unambiguous and _keep_alive(headers, version)
    return RequestHead(
        method=method,
        target=target,
        path=path,
        query=query,
        version=version,
        headers=headers,
        host=host,
        keep_alive=keep_alive,
        length=length,
        expects_continue=_expects_continue(headers, version),
    )


def _check_characters(block: bytes, what: str) -> None:
    """Raise ``BadRequest`` for wrong line ends and control characters in complete lines."""
    if has_bare_line_end(block) or block.endswith(b"\r"):
        raise errors.BadRequest(f"A line of the {what} does not end with CR LF")
    if _CONTROL.search(block) is not None:
        raise errors.BadRequest(f"The {what} contains a control character")


def _request_line(line: str) -> tuple[str, str, str]:
    """Return method, as it was sent, target and version of a request line (RFC 9112, 3)."""
    # Not split(): the RFC permits other whitespace between words, but readers disagree about it.
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
        raise errors.BadRequest("The URI contains a character that must be percent-encoded")
    return method, target, version[1]


def _known_version(version: str, headers: Headers) -> str:
    """Return the version that we treat a request as: a later 1.x is 1.1 (RFC 9110, 2.5)."""
    if version in ("1.0", "1.1"):
        return version
    if "transfer-encoding" in headers:
        # A reader that knows chunks in 1.1 only would take the body for the next request.
        raise errors.HttpVersionNotSupported(
            f"A chunked body is allowed in HTTP/1.1, not in {version}"
        )
    return "1.1"


def parse_fields(lines: list[str]) -> Headers:
    """Parse field lines (RFC 9112, 5) without control characters; raises ``HttpError``."""
    if len(lines) > MAX_FIELDS:
        raise errors.HeaderFieldsTooLarge(f"More than {MAX_FIELDS} header lines")
    items = []
    for line in lines:
        name, colon, value = line.partition(":")
        # This also refuses a folded line (5.2) and a space before the colon (5.1).
        if not colon or TOKEN.fullmatch(name) is None:
            raise errors.BadRequest("A header line is not NAME: VALUE")
        items.append((name, value.strip(" \t")))
    headers = Headers(items)
    repeated = headers.repeated() & _SINGLE
    if repeated:
        raise errors.BadRequest(f"Header {min(repeated)} is given more than once")
    return headers


def _host(headers: Headers, version: str) -> str:
    """Return the value of Host, which HTTP/1.1 requires (RFC 9112, 3.2); '' if it is missing."""
    host = headers.get("host")
    if host is None:
        if version == "1.1":
            raise errors.BadRequest("Header Host is missing")
        return ""
    if not _is_host(host):
        raise errors.BadRequest("Header Host is not a host and port")
    return host


def _is_host(text: str) -> bool:
    """Return whether a text is a host, with or without a port."""
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
    """Return path, query and host of a target in origin, absolute or asterisk form (3.2)."""
    if target == "*" and method == "OPTIONS":
        return "*", "", host
    if not target.startswith("/"):
        target, host = _split_absolute(target, host)
        if not target and method == "OPTIONS":
            return "*", "", host  # as OPTIONS * (RFC 9112, 3.2.4)
        if not target.startswith("/"):
            target = "/" + target
    path, _, query = target.partition("?")
    return decode_path(path), query, host


def _split_absolute(target: str, host: str) -> tuple[str, str]:
    """Return the rest, which may be empty, and the host of ``http://host/rest``."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None or not _is_host(found[2]):
        raise errors.BadRequest("The URI is neither a path nor an http or https URI")
    scheme, authority, rest = found[1].lower(), found[2], found[3]
    port = _DEFAULT_PORTS[scheme]
    # RFC 9112, 3.2.2 lets the target override the Host header, but not every reader does so.
    if host and _plain(host, port) != _plain(authority, port):
        raise errors.BadRequest("Header Host contradicts the host in the URI")
    return rest, authority


def _plain(host: str, port: str) -> str:
    """Return a host in lower case and without its scheme's default port, for comparison."""
    return host.lower().removesuffix(":").removesuffix(port)


def decode_path(path: str) -> str:
    """Return a path percent-decoded once, but with encoded slashes; raises ``BadRequest``."""
    if "%" not in path:
        return path
    if _BAD_ESCAPE.search(path) is not None:
        raise errors.BadRequest("The URI contains an invalid percent-encoding")
    try:
        return "%2F".join(unquote(part, errors="strict") for part in _ENCODED_SLASH.split(path))
    except UnicodeDecodeError:
        raise errors.BadRequest("The path of the URI is not UTF-8") from None


def _body_length(headers: Headers, version: str) -> int | None:
    """Return the number of bytes of the body, or None for a chunked body (RFC 9112, 6.3)."""
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        # The RFC lets Transfer-Encoding override Content-Length, but a reader that does not know
        # this sees another body: the classic way to smuggle a request (11.2).
        if length is not None:
            raise errors.BadRequest("Transfer-Encoding and Content-Length exclude each other")
        # A reader of HTTP/1.0 takes the chunks for another request (6.1).
        if version == "1.0":
            raise errors.BadRequest("Transfer-Encoding does not exist in HTTP/1.0")
        if coding.lower() != "chunked":
            raise errors.NotImplementedMethod("Only Transfer-Encoding: chunked is supported")
        return None
    if length is None:
        return 0
    # Not a list of equal numbers either, which 6.3 lets a server accept. int() is too lenient: it
    # reads "+1", "1_0" and digits of other scripts.
    if _DIGITS.fullmatch(length) is None:
        raise errors.BadRequest("Content-Length is not a number")
    if len(length) > MAX_LENGTH_DIGITS:
        raise errors.PayloadTooLarge()
    return int(length)


def _keep_alive(headers: Headers, version: str) -> bool:
    """Return whether the client keeps the connection open (RFC 9112, 9.3)."""
    value = headers.get("connection")
    if value is None:
        return version == "1.1"
    words = {word.strip(" \t") for word in value.lower().split(",")}
    if "close" in words:
        return False
    return version == "1.1" or "keep-alive" in words


def _expects_continue(headers: Headers, version: str) -> bool:
    """Return whether the client waits for a 100 before it sends the body (RFC 9110, 10.1.1)."""
    value = headers.get("expect")
    if value is None:
        return False
    if value.lower() != "100-continue":
        raise errors.ExpectationFailed("Only Expect: 100-continue is supported")
    return version == "1.1"  # an HTTP/1.0 client does not understand a 100


# -- a connection as a sequence of requests --------------------------------------------

#: Bytes of a chunk's extensions (RFC 9112, 7.1.1). They are ignored; nobody sends long ones.
MAX_CHUNK_EXTENSION = 256
#: Bytes of the line before a chunk: size, extensions, CRLF.
MAX_CHUNK_LINE = 8 + MAX_CHUNK_EXTENSION + 2
#: Chunks of a body; each one takes us about 2 us. A client that sends JSON while it generates it
#: sends hundreds of small ones; a million of them would be an attack.
MAX_CHUNKS = 4 * 1024
#: Bytes of a head that is remembered for the next request. Programs that keep a connection mostly
#: send the same head again, and parsing it is a fifth of the cost of a small request.
MAX_REMEMBERED = 2 * 1024
#: Bytes of a trailer (RFC 9112, 7.1.2), which is checked and dropped.
MAX_TRAILER = 4 * 1024

_NAME = TOKEN.pattern.encode("ascii")
_VALUE = rb"(?:" + _NAME + rb'|"[ !#-\[\]-~]*")'
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})((?:;" + _NAME + rb"(?:=" + _VALUE + rb")?)*)")


#: The route of a parser without a head.
_NO_ROUTE = Route()


def route_nowhere(head: RequestHead) -> Route:
    """Return a route for parsing alone: it handles nothing."""
    return Route()


class ParserState(enum.Enum):
    """State of a parser; the value names what it waits for."""

    IDLE = "a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"


class RequestParser:
    """Parser of one connection's requests.

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
        #: User named by the client's certificate; set when the handshake is complete.
        self.certificate = ""
        self._buffer = bytearray()
        self._empty_line_skipped = False
        self._head: RequestHead | None = None
        self._route = _NO_ROUTE  # of the head
        self._remembered: tuple[bytes, RequestHead, Route] | None = None
        self._chunks: _ChunkedBody | None = None
        self._owes_continue = False
        self._error: errors.HttpError | None = None

    @property
    def buffered(self) -> int:
        """Return the number of bytes in the buffer."""
        return len(self._buffer)

    @property
    def held(self) -> int:
        """Return the number of bytes held for the incomplete request."""
        return len(self._buffer) + (self._chunks.size if self._chunks is not None else 0)

    @property
    def state(self) -> ParserState:
        """Return the state after the last ``next``."""
        if self._head is not None:
            return ParserState.BODY
        # An empty line may precede a request (2.2), and does not begin one.
        if bytes(self._buffer[:3]) in (b"", b"\r", b"\r\n"):
            return ParserState.IDLE
        return ParserState.HEAD

    def feed(self, data: bytes) -> None:
        """Append received bytes to the buffer; after an error, ignore them."""
        if self._error is None:
            self._buffer += data

    def next(self) -> Request | None:
        """Return the next request, or None if more bytes are needed; raises ``HttpError``."""
        if self._error is not None:
            raise self._error
        try:
            return self._parse_next()
        except errors.HttpError as err:
            self._error = err
            self._buffer.clear()
            raise

    def refuse(self, error: errors.HttpError) -> None:
        """Drop the buffer, and let every later ``next`` raise this error."""
        self._error = error
        self._buffer = bytearray()
        self._chunks = None

    def end(self) -> None:
        """End parsing: drop the buffer, and the reference to the connection (``gone``)."""
        self._gone = never
        self._buffer = bytearray()
        if self._error is not None:
            self._error.__traceback__ = None  # its frames hold the parser

    def take_continue(self) -> bool:
        """Return whether a 100 must be sent now (RFC 9110, 10.1.1); True once per request."""
        owed, self._owes_continue = self._owes_continue, False
        # A client that has begun to send the body does not wait.
        return owed and self._head is not None and not self._buffer

    def without_body(self) -> Request:
        """Return the request whose body has not arrived, as the last one of the connection."""
        assert self._head is not None
        return self._request(self._head, b"", keep_alive=False)

    def _parse_next(self) -> Request | None:
        found = self._head or self._read_head()
        if found is None:
            return None
        body = self._read_body(found)
        if body is None:
            return None
        self._head = self._chunks = None
        self._empty_line_skipped = self._owes_continue = False
        request = self._request(found, body, found.keep_alive)
        # The route may hold a long path, which must not stay while the connection is idle.
        self._route = _NO_ROUTE
        return request

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

    def _read_head(self) -> RequestHead | None:
        """Take a head from the buffer and return it; return None if it is not complete."""
        buffer = self._buffer
        if not self._empty_line_skipped and buffer.startswith(b"\r\n"):
            # Old clients send a line end too many after a body: skip one (RFC 9112, 2.2).
            del buffer[:2]
            self._empty_line_skipped = True
        line_end = buffer.find(b"\n", 0, MAX_LINE)
        if line_end < 0:
            if len(buffer) >= MAX_LINE:
                raise errors.UriTooLong("The request line is too long")
            return None
        limit = line_end + 1 + MAX_HEADER
        end = buffer.find(b"\r\n\r\n", 0, limit)
        if end < 0:
            # Now, and not when the head is complete: a client that ends lines with LF alone would
            # otherwise wait for its answer until the deadline.
            if has_bare_line_end(buffer[:limit]):
                raise errors.BadRequest("A line of the header does not end with CR LF")
            if len(buffer) >= limit:
                raise errors.HeaderFieldsTooLarge(f"The header is longer than {MAX_HEADER} bytes")
            return None
        self._head = self._parse_head(bytes(buffer[:end]))
        del buffer[: end + 4]
        self._begin_body(self._head)
        return self._head

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

    def _read_body(self, found: RequestHead) -> bytes | None:
        """Take the body from the buffer and return it; return None if it is not complete."""
        if self._chunks is not None:
            return self._chunks.read(self._buffer)
        length = found.length or 0
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body


class _ChunkedBody:
    """Parser of a chunked body (RFC 9112, 7.1)."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._body = bytearray()
        self._count = 0
        #: Bytes of the current chunk that have not arrived.
        self._chunk_left = 0
        #: The CRLF after a chunk's data comes next.
        self._chunk_end_due = False
        self._in_trailer = False

    @property
    def size(self) -> int:
        """Return the number of bytes of the body that have arrived."""
        return len(self._body)

    def read(self, buffer: bytearray) -> bytes | None:
        """Take chunks from the buffer; return the body, or None if it is not complete."""
        while not self._in_trailer:
            if self._chunk_left:
                if not buffer:
                    return None
                self._take_data(buffer)
            elif self._chunk_end_due:
                if len(buffer) < 2:
                    return None
                if buffer[:2] != b"\r\n":
                    raise errors.BadRequest("A chunk is not as long as its size says")
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
            raise errors.BadRequest("The line before a chunk is not a size")
        size = int(line[1], 16)
        del line  # the match exports the buffer, which cannot be resized meanwhile
        del buffer[: end + 1]
        self._count += 1
        if self._count > MAX_CHUNKS:
            raise errors.BadRequest(f"The body has more than {MAX_CHUNKS} chunks")
        if len(self._body) + size > self._max_body:
            raise _too_large(self._max_body)
        self._chunk_left = size
        self._in_trailer = not size  # a size of 0 ends the body
        return True

    def _read_trailer(self, buffer: bytearray) -> bool:
        if buffer.startswith(b"\r\n"):
            del buffer[:2]
            return True
        end = buffer.find(b"\r\n\r\n", 0, MAX_TRAILER)
        if end < 0:
            if has_bare_line_end(buffer[:MAX_TRAILER]):
                raise errors.BadRequest("A line of the trailer does not end with CR LF")
            if len(buffer) >= MAX_TRAILER:
                raise errors.BadRequest("The trailer is too long")
            return False
        block = bytes(buffer[:end])
        _check_characters(block, "trailer")
        for name, _ in parse_fields(block.decode("latin-1").split("\r\n")):
            if name.lower() in NO_TRAILERS:
                raise errors.BadRequest(f"Header {name} is not allowed in a trailer")
        del buffer[: end + 4]
        return True


def _too_large(limit: int) -> errors.PayloadTooLarge:
    return errors.PayloadTooLarge(f"The body is longer than {limit} bytes")
