"""The exceptions, and their form on the wire.

Every error that a client may get is a class of this tree. On LUXI and in a job's ``opresult`` an
error is ``[class name, [argument, ...]]``, which ``encode`` and ``decode`` convert. Names and
arguments of the classes are those of Ganeti 3.0 (``lib/errors.py`` there), whose clients look them
up by name.

    Error                         root; never on the wire itself
     +- GenericError              root of the errors that Ganeti's clients know
     |   +- ConfigurationError    the configuration cannot be read or is wrong
     |   +- LockError
     |   +- HypervisorError       a guest could not be started, stopped or examined
     |   +- BlockDeviceError, StorageError, CommandError, FileStoragePathError
     |   +- ParameterError        a filter or a field is wrong
     |   +- TypeEnforcementError  a be/hv/nic parameter has the wrong type
     |   +- UnitParseError, TagError, IPAddressError
     |   +- OpPrereqError         [text, ErrorCode]: the opcode cannot begin
     |   +- OpExecError           the opcode began and failed
     |   +- OpResultError, OpCodeUnknown, ProgrammerError
     |   +- JobLost, JobCanceled, JobQueueError
     |   |   +- JobQueueDrainError, JobQueueFull, JobQueueUnavailable, IdempotencyConflict
     |   +- LuxiError, ResolverError, HooksAbort, HooksFailure
     +- ProtocolError             no answer, or a malformed one
         +- RequestError          a failure in a form that names no class
         +- ConnectionClosed, Timeout, NoMaster, NoPermission
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from ganeti.constants import ErrorCode
from ganeti.serializer import Json


class Error(Exception):
    """Root of all errors that are raised on purpose."""

    def __str__(self) -> str:
        """Return the first argument that is a string: the message for people."""
        for arg in self.args:
            if isinstance(arg, str):
                return arg
        return ", ".join(str(arg) for arg in self.args) or type(self).__name__


class GenericError(Error):
    """Root of the errors that Ganeti's clients know by name."""


class ConfigurationError(GenericError):
    """The configuration cannot be read, or contradicts itself."""


class LockError(GenericError):
    """A lock was used against its rules."""


class HypervisorError(GenericError):
    """A guest could not be started, stopped or examined."""


class BlockDeviceError(GenericError):
    """A disk could not be created, opened or removed."""


class StorageError(GenericError):
    """The storage of a node failed."""


class CommandError(GenericError):
    """A program that we ran failed."""


class FileStoragePathError(GenericError):
    """A path for file storage is not allowed."""


class ParameterError(GenericError):
    """A query has a wrong filter, or names an unknown kind or field."""


class TypeEnforcementError(GenericError):
    """A backend, hypervisor, NIC or node parameter has the wrong type."""


class UnitParseError(GenericError):
    """A size such as "1G" could not be read."""


class TagError(GenericError):
    """A tag is too long or has characters that tags must not have."""


class IPAddressError(GenericError):
    """An IP address is malformed."""


class ProgrammerError(GenericError):
    """A bug in our own code."""


class OpPrereqError(GenericError):
    """The opcode's prerequisites are not met; nothing was changed.

    The arguments are the message and an ``ErrorCode``.
    """

    def __init__(self, text: str, code: str = ErrorCode.INVAL) -> None:
        super().__init__(text, str(code))

    @property
    def code(self) -> str:
        """Return the ``ErrorCode``, or another text that a real master sent."""
        return str(self.args[1])


class OpExecError(GenericError):
    """The opcode was begun and failed."""


class OpResultError(GenericError):
    """An opcode's result has a wrong type."""


class OpCodeUnknown(GenericError):
    """No opcode has this OP_ID."""


class JobLost(GenericError):
    """There is no such job, or it is archived where only live jobs count."""


class JobCanceled(GenericError):
    """The job was canceled."""


class JobQueueError(GenericError):
    """The job queue cannot do this."""


class JobQueueDrainError(JobQueueError):
    """The queue accepts no jobs because it is drained."""


