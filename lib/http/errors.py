"""HTTP's refusals as exceptions; each knows its status, its words and its headers.

A refusal reaches the client as ``{"code", "message", "explain"}``: the three keys
that living clients index without looking. ``message`` says what was wrong,
``explain`` what the status means. Texts are plain, without HTML escapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any


class HttpError(Exception):
    """Base of all refusals; ``code`` is the status."""

    code = 500
    explain = "The server failed; its log says more"

    def __init__(self, message: str = "", *, headers: Sequence[tuple[str, str]] = (),
                 detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message or HTTPStatus(self.code).phrase
        self.headers = list(headers)
        self.detail = detail

    def as_object(self) -> dict[str, Any]:
        """The answer's body."""
        body: dict[str, Any] = {"code": self.code, "message": self.message,
                                "explain": self.explain}
        if self.detail is not None:
            body["detail"] = self.detail
        return body


class BadRequest(HttpError):
    """The request is wrong, and will be wrong again."""

    code = 400
    explain = "Bad request syntax or unsupported parameters"


class Unauthorized(HttpError):
    """Nobody knows who asks."""

    code = 401
    explain = "No permission -- see authorization schemes"


class Forbidden(HttpError):
    """It is known who asks, and that he may not."""

    code = 403
    explain = "This user lacks the right for that"


class NotFound(HttpError):
    """No such path or object. Living clients compare both texts, word for word."""

    code = 404
    explain = "Nothing matches the given URI"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__("Not Found", detail=detail)


class Conflict(HttpError):
    """The state of things forbids it."""

    code = 409
    explain = "The request contradicts the present state of what it names"


class PayloadTooLarge(HttpError):
    """The body is longer than any we read."""

    code = 413
    explain = "The body is longer than this server reads"


class UriTooLong(HttpError):
    """The target is longer than any we read."""

    code = 414
    explain = "The URI is longer than this server reads"


class UnsupportedMediaType(HttpError):
    """The body is of a kind that we do not read."""

    code = 415
    explain = "Bodies must be JSON (application/json)"


class ExpectationFailed(HttpError):
    """``Expect`` asks for something that we do not do."""

    code = 417
    explain = "The only expectation that this server meets is 100-continue"


class UnprocessableContent(HttpError):
    """The body is well-formed, and contradicts an earlier request."""

    code = 422
    explain = "The request cannot be carried out as it stands"


class TooManyRequests(HttpError):
    """Slow down."""

    code = 429
    explain = "Too many requests in a short time"


class HeaderFieldsTooLarge(HttpError):
    """More header than we read."""

    code = 431
    explain = "The header is longer than this server reads"


class InternalServerError(HttpError):
    """Our mistake."""


class NotImplementedMethod(HttpError):
    """The path lacks this method (Ganeti's answer since 2.1.2; RFC 9110 would have 405)."""

    code = 501
    explain = "The server does not do this here"

    def __init__(self, message: str = "", allow: Sequence[str] = ()) -> None:
        super().__init__(message, headers=[("Allow", ", ".join(allow))] if allow else ())


class BadGateway(HttpError):
    """The master cannot be reached, or makes no sense."""

    code = 502
    explain = "The master daemon gave no usable answer"


class ServiceUnavailable(HttpError):
    """Not now."""

    code = 503
    explain = "This is not possible at the moment"

    def __init__(self, message: str = "", retry_after: int | None = None) -> None:
        super().__init__(message, headers=[] if retry_after is None
                         else [("Retry-After", str(retry_after))])


class GatewayTimeout(HttpError):
    """The master took too long."""

    code = 504
    explain = "The master daemon did not answer in time"


class HttpVersionNotSupported(HttpError):
    """Neither HTTP/1.0 nor HTTP/1.1."""

    code = 505
    explain = "This server speaks HTTP/1.0 and HTTP/1.1"
