"""The exception tree, and its form on the wire.

Everything that a client may be told is a class of this tree. On LUXI and in a
job's ``opresult`` an error is ``[class name, [argument, ...]]``; ``encode`` and
``decode`` are the two ways. The class names and their arguments are Ganeti's
3.0 (``lib/errors.py`` there): its clients look them up by name.

    Error                         root of ours; never on the wire by itself
     +- GenericError              what Ganeti's clients know
     |   +- ConfigurationError    the configuration cannot be read or is wrong
     |   +- LockError
     |   +- HypervisorError       a guest would not do as told
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
     +- ProtocolError             the conversation itself is broken
         +- RequestError          the peer answered something that is no error of its own
         +- ConnectionClosed, Timeout, NoMaster, NoPermission
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from ganeti.constants import ErrorCode


class Error(Exception):
    """Root of all errors that we raise on purpose."""

    def __str__(self) -> str:
        """The words for people: the first argument that is text."""
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
    """A guest could not be started, stopped or asked."""


class BlockDeviceError(GenericError):
    """A disk could not be made, opened or removed."""


class StorageError(GenericError):
    """Storage of a node failed."""


class CommandError(GenericError):
    """A program that we ran failed."""


class FileStoragePathError(GenericError):
    """A path for file storage is not allowed."""


class ParameterError(GenericError):
    """A query's filter or field does not fit."""


class TypeEnforcementError(GenericError):
    """A backend, hypervisor, NIC or node parameter has the wrong type."""


class UnitParseError(GenericError):
    """A size such as "1G" could not be read."""


class TagError(GenericError):
    """A tag breaks the rules for tags."""


class IPAddressError(GenericError):
    """An address is none."""


class ProgrammerError(GenericError):
    """Our own mistake."""


class OpPrereqError(GenericError):
    """The opcode's conditions do not hold; nothing was changed.

    Two arguments: the words and an ``ErrorCode``.
    """

    def __init__(self, text: str, code: str = ErrorCode.INVAL) -> None:
        super().__init__(text, str(code))

    @property
    def code(self) -> str:
        """One of ``ErrorCode``, or whatever a foreign master sent."""
        return str(self.args[1])


class OpExecError(GenericError):
    """The opcode had begun and failed."""


class OpResultError(GenericError):
    """An opcode answered with something it must not."""


class OpCodeUnknown(GenericError):
    """No opcode has this OP_ID."""


class JobLost(GenericError):
    """No such job, or archived where only live ones count."""


class JobCanceled(GenericError):
    """The job was canceled."""


class JobQueueError(GenericError):
    """The job queue cannot do this."""


class JobQueueDrainError(JobQueueError):
    """The queue takes no new jobs: it was drained."""


class JobQueueFull(JobQueueError):
    """The queue takes no new jobs: it is full."""


class JobQueueUnavailable(JobQueueError):
    """The queue takes no new jobs: the disk cannot keep them. (ours)"""


class IdempotencyConflict(JobQueueError):
    """The key was used for another request. (ours; only who sends keys meets it)"""


class LuxiError(GenericError):
    """Versions or shapes of a LUXI message do not fit."""


class ResolverError(GenericError):
    """A name has no address."""


class HooksAbort(GenericError):
    """A hook forbade the operation."""


class HooksFailure(GenericError):
    """A hook failed."""


class ProtocolError(Error):
    """The conversation with the master is broken."""


class TooManyWaits(ProtocolError):
    """As many requests wait for jobs as may."""


class RequestError(ProtocolError):
    """The master answered failure in a form that is no error we know."""


class ConnectionClosed(ProtocolError):
    """The master closed the connection without an answer."""


class Timeout(ProtocolError):
    """The master did not answer in time."""


class NoMaster(ProtocolError):
    """Nobody listens on the master's socket."""


class NoPermission(ProtocolError):
    """The master's socket may not be opened by this user."""


def _tree(root: type[GenericError]) -> dict[str, type[GenericError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


#: Wire name -> class.
BY_NAME: dict[str, type[GenericError]] = _tree(GenericError)

#: Our own refinements go out under the name that Ganeti's clients know.
_WIRE_NAMES = {"JobQueueUnavailable": "JobQueueError", "DatabaseDamaged": "ConfigurationError"}


def encode(error: BaseException) -> list[Any]:
    """``[class name, [arguments]]``; a foreign exception becomes an OpExecError."""
    if isinstance(error, GenericError):
        name = type(error).__name__
        return [_WIRE_NAMES.get(name, name), [_plain(arg) for arg in error.args]]
    return ["OpExecError", [f"{type(error).__name__}: {_words(error)}"]]


def _words(error: BaseException) -> str:
    """Return an exception's words, without the number that an ``OSError`` begins with."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    names = [
        name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)
        for name in (error.filename, error.filename2)
        if name is not None
    ]
    return ": ".join([" -> ".join(names)] * bool(names) + [error.strerror])


def _plain(value: object) -> Any:
    if value is None or isinstance(value, (bool, int, float, dict)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)


def is_encoded(value: object) -> TypeGuard[Sequence[Any]]:
    """Has this the form of an encoded error of a class that we know?"""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return False
    name, args = value
    if not isinstance(name, str) or not isinstance(args, (list, tuple)):
        return False
    return name in BY_NAME


def _has_words(name: str, args: Sequence[Any]) -> bool:
    if BY_NAME[name] is OpPrereqError:
        return all(isinstance(arg, str) for arg in args[:2])
    # Lists of what each hook printed.
    return name in ("HooksAbort", "HooksFailure") or any(isinstance(arg, str) for arg in args)


def _unreadable(value: object) -> RequestError:
    return RequestError(value if isinstance(value, str) else repr(value))


def decode(value: object) -> Error:
    """The error that ``value`` stands for; ``RequestError`` when it has no known form.

    Arguments without any text are no known form either: they would tell people nothing.
    """
    if not is_encoded(value):
        return _unreadable(value)
    name, args = value[0], list(value[1])
    if args and not _has_words(name, args):
        return _unreadable(value)
    cls = BY_NAME[name]
    if cls is OpPrereqError:
        # Jobs also produce one with a single argument (luxi.md, section 3).
        text = str(args[0]) if args else "precondition failed"
        return OpPrereqError(text, str(args[1]) if len(args) > 1 else ErrorCode.INVAL)
    return cls(*args)