class JobQueueFull(JobQueueError):
    """The queue accepts no jobs because it is full."""


class JobQueueUnavailable(JobQueueError):
    """The queue accepts no jobs because they cannot be stored. Ganeti has no such class."""


class IdempotencyConflict(JobQueueError):
    """The idempotency key was used for another request. Ganeti has no such class; clients that
    send no keys never get it."""


class LuxiError(GenericError):
    """A LUXI message has another version than ours."""


class ResolverError(GenericError):
    """A name has no address."""


class HooksAbort(GenericError):
    """A hook forbade the operation."""


class HooksFailure(GenericError):
    """A hook failed."""


class ProtocolError(Error):
    """The master did not answer, or not as LUXI defines it."""


class TooManyWaits(ProtocolError):
    """Too many requests wait for jobs already."""


class RequestError(ProtocolError):
    """The master reported a failure in a form that is not an error that we know."""


class ConnectionClosed(ProtocolError):
    """The master closed the connection without an answer."""


class Timeout(ProtocolError):
    """The master did not answer in time."""


class NoMaster(ProtocolError):
    """No process listens on the master's socket."""


class NoPermission(ProtocolError):
    """This user may not connect to the master's socket."""


def _tree(root: type[GenericError]) -> dict[str, type[GenericError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


#: Name on the wire -> class.
BY_NAME: dict[str, type[GenericError]] = _tree(GenericError)

#: Classes of ours that are sent under the name of a class that Ganeti's clients know.
_WIRE_NAMES = {"JobQueueUnavailable": "JobQueueError", "DatabaseDamaged": "ConfigurationError"}


def encode(error: BaseException) -> list[Json]:
    """Return ``[class name, [argument, ...]]``; any exception that is not a ``GenericError``
    becomes an OpExecError."""
    if isinstance(error, GenericError):
        name = type(error).__name__
        return [_WIRE_NAMES.get(name, name), [_plain(arg) for arg in error.args]]
    return ["OpExecError", [f"{type(error).__name__}: {_words(error)}"]]


def _words(error: BaseException) -> str:
    """Return an exception's message, without the number at the beginning of an ``OSError``'s."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    names = [
        name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)
        for name in (error.filename, error.filename2)
        if name is not None
    ]
    return ": ".join([" -> ".join(names)] * bool(names) + [error.strerror])


def _plain(value: object) -> Json:
    """Return an argument in a form that JSON has; objects other than dicts become text."""
    if value is None or isinstance(value, (bool, int, float, dict)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)


def is_encoded(value: object) -> TypeGuard[tuple[str, Sequence[object]]]:
    """Return whether a value is an encoded error of a class that we know."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return False
    name, args = value
    if not isinstance(name, str) or not isinstance(args, (list, tuple)):
        return False
    return name in BY_NAME


def _has_message(name: str, args: Sequence[object]) -> bool:
    """Return whether an error's arguments have something to tell people."""
    if BY_NAME[name] is OpPrereqError:
        return all(isinstance(arg, str) for arg in args[:2])
    # The arguments of these two are lists of what each hook has printed.
    return name in ("HooksAbort", "HooksFailure") or any(isinstance(arg, str) for arg in args)


def _unreadable(value: object) -> RequestError:
    return RequestError(value if isinstance(value, str) else repr(value))


def decode(value: object) -> Error:
    """Return the error that was encoded as ``value``.

    This is a ``RequestError`` if ``value`` is not an encoded error, or has arguments and no message
    among them.
    """
    if not is_encoded(value):
        return _unreadable(value)
    name, args = value[0], list(value[1])
    if args and not _has_message(name, args):
        return _unreadable(value)
    cls = BY_NAME[name]
    if cls is OpPrereqError:
        # A real master's jobs also report OpPrereqErrors with a single argument.
        text = str(args[0]) if args else "precondition failed"
        return OpPrereqError(text, str(args[1]) if len(args) > 1 else ErrorCode.INVAL)
    return cls(*args)
