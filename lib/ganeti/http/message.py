"""Requests and responses as values, and the bytes of a response. No sockets here.

A ``Request`` that exists is valid: ``http.parser`` is the only place that
makes them from bytes. A ``Response`` is what a handler returns; ``serialize``
adds what the protocol wants (RFC 9110 and 9112).
"""

from __future__ import annotations

import email.utils
import enum
import functools
import hashlib
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

#: Reason phrases (RFC 9110, section 15) of the statuses that we send.
REASONS = {
    200: "OK",
    204: "No Content",
    304: "Not Modified",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Payload Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}

#: Statuses whose answers have no body, and no Content-Length (RFC 9110, 8.6).
BODILESS = frozenset({204, 304})

#: Bodies of this API are a few KiB, but for those that may name thousands of objects. (Ganeti
#: reads 10 MiB of everything.)
MAX_BODY, MAX_LARGE_BODY = 1024 * 1024, 10 * 1024 * 1024

#: The interim answer to ``Expect: 100-continue``.
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
#: Characters that a field value must not hold (RFC 9110, 5.5); a tab is allowed. Values are sent
#: as latin-1, so that every byte is a character.
_BAD_VALUE = re.compile("[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")


#: For answers that quote what a client sent: a browser must not run it, show it in a frame or send
#: its address elsewhere, and must revalidate a cached answer before it uses it.
_FOR_BROWSERS = "\r\n".join(
    (
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: DENY",
        "Referrer-Policy: no-referrer",
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
        "Cache-Control: no-cache",
    )
)


class Headers:
    """Header fields in their order, found by name in any case."""

    __slots__ = ("_items", "_values")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = tuple(items)
        self._values: dict[str, str] = {}
        for name, value in self._items:
            key = name.lower()
            known = self._values.get(key)
            # RFC 9110, 5.2: the lines of one name are one list.
            self._values[key] = value if known is None else f"{known}, {value}"

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of a field; of several with this name, all, joined by commas."""
        return self._values.get(name.lower(), default)

    def get_all(self, name: str) -> list[str]:
        """Return the value of each line with this name."""
        key = name.lower()
        if key not in self._values:
            return []
        return [value for other, value in self._items if other.lower() == key]

    def repeated(self) -> set[str]:
        """Return the names, in lower case, that are on more than one line."""
        if len(self._values) == len(self._items):
            return set()
        seen: set[str] = set()
        twice: set[str] = set()
        for name, _ in self._items:
            key = name.lower()
            if key in seen:
                twice.add(key)
            seen.add(key)
        return twice

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._items == other._items

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        # Names only: values may be secrets, and this may end up in a log.
        return f"Headers({', '.join(name for name, _ in self._items)})"


def never() -> bool:
    """Return False: the ``gone`` of a request without a connection."""
    return False


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request without its body.

    ``method`` is in capitals. ``version`` is "1.0" or "1.1". ``length``: bytes of the body, None
    when it comes in chunks.
    """

    method: str
    target: str
    path: str
    query: str
    version: str
    headers: Headers
    host: str
    keep_alive: bool
    length: int | None
    expects_continue: bool


class Priority(enum.Enum):
    """Priority class of a request: which threads it goes to."""

    #: The loop's own thread: the answer is known at once, and needs no I/O.
    INSTANT = enum.auto()
    ORDINARY = enum.auto()
    URGENT = enum.auto()
    LONG = enum.auto()


