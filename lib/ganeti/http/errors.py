"""Error responses of HTTP as exceptions, one class for each status.

A client gets ``as_object()`` as JSON: ``code``, ``message`` (what was wrong with this request),
``explain`` (what the status means) and, for some errors, ``detail``. All texts are plain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ganeti.http.message import REASONS


class HttpError(Exception):
    """Base class of the errors; used by itself it is a 500.

    ``message`` defaults to the reason phrase of the status. ``detail`` is any JSON value.
    ``headers`` are added to those of every response.
    """

    code: ClassVar[int] = 500
    standard: ClassVar[str] = "The server failed while it worked on the request"

    def __init__(
        self,
        message: str | None = None,
        *,
        explain: str | None = None,
        detail: object = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.message = message or REASONS[self.code]
        self.explain = explain or self.standard
        self.detail = detail
        self.headers = list(headers)
        super().__init__(self.message)

    def as_object(self) -> dict[str, object]:
        """Return ``{"code", "message", "explain"[, "detail"]}``."""
        result: dict[str, object] = {
            "code": self.code,
            "message": self.message,
            "explain": self.explain,
        }
        if self.detail is not None:
            result["detail"] = self.detail
        return result


class TemporaryRedirect(HttpError):
    """The client must send the same request to ``location`` (RFC 9110, 15.4.8)."""

    code = 307
    standard = "Another server answers this at the moment; send it there"

    def __init__(self, location: str | None = None) -> None:
        super().__init__(
            detail=location, headers=[] if location is None else [("Location", location)]
        )


class BadRequest(HttpError):
    """The request is malformed, or something in it is not allowed."""

    code = 400
    standard = "The request is malformed or contradicts itself"


class Unauthorized(HttpError):
    """The request has no valid credentials; ``headers`` has the challenge (RFC 9110, 15.5.2)."""

    code = 401
    standard = "A valid user name and password are needed"


class Forbidden(HttpError):
    """The user is known, but not allowed to do this."""

    code = 403
    standard = "This user does not have the right to do that"


class NotFound(HttpError):
    """The resource does not exist; ``detail`` names it.

    The message is always the same, because existing clients compare it with Ganeti's, which comes
    from the standard library's server.
    """

    code = 404
    standard = "Nothing matches the given URI"

    def __init__(self, detail: object = None, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail=detail, headers=headers)


class RequestTimeout(HttpError):
    """The request did not arrive completely in time."""

    code = 408
    standard = "The rest of the request did not arrive in time"


class Conflict(HttpError):
    """The state of the resource does not allow the request."""

    code = 409
    standard = "The present state of the resource does not allow it"


class PreconditionFailed(HttpError):
    """A condition in the request's header does not hold (RFC 9110, 13)."""

    code = 412
    standard = "A condition in the header does not hold, so nothing was done"


class PayloadTooLarge(HttpError):
    """The body is longer than its limit allows."""

    code = 413
    standard = "The body of the request is too large"


class UriTooLong(HttpError):
    """The target of the request exceeds its limit."""

    code = 414
    standard = "The URI of the request is too long"


class UnsupportedMediaType(HttpError):
    """The body has a media type or coding that is not supported."""

    code = 415
    standard = "Bodies must be application/json, in no coding"


class ExpectationFailed(HttpError):
    """``Expect`` has another value than 100-continue."""

    code = 417
    standard = "The server cannot meet the expectation of the request"


class UnprocessableContent(HttpError):
    """The request is well formed, but cannot be carried out."""

    code = 422
    standard = "The body is well formed, but what it asks for cannot be done"


class TooManyRequests(HttpError):
    """The client sends too many requests; it may try again after ``retry_after`` seconds."""

    code = 429
    standard = "Too many requests were sent in a short time"

    def __init__(
        self, message: str | None = None, *, retry_after: int | None = None, detail: object = None
    ) -> None:
        super().__init__(message, detail=detail, headers=_retry_after(retry_after))
        self.retry_after = retry_after


class HeaderFieldsTooLarge(HttpError):
    """The number or size of the header fields exceeds its limit."""

    code = 431
    standard = "The header of the request is too large"


class InternalServerError(HttpError):
    """A mistake of ours; the log has the traceback."""


class NotImplementedMethod(HttpError):
    """The path lacks this method (Ganeti: 501, never 405), or the master lacks this opcode.

    ``allow`` lists the methods that the path has, for the header of that name.
    """

    code = 501
    standard = "The server does not support this operation"

    def __init__(
        self,
        message: str | None = None,
        *,
        allow: Sequence[str] | None = None,
        detail: object = None,
    ) -> None:
        headers = [] if allow is None else [("Allow", ", ".join(allow))]
        super().__init__(message, detail=detail, headers=headers)


class BadGateway(HttpError):
    """The master cannot be reached, or its answer cannot be understood."""

    code = 502
    standard = "The server got no usable answer from the service behind it"


class ServiceUnavailable(HttpError):
    """The request cannot be served now; another try makes sense after ``retry_after`` seconds."""

    code = 503
    standard = "The server cannot do this at the moment"

    def __init__(
        self, message: str | None = None, *, retry_after: int | None = None, detail: object = None
    ) -> None:
        super().__init__(message, detail=detail, headers=_retry_after(retry_after))


class GatewayTimeout(HttpError):
    """The master did not answer in time."""

    code = 504
    standard = "The service behind the server did not answer in time"


class HttpVersionNotSupported(HttpError):
    """The request has another version than HTTP/1.0 or HTTP/1.1."""

    code = 505
    standard = "The server speaks HTTP/1.0 and HTTP/1.1"


def _retry_after(seconds: int | None) -> list[tuple[str, str]]:
    return [] if seconds is None else [("Retry-After", str(seconds))]
