"""What an error means in HTTP: the one place that knows both.

Looked up along the class's ancestors, so that a class without a row of its own
means what its parent means. An ``OpPrereqError`` goes by its code. Statuses
as design and measurement have them (luxi.md 4 lists what Ganeti 3.0 makes of
the same errors: mostly 500, which tells a client nothing).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ganeti import errors
from ganeti.constants import ErrorCode
from ganeti.http import errors as http_errors
from ganeti.http.errors import HttpError

#: Seconds after which a client may try again: what is full or drained stays so for a while.
RETRY_AFTER = 30

#: What a real luxid says, as a plain GenericError, when it takes no jobs.
_DRAINED = "Queue drained"
#: What it says, in a form that names no class, of an opcode's value that it cannot read:
#: its lists of words (hypervisors, disk templates ...) are longer than ours.
_BAD_OPCODE = "Failed to parse request: SubmitJob: "
#: What it says of one, and of a key, that it does not know.
_UNKNOWN_OPCODE = re.compile(r"Unknown opcode (OP_[A-Z0-9_]+)", re.ASCII)
_UNKNOWN_KEYS = re.compile(r'Superfluous dictionary keys: \["([a-z0-9_", ]+)"\]', re.ASCII)

#: What our master, and a real luxid, say of a relative dependency that leads below job 1: a
#: plain GenericError, too.
_NO_SUCH_DEPENDENCY = re.compile(
    r"relative dependency -\d+ of job \d+ leads to no job"
    r"|Invalid value for job ID ' ?-?\d+'",
    re.ASCII,
)

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


def _unreadable(words: str) -> HttpError:
    """What a real luxid cannot read of a submission that we could: its version differs."""
    unknown = _UNKNOWN_OPCODE.match(words)
    if unknown is not None:
        return http_errors.NotImplementedMethod(f"This master does not know {unknown[1]}")
    keys = _UNKNOWN_KEYS.match(words)
    if keys is not None:
        names = ", ".join(f"'{name}'" for name in keys[1].split('","'))
        words = f"this master does not know {names}"
    return http_errors.BadRequest(f"Invalid body parameters: {words}")


def translate(error: errors.Error) -> HttpError:
    """The answer that an error deserves; never raises."""
    words = str(error)
    if isinstance(error, errors.OpPrereqError):
        return BY_CODE.get(error.code, http_errors.InternalServerError)(words)
    if type(error) is errors.GenericError and words == _DRAINED:
        return _try_later("The job queue is drained and takes no jobs")
    if type(error) is errors.GenericError and _NO_SUCH_DEPENDENCY.fullmatch(words):
        return http_errors.BadRequest(
            "Invalid body parameters: 'depends' has a negative number that leads to no job; give "
            "the number of the job, or -1 for the job before this one"
        )
    if isinstance(error, errors.RequestError) and words.startswith(_BAD_OPCODE):
        return _unreadable(words.removeprefix(_BAD_OPCODE))
    return next(BY_CLASS[cls] for cls in type(error).__mro__ if cls in BY_CLASS)(words)