class Route:
    """The way of a request to its handler, found once, when its head has been read."""

    __slots__ = ("max_body", "priority")

    def __init__(self, max_body: int = MAX_BODY, priority: Priority = Priority.ORDINARY) -> None:
        #: Bytes that the body may have.
        self.max_body = max_body
        self.priority = priority

    def handle(self, request: Request) -> Response | Steps:
        """Return the response, or the steps to it."""
        raise NotImplementedError

    def answer_from_head(self, request: Request) -> Response | None:
        """Return the response if the head alone decides it, else None; on the loop's thread.

        ``request`` has no body yet, as its client waits for a 100 before sending it.
        """
        return None


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request, complete with its body.

    ``target`` is unchanged. ``path`` is percent-decoded once, except that an encoded slash stays
    ``%2F``, as it is not a separator (RFC 3986, 2.2). ``query`` is not decoded. ``host`` is the
    authority of the target or the Host header, '' if an HTTP/1.0 client sent none. ``peer`` is
    the client's address. ``gone()`` returns whether the client has hung up, from any thread.
    ``route`` leads to the handler.
    """

    method: str
    target: str
    path: str = "/"
    query: str = ""
    version: str = "1.1"
    headers: Headers = Headers()
    body: bytes = b""
    host: str = ""
    peer: str = ""
    gone: Callable[[], bool] = never
    #: Whether the connection may serve another request after this one.
    keep_alive: bool = True
    #: The common name of the client's verified certificate; '' without one.
    certificate: str = ""
    route: Route = field(default_factory=Route, compare=False)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target!r} from {self.peer or 'nobody'}>"


@dataclass(slots=True)
class Response:
    """The answer that a handler returns.

    ``headers`` lack Content-Length, Date, Server and Connection, which are added. The rest is for
    the log: ``user`` is the name of the authenticated user ('' without one), whose connection is
    spared when connections are scarce; ``request_id`` is the client's, if it sent one; ``log_id``
    is unique ('' if ``request_id`` is); ``job_id`` is the job that the request submitted.
    """

    status: int = 200
    body: bytes = b""
    headers: Iterable[tuple[str, str]] = ()
    user: str = ""
    request_id: str = ""
    log_id: str = ""
    job_id: int | None = None
    #: Pieces, none of them empty, of a body that is made while it is sent; and the bytes so far.
    stream: Iterator[bytes] | None = None
    streamed: int = 0
    #: Whether the last piece was made.
    whole: bool = True

    @property
    def size(self) -> int:
        """Return the bytes of the body, as far as it was made."""
        return len(self.body) if self.stream is None else self.streamed

    @property
    def authenticated(self) -> bool:
        """Return whether the client has authenticated."""
        return bool(self.user)


#: A handler that waits: yields each future that it waits for, and returns the response.
Steps = Generator[Future[Any], None, Response]


# -- the ETags of answers --------------------------------------------------------------


#: Begins a tag of a state; no tag of a body begins so.
STATE = "state-"


class BodyETag:
    """Computes the ETag of a body that comes in pieces."""

    def __init__(self, body: bytes = b"") -> None:
        self._digest = hashlib.blake2b(body, digest_size=12)
        self.add = self._digest.update

    def __str__(self) -> str:
        return f'W/"{self._digest.hexdigest()}"'


def body_tag(body: bytes) -> str:
    """Return the ETag of a body that has been made."""
    return str(BodyETag(body))


def state_tag(*words: str) -> str:
    """Return the ETag of an answer that is not made yet, from the words that determine it."""
    digest = hashlib.blake2b("\n".join(words).encode(), digest_size=12).hexdigest()
    return f'W/"{STATE}{digest}"'


# -- the bytes of an answer ------------------------------------------------------------


def serialize(
    response: Response,
    request: Request | None = None,
    *,
    server: str = "",
    date: str = "",
    close: bool = False,
) -> bytes:
    """Return the bytes of an answer.

    ``request`` is None if it could not be parsed; the connection then ends, as it does with
    ``close``. Raises ``ValueError`` for a header that would be read as something else.
    """
    status = response.status
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}"]
    if server:
        lines.append(f"Server: {server}")
    if date:
        lines.append(f"Date: {date}")
    for name, value in response.headers:
        check_header(name, value)
        lines.append(f"{name}: {value}")
    lines.append(_FOR_BROWSERS)
    body = response.body
    if status in BODILESS:
        body = b""
    elif response.stream is None:
        lines.append(f"Content-Length: {len(body)}")
    elif request is not None and request.version == "1.1":
        lines.append("Transfer-Encoding: chunked")
    if close or request is None or not request.keep_alive:
        lines.append("Connection: close")
    elif request.version == "1.0":
        lines.append("Connection: keep-alive")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if request is not None and request.method == "HEAD":
        return head
    return head + body


def check_header(name: str, value: str) -> None:
    """Raise ``ValueError`` for a name or value that would split or break the message."""
    if TOKEN.fullmatch(name) is None:
        raise ValueError(f"{name!r} cannot be a header's name")
    if _BAD_VALUE.search(value) is not None:
        raise ValueError(f"the value of header {name} holds characters that it must not")


@functools.lru_cache(maxsize=4)
def http_date(seconds: int) -> str:
    """Return seconds since 1970 as an HTTP-date (RFC 9110, 5.6.7)."""
    return email.utils.formatdate(seconds, usegmt=True)
