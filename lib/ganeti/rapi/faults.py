"""The translation of errors into HTTP.

An ``OpPrereqError`` is looked up by its code, any other error by its class or the nearest ancestor
with a row. Ganeti 3.0 answers most of these errors with 500, which tells a client nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from ganeti import errors
from ganeti.constants import ErrorCode
from ganeti.http import errors as http_errors
from ganeti.http.errors import HttpError
from ganeti.luxi import dialect

#: Seconds after which a client may try again: what is full or drained stays so for a while.
RETRY_AFTER = 30

Maker = Callable[[str], HttpError]


def _not_found(text: str) -> HttpError:
    # Living clients compare message and explain of a 404; the name goes into ``detail``.
    return http_errors.NotFound(detail=text)


def _try_later(text: str) -> HttpError:
    return http_errors.ServiceUnavailable(text, retry_after=RETRY_AFTER)


def _key_conflict(text: str) -> HttpError:
    return http_errors.UnprocessableContent(
        f"Header Idempotency-Key: {text}",
        explain="The key belongs to another request of the last 24 hours; a new request "
        "needs a new key",
    )


BY_CODE: dict[str, Maker] = {
    ErrorCode.NOENT: _not_found,
    ErrorCode.INVAL: http_errors.BadRequest,
    ErrorCode.RESOLVER: http_errors.BadRequest,
    ErrorCode.EXISTS: http_errors.Conflict,
    ErrorCode.NOTUNIQUE: http_errors.Conflict,
    ErrorCode.STATE: http_errors.Conflict,
    ErrorCode.NORES: _try_later,
    ErrorCode.TEMP_NORES: _try_later,
    ErrorCode.ENVIRON: http_errors.NotImplementedMethod,
    ErrorCode.FAULT: http_errors.InternalServerError,
}

BY_CLASS: dict[type[errors.Error], Maker] = {
    errors.Error: http_errors.InternalServerError,
    errors.ParameterError: http_errors.BadRequest,
    errors.TypeEnforcementError: http_errors.BadRequest,
    errors.UnitParseError: http_errors.BadRequest,
    errors.TagError: http_errors.BadRequest,
    errors.IPAddressError: http_errors.BadRequest,
    errors.OpCodeUnknown: http_errors.NotImplementedMethod,
    errors.JobLost: _not_found,
    # A master whose disk cannot keep jobs says JobQueueError.
    errors.JobQueueError: _try_later,
    errors.TooManyWaits: _try_later,
    errors.IdempotencyConflict: _key_conflict,
    errors.LuxiError: http_errors.BadGateway,
    errors.ProtocolError: http_errors.BadGateway,
    errors.Timeout: http_errors.GatewayTimeout,
    # Paths are for the log, not for strangers.
    errors.NoMaster: lambda _: http_errors.BadGateway("The master cannot be reached"),
    # The administrator's mistake, and nothing that a client could wait out.
    errors.NoPermission: lambda _: http_errors.InternalServerError(
        "The daemon has no permission to reach the master"
    ),
}


def _unreadable(reason: str) -> HttpError:
    """Return the error for a submission that we could parse and a real luxid could not."""
    opcode = dialect.unknown_opcode(reason)
    if opcode is not None:
        return http_errors.NotImplementedMethod(f"This master does not know {opcode}")
    fields = dialect.unknown_fields(reason)
    if fields:
        reason = "this master does not know " + ", ".join(f"'{name}'" for name in fields)
    return http_errors.BadRequest(f"Invalid body parameters: {reason}")


def translate(error: errors.Error) -> HttpError:
    """Return the HTTP error for one of ours; never raises."""
    words = str(error)
    if isinstance(error, errors.OpPrereqError):
        return BY_CODE.get(error.code, http_errors.InternalServerError)(words)
    if dialect.is_drained(error):
        return _try_later("The job queue is drained and takes no jobs")
    if dialect.is_dependency_on_no_job(error):
        return http_errors.BadRequest(
            "Invalid body parameters: 'depends' has a negative number that leads to no job; give "
            "the number of the job, or -1 for the job before this one"
        )
    reason = dialect.unreadable_submission(error)
    if reason is not None:
        return _unreadable(reason)
    return next(BY_CLASS[cls] for cls in type(error).__mro__ if cls in BY_CLASS)(words)
