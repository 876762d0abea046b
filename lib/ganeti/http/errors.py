"""The refusals of HTTP, as exceptions.

Each class is one status. A client gets ``as_object()`` as JSON: ``code``,
``message`` (what was wrong with this request), ``explain`` (what the status
means) and, where there is more to say, ``detail``. All are plain text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ganeti.http.message import REASONS


class HttpError(Exception):
    """Root of the refusals; by itself a 500.

    ``message`` defaults to the status's reason phrase. ``detail`` is any JSON value.
    ``headers`` are sent beside those that every answer has.
    """

    code: ClassVar[int] = 500
    standard: ClassVar[str] = "The server failed while it worked on the request"

    def __init__(
        self,
        message: str | None = None,
        *,
        explain: str | None = None,
        detail: Any = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.message = message or REASONS[self.code]
        self.explain = explain or self.standard
        self.detail = detail
        self.headers = list(headers)
        super().__init__(self.message)

    def as_object(self) -> dict[str, Any]:
        """``{"code", "message", "explain"[, "detail"]}``."""
        result = {"code": self.code, "message": self.message, "explain": self.explain}
        if self.detail is not None:
            result["detail"] = self.detail
        return result


class TemporaryRedirect(HttpError):
    """The same request, method and body and all, belongs elsewhere (RFC 9110, 15.4.8)."""

    code = 307
    standard = "Another server answers this at the moment; send it there"

    def __init__(self, location: str | None = None) -> None:
        super().__init__(
            detail=location, headers=[] if location is None else [("Location", location)]
        )


class BadRequest(HttpError):
    """What was sent cannot be understood, or is not allowed in this place."""

    code = 400
    standard = "The request is malformed or contradicts itself"


class Unauthorized(HttpError):
    """Nobody we know sent this; ``headers`` carry the challenge (RFC 9110, 15.5.2)."""

    code = 401
    standard = "A valid user name and password are needed"


class Forbidden(HttpError):
    """We know who sent this, and they may not."""

    code = 403
    standard = "This user does not have the right to do that"


class NotFound(HttpError):
    """There is no such thing. ``detail`` names it.

    The words are always the same: living clients compare them with those of
    the standard library's server, which Ganeti's answers carry.
    """

    code = 404
    standard = "Nothing matches the given URI"

    def __init__(self, detail: Any = None, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail=detail, headers=headers)


class RequestTimeout(HttpError):
    """The request was begun and not finished in time."""

    code = 408
    standard = "The rest of the request did not arrive in time"


class Conflict(HttpError):
    """The thing is not in a state that allows it."""

    code = 409
    standard = "The present state of the resource does not allow it"


class PreconditionFailed(HttpError):
    """A condition in the request's header does not hold (RFC 9110, 13)."""

    code = 412
    standard = "A condition in the header does not hold, so nothing was done"


class PayloadTooLarge(HttpError):
    """The body is longer than we read."""

    code = 413
    standard = "The body of the request is too large"


class UriTooLong(HttpError):
    """The request's target is longer than we read."""

    code = 414
    standard = "The URI of the request is too long"


class UnsupportedMediaType(HttpError):
    """The body is of a kind, or in a coding, that we do not read."""

    code = 415
    standard = "Bodies must be application/json, in no coding"


class ExpectationFailed(HttpError):
    """``Expect`` asks for something else than 100-continue."""

    code = 417
    standard = "The server cannot meet the expectation of the request"


class UnprocessableContent(HttpError):
    """Well formed, understood, and makes no sense."""

    code = 422
    standard = "The body is well formed, but what it asks for cannot be done"


class TooManyRequests(HttpError):
    """This client asks too often; ``retry_after`` are the seconds until it may ask again."""

    code = 429
    standard = "Too many requests were sent in a short time"

    def __init__(
        self, message: str | None = None, *, retry_after: int | None = None, detail: Any = None
    ) -> None:
        super().__init__(message, detail=detail, headers=_retry_after(retry_after))
        self.retry_after = retry_after


class HeaderFieldsTooLarge(HttpError):
    """More header lines, or longer ones, than we read."""

    code = 431
    standard = "The header of the request is too large"


class InternalServerError(HttpError):
    """Our own failure."""


class NotImplementedMethod(HttpError):
    """The path lacks this method (Ganeti: 501, never 405), or the master lacks this opcode.

    ``allow``: the methods that the path has, for the header of that name.
    """

    code = 501
    standard = "The server does not support this operation"

    def __init__(
        self, message: str | None = None, *, allow: Sequence[str] | None = None, detail: Any = None
    ) -> None:
        headers = [] if allow is None else [("Allow", ", ".join(allow))]
        super().__init__(message, detail=detail, headers=headers)


class BadGateway(HttpError):
    """The master's answer makes no sense, or there is no master."""

    code = 502
    standard = "The server got no usable answer from the service behind it"


class ServiceUnavailable(HttpError):
    """Not now. ``retry_after``: seconds after which it is worth another try."""

    code = 503
    standard = "The server cannot do this at the moment"

    def __init__(
        self, message: str | None = None, *, retry_after: int | None = None, detail: Any = None
    ) -> None:
        super().__init__(message, detail=detail, headers=_retry_after(retry_after))


class GatewayTimeout(HttpError):
    """The master did not answer in time."""

    code = 504
    standard = "The service behind the server did not answer in time"


class HttpVersionNotSupported(HttpError):
    """Not HTTP/1."""

    code = 505
    standard = "The server speaks HTTP/1.0 and HTTP/1.1"


def _retry_after(seconds: int | None) -> list[tuple[str, str]]:
    return [] if seconds is None else [("Retry-After", str(seconds))]
