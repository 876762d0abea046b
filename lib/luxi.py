"""LUXI: how clients talk to the master. Framing, the call words, the client.

A message is one JSON object and the byte 0x03. A request is ``{"method",
"args", "version"}``, an answer ``{"success", "result"}``; requests of one
connection are answered in order. Measured against luxid 3.0.2; nothing here is
particular to our own master but the optional member ``context``, which a real
luxid ignores.

Each call is a dataclass: its name is the method, its fields are the arguments
in wire order. Client and server both use it, so that no word stands twice.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, dataclass, fields
from typing import Annotated, Any, ClassVar, TypeVar, get_type_hints

from ganeti import constants, errors, ht, pathutils, serializer
from ganeti.utils import io

#: Ends a message; must not occur inside one.
EOM = b"\x03"
#: A longer message is an attack or a mistake (1,000 creations in one call: 2 MiB).
MAX_MESSAGE = 64 * 1024 * 1024
#: Seconds to connect and to wait for an answer, as Ganeti 3.0's own clients do.
CONNECT_TIMEOUT = 30.0
CALL_TIMEOUT = 180.0


# -- the calls -------------------------------------------------------------------

class Call:
    """Base of all calls. Fields with a default may be left out at the end."""

    CHECKS: ClassVar[dict[str, ht.Check]]
    #: May the call be sent again when the connection broke before its answer?
    SAFE_TO_REPEAT: ClassVar[bool] = True

    @classmethod
    def from_args(cls, args: object) -> Call:
        """Build from a request's ``args``; raises ``ValueError`` in words for people."""
        names = list(cls.CHECKS)
        if not isinstance(args, list) or len(args) > len(names):
            raise ValueError(f"{cls.__name__} takes {len(names)} arguments "
                             f"({', '.join(names)}), not {ht.shorten(args)}")
        for name, value in zip(names, args):
            if not cls.CHECKS[name].fits(value):
                raise ValueError(f"{cls.__name__}: {name} must be {cls.CHECKS[name].expects}, "
                                 f"not {ht.shorten(value)}")
        for item in _dataclass_fields(cls)[len(args):]:
            if item.default is MISSING:
                raise ValueError(f"{cls.__name__}: {item.name} is missing")
        return cls(*args)

    def to_args(self) -> list[Any]:
        """The request's ``args``."""
        return [getattr(self, name) for name in self.CHECKS]


def _dataclass_fields(cls: type[Any]) -> tuple[Field[Any], ...]:
    return fields(cls)


#: Method name -> call.
CALLS: dict[str, type[Call]] = {}

_CallClass = TypeVar("_CallClass", bound=type[Call])


def _call(cls: _CallClass) -> _CallClass:
    hints = get_type_hints(cls, include_extras=True)
    cls.CHECKS = {item.name: ht.check_for(hints[item.name]) for item in _dataclass_fields(cls)}
    CALLS[cls.__name__] = cls
    return cls


#: A job id may come as a number or as a decimal string.
JobId = Annotated[int | str | float, ht.Refinement(
    "a job id", lambda value: parse_job_id(value) is not None)]
OpList = list[dict[str, Any]]


