"""Access of web pages of other origins to the API (the Fetch standard's CORS protocol).

On behalf of a page a browser asks whether the page's origin may read an answer, or send a request
that is not simple. Unless configured, no page may. Browsers send simple requests without asking,
with credentials that they remember; so a request that would change something for a page of
another origin is refused. Programs other than browsers send no ``Origin``.

If every origin is allowed, the ``Origin`` does not tell which requests to refuse. But requests that
a browser has asked about (the standard's preflight) have no remembered credentials then, as our
answer does not allow them. The only change that a browser sends without asking is a POST whose
media type is one of HTML forms, or missing; it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ganeti.http.message import Headers, Request

ANY = "*"
#: Seconds that a browser may remember an answer about a request.
MAX_AGE = 600
#: Request headers that a page may set, and answer headers that it may read.
REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
    "If-Unmodified-Since, X-Request-Id"
)
ANSWER_HEADERS = "ETag, Idempotency-Status, Link, Retry-After, X-Request-Id, X-Total-Count"

_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Lines = list[tuple[str, str]]


def _may_come_unasked(request: Request) -> bool:
    """Return whether a browser may have sent it without a preflight (Fetch, "CORS-safelisted
    method" and "request-header")."""
    if request.method != "POST":
        return False
    media_type = request.headers.get("Content-Type") or ""
    return not media_type.strip().lower().startswith("application/json")


def is_origin(text: str) -> bool:
    """Return whether it is ``https://host[:port]`` in lower case, as browsers send it, or ``*``."""
    return text == ANY or _ORIGIN.fullmatch(text) is not None


class Cors:
    """The origins that are allowed. ``*`` allows all, but none of them with credentials that a
    browser remembers."""

    def __init__(self, origins: Sequence[str] = (), *, secure: bool = False) -> None:
        self.origins = frozenset(origins)
        #: The schemes of our own pages. With TLS a page from http is not ours; without, a proxy may
        #: speak TLS for us.
        self._schemes = ("https",) if secure else ("https", "http")

    def headers(self, headers: Headers) -> Lines:
        """Return the headers to add to the answer to a request with these headers."""
        if not self.origins:
            return []
        lines = self._allowance(headers.get("Origin"))
        if lines:
            lines.append(("Access-Control-Expose-Headers", ANSWER_HEADERS))
        return [*lines, ("Vary", "Origin")]

    def preflight(self, request: Request, methods: Sequence[str]) -> Lines:
        """Return the headers that answer a preflight; none if OPTIONS was sent for anything else
        or the origin is not allowed."""
        lines = self._allowance(request.headers.get("Origin"))
        if not lines or "Access-Control-Request-Method" not in request.headers:
            return []
        return [
            ("Access-Control-Allow-Methods", ", ".join(methods)),
            ("Access-Control-Allow-Headers", REQUEST_HEADERS),
            ("Access-Control-Max-Age", str(MAX_AGE)),
        ]

    def is_foreign(self, request: Request) -> bool:
        """Return whether the request would change something for a page that is not allowed to."""
        origin = request.headers.get("Origin")
        if origin is None or request.method in _SAFE or origin in self.origins:
            return False
        if ANY in self.origins and not _may_come_unasked(request):
            return False
        scheme, _, host = origin.partition("://")
        return scheme.lower() not in self._schemes or host.lower() != request.host.lower()

    def _allowance(self, origin: str | None) -> Lines:
        if origin is None:
            return []
        if origin in self.origins:
            return [
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Allow-Credentials", "true"),
            ]
        if ANY in self.origins:
            return [("Access-Control-Allow-Origin", ANY)]
        return []