def parse_job_id(value: object) -> int | None:
    """25, "25" and 25.0 are job ids; "abc", "25 ", 25.5 and -1 are none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, float):
        return int(value) if value >= 0 and value.is_integer() else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    return None


@_call
@dataclass(frozen=True)
class SubmitJob(Call):
    """Accept one job -> its id, which is durable then."""

    SAFE_TO_REPEAT = False
    ops: OpList


@_call
@dataclass(frozen=True)
class SubmitJobToDrainedQueue(Call):
    """As SubmitJob, also while the queue is drained."""

    SAFE_TO_REPEAT = False
    ops: OpList


@_call
@dataclass(frozen=True)
class SubmitManyJobs(Call):
    """Accept several jobs -> [[true, id] or [false, text], ...]."""

    SAFE_TO_REPEAT = False
    jobs: list[OpList]


@_call
@dataclass(frozen=True)
class PickupJob(Call):
    """Internal to a real master; always an error."""

    job_id: JobId


@_call
@dataclass(frozen=True)
class WaitForJobChange(Call):
    """Wait until a job changes -> [field values, log entries]."""

    job_id: JobId
    fields: list[str]
    previous: list[Any] | None
    previous_serial: int | None
    timeout: float


@_call
@dataclass(frozen=True)
class QueryJobs(Call):
    """Rows of job fields; null or no ids mean all that are not archived."""

    job_ids: list[JobId] | None
    fields: list[str]


@_call
@dataclass(frozen=True)
class CancelJob(Call):
    """Cancel -> [bool, text]."""

    job_id: JobId
    kill: bool = False


@_call
@dataclass(frozen=True)
class ChangeJobPriority(Call):
    """Move a job forward or back -> [bool, text]."""

    job_id: JobId
    priority: int


@_call
@dataclass(frozen=True)
class ArchiveJob(Call):
    """Put a final job away -> bool."""

    job_id: JobId


@_call
@dataclass(frozen=True)
class AutoArchiveJobs(Call):
    """Put away what ended ``age`` seconds ago (-1: all) -> [archived, not looked at]."""

    age: float
    timeout: float


@_call
@dataclass(frozen=True)
class Query(Call):
    """Fields of objects with a filter -> {"fields", "data"}."""

    what: str
    fields: list[str]
    qfilter: list[Any] | None


@_call
@dataclass(frozen=True)
class QueryFields(Call):
    """Which fields there are -> {"fields"}."""

    what: str
    fields: list[str] | None


@_call
@dataclass(frozen=True)
class QueryInstances(Call):
    """Rows of plain values; unknown names give no row."""

    names: list[str]
    fields: list[str]
    lock: bool


@_call
@dataclass(frozen=True)
class QueryNodes(Call):
    """As QueryInstances, of nodes."""

    names: list[str]
    fields: list[str]
    lock: bool


@_call
@dataclass(frozen=True)
class QueryGroups(Call):
    """As QueryInstances, of node groups."""

    names: list[str]
    fields: list[str]
    lock: bool


@_call
@dataclass(frozen=True)
class QueryNetworks(Call):
    """As QueryInstances, of networks."""

    names: list[str]
    fields: list[str]
    lock: bool


@_call
@dataclass(frozen=True)
class QueryExports(Call):
    """[[node, export], ...]."""

    nodes: list[str]
    lock: bool


@_call
@dataclass(frozen=True)
class QueryFilters(Call):
    """Rows of job filter rules."""

    uuids: list[str] | None
    fields: list[str]


@_call
@dataclass(frozen=True)
class QueryConfigValues(Call):
    """Single facts by name; an unknown name gives null."""

    names: list[str]


@_call
@dataclass(frozen=True)
class QueryClusterInfo(Call):
    """Everything about the cluster, in one object."""


@_call
@dataclass(frozen=True)
class QueryTags(Call):
    """The tags of one object; the cluster's name is ""."""

    kind: ht.TagKind
    name: str


@_call
@dataclass(frozen=True)
class SetDrainFlag(Call):
    """Stop (true) or start (false) taking new jobs -> true."""

    flag: bool


@_call
@dataclass(frozen=True)
class SetWatcherPause(Call):
    """Until when the watcher keeps still -> the same value."""

    until: float | None


# -- messages ------------------------------------------------------------------------

def pack(message: dict[str, Any]) -> bytes:
    """One message as bytes: ASCII JSON, so that 0x03 cannot occur in it."""
    return serializer.dumps(message).encode("ascii") + EOM


class Splitter:
    """Cuts a byte stream into messages, wherever it was cut before."""

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add bytes; yields each complete message without its end mark.

        Raises ``errors.ProtocolError`` for a message over the limit.
        """
        self._buffer += data
        while True:
            end = self._buffer.find(EOM, self._searched)
            if end < 0:
                self._searched = len(self._buffer)
                if len(self._buffer) > self._limit:
                    raise errors.ProtocolError(f"message longer than {self._limit} bytes")
                return
            message = bytes(self._buffer[:end])
            del self._buffer[:end + 1]
            self._searched = 0
            yield message

    @property
    def pending(self) -> bool:
        """Has a message begun that has not ended?"""
        return bool(self._buffer.strip())


@dataclass(frozen=True)
class Context:
    """Who asks, as our front tells our master; a real luxid ignores it."""

    user: str | None = None
    request_id: str | None = None
    idempotency_key: str | None = None

    def to_wire(self) -> dict[str, str]:
        """Only what is known."""
        return {key: value for key, value in vars(self).items() if value is not None}

    @classmethod
    def from_wire(cls, data: object) -> Context:
        """Unknown members and values that are no strings are passed over."""
        if not isinstance(data, dict):
            return cls()
        return cls(**{item.name: data[item.name] for item in fields(cls)
                      if isinstance(data.get(item.name), str)})


def request(call: Call, context: Context | None = None) -> bytes:
    """A call as the bytes that Ganeti 3.0's own clients would send."""
    message: dict[str, Any] = {"method": type(call).__name__, "args": call.to_args(),
                               "version": constants.CONFIG_VERSION}
    if context is not None and (members := context.to_wire()):
        message["context"] = members
    return pack(message)


def parse_answer(data: bytes) -> Any:
    """The ``result`` of an answer; raises the error that it carries.

    ``ProtocolError`` when the answer has no sense at all.
    """
    try:
        message = serializer.loads_lenient(data)
    except serializer.ParseError as err:
        raise errors.ProtocolError(f"the master's answer is no JSON: {err}") from None
    if not isinstance(message, dict) or not message.keys() >= {"success", "result"}:
        raise errors.ProtocolError("the master's answer lacks success and result")
    version = message.get("version")
    if version is not None and version != constants.CONFIG_VERSION:
        raise errors.LuxiError(f"version mismatch: we speak {constants.CONFIG_VERSION}, "
                               f"the master answered in {ht.shorten(version)}")
    if message["success"]:
        return message["result"]
    raise errors.decode(message["result"])


# -- the client -------------------------------------------------------------------------

def connect(path: str, timeout: float) -> socket.socket:
    """A connected stream socket; raises the ``ProtocolError`` that says what is wrong."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        with io.short_socket_path(path) as short:
            sock.connect(short)
        return sock
    except PermissionError:
        sock.close()
        raise errors.NoPermission(f"no permission to connect to the master at {path}") from None
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        raise errors.NoMaster(f"cannot connect to the master at {path}") from None
    except TimeoutError:
        sock.close()
        raise errors.Timeout(f"connecting to the master at {path} took too long") from None
    except OSError as err:
        sock.close()
        raise errors.NoMaster(f"cannot connect to the master at {path}: {err}") from None


class Client:
    """One connection to a master; not to be shared between threads.

    A call that found its connection closed is sent again once, on a new one, if
    it may be: a submission is not, since the first may have been accepted.
    """

    def __init__(self, path: str | None = None, *, connect_timeout: float = CONNECT_TIMEOUT,
                 call_timeout: float = CALL_TIMEOUT,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path or pathutils.Paths.from_environment().query_socket
        self._connect_timeout = connect_timeout
        self._call_timeout = call_timeout
        self._clock = clock
        self._sock: socket.socket | None = None
        self._last_use = 0.0

    def call(self, call: Call, context: Context | None = None) -> Any:
        """The result of a call; raises what the master answered, or ``ProtocolError``."""
        data = request(call, context)
        fresh = self._open()
        try:
            return self._exchange(data)
        except errors.ConnectionClosed:
            if fresh or not call.SAFE_TO_REPEAT:
                raise
        self._open()
        return self._exchange(data)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _open(self) -> bool:
        """Make sure of a connection that the master has not closed for idleness."""
        now = self._clock()
        if self._sock is not None and (now - self._last_use > constants.LUXI_IDLE_TIMEOUT / 2
                                       or self._is_stale()):
            self.close()
        self._last_use = now
        if self._sock is not None:
            return False
        self._sock = connect(self._path, self._connect_timeout)
        return True

    def _is_stale(self) -> bool:
        """Has the master closed this idle connection? Then a read would not block."""
        assert self._sock is not None
        self._sock.setblocking(False)
        try:
            self._sock.recv(1, socket.MSG_PEEK)
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _exchange(self, data: bytes) -> Any:
        assert self._sock is not None
        deadline = self._clock() + self._call_timeout
        splitter = Splitter()
        try:
            self._sock.settimeout(self._call_timeout)
            self._sock.sendall(data)
            while True:
                left = deadline - self._clock()
                if left <= 0:
                    raise TimeoutError
                self._sock.settimeout(left)
                chunk = self._sock.recv(256 * 1024)
                if not chunk:
                    raise errors.ConnectionClosed("the master closed the connection unanswered")
                for message in splitter.feed(chunk):
                    return parse_answer(message)
        except TimeoutError:
            self.close()
            raise errors.Timeout("the master did not answer in "
                                 f"{self._call_timeout:.0f} seconds") from None
        except OSError as err:
            self.close()
            raise errors.ConnectionClosed(f"the connection to the master broke: {err}") from None
        except errors.ProtocolError:
            # A form-2 failure is followed by the end of the connection.
            self.close()
            raise
