"""LUXI's messages: what the two daemons say to each other, as bytes and back; no sockets.

First the framing, then who asks, then requests and replies, then the calls: each is a
dataclass whose name is the method and whose fields are the arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Annotated, Any, ClassVar, TypeVar

from ganeti import constants, errors, ht, serializer
from ganeti.opcodes.base import ReasonTrail
from ganeti.qlang import job_filters

# -- framing ------------------------------------------------------------------------

#: Ends a message; must not occur inside one.
EOM = b"\x03"
#: A longer message is an attack or a mistake (1,000 creations in one call: 2 MiB).
MAX_MESSAGE = 64 * 1024 * 1024


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
            # Also where its end came in the same piece: the limit does not depend on that.
            if (len(self._buffer) if end < 0 else end) > self._limit:
                raise errors.ProtocolError(f"message longer than {self._limit} bytes")
            if end < 0:
                self._searched = len(self._buffer)
                return
            message = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            yield message

    @property
    def pending(self) -> bool:
        """Return whether a message has begun that has not ended."""
        return bool(self._buffer.strip())


# -- who asks -----------------------------------------------------------------------


@dataclass(frozen=True)
class RequestContext:
    """The member ``context`` of a LUXI request."""

    user: str | None = None
    request_id: str | None = None
    #: A submission with the key of an earlier one is that one, if the digests are the same.
    idempotency_key: str | None = None
    request_digest: str | None = None

    @property
    def who(self) -> str:
        """For a line of the log, in words that follow others."""
        user = f" of {self.user}" if self.user else ""
        return user + (f" (request {self.request_id})" if self.request_id else "")

    def to_wire(self) -> dict[str, str]:
        """Only what is known."""
        return {key: value for key, value in vars(self).items() if value is not None}

    @classmethod
    def from_wire(cls, data: object) -> RequestContext:
        """Unknown members and values that are no strings are passed over."""
        if not isinstance(data, dict):
            return cls()
        return cls(
            **{
                item.name: data[item.name]
                for item in fields(cls)
                if isinstance(data.get(item.name), str)
            }
        )


# -- calls --------------------------------------------------------------------------


class Call:
    """Base of all calls. Fields with a default may be left out at the end."""

    CHECKS: ClassVar[dict[str, ht.Check]]
    #: Names of the fields that are sent as ``args``, in their order.
    ARGUMENTS: ClassVar[tuple[str, ...]]
    #: May the call be sent again when the connection broke before its answer?
    SAFE_TO_REPEAT: ClassVar[bool] = True
    #: Fields of ours that travel beside ``args``, where a real luxid passes them over.
    BESIDE: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def from_args(cls, args: object, beside: Mapping[str, Any] | None = None) -> Call:
        """Build from a request's ``args``; raises ``ValueError`` in words for people.

        ``beside``: the request's members, of which those in ``BESIDE`` count.
        """
        names = cls.ARGUMENTS
        if not isinstance(args, list) or len(args) > len(names):
            raise ValueError(
                f"{cls.__name__} takes {len(names)} arguments "
                f"({', '.join(names)}), not {ht.shorten(args)}"
            )
        for name, value in zip(names, args):
            if not cls.CHECKS[name].fits(value):
                raise ValueError(
                    f"{cls.__name__}: {name} must be {cls.CHECKS[name].expects}, "
                    f"not {ht.shorten(value)}"
                )
        if len(args) < len(names):
            for item in _dataclass_fields(cls)[len(args) :]:
                if item.default is MISSING:
                    raise ValueError(f"{cls.__name__}: {item.name} is missing")
        if not cls.BESIDE:
            return cls(*args)
        more = {name: value for name, value in (beside or {}).items() if name in cls.BESIDE}
        for name, value in more.items():
            if not cls.CHECKS[name].fits(value):
                raise ValueError(
                    f"{cls.__name__}: {name} must be {cls.CHECKS[name].expects}, "
                    f"not {ht.shorten(value)}"
                )
        return cls(*args, **more)

    def to_args(self) -> list[Any]:
        """The request's ``args``."""
        return [getattr(self, name) for name in self.ARGUMENTS]

    def beside(self) -> dict[str, Any]:
        """The request's members beside ``args``: those that say something."""
        return {
            name: value
            for name in sorted(self.BESIDE)
            if (value := getattr(self, name)) is not None
        }


def _dataclass_fields(cls: type[Any]) -> tuple[Field[Any], ...]:
    return fields(cls)


#: Method name -> call.
CALLS: dict[str, type[Call]] = {}

_CallClass = TypeVar("_CallClass", bound=type[Call])


def _call(cls: _CallClass) -> _CallClass:
    cls.CHECKS = ht.checks_of(cls)
    cls.ARGUMENTS = tuple(name for name in cls.CHECKS if name not in cls.BESIDE)
    CALLS[cls.__name__] = cls
    return cls


#: A job id may come as a number or as a decimal string.
JobId = Annotated[
    int | str | float, ht.Refinement("a job id", lambda value: read_job_id(value) is not None)
]
OpList = list[dict[str, Any]]


def parse_job_id(value: object) -> int | None:
    """Return a job id as a number, or None: 25, "25" and 25.0 are job ids, but not "abc",
    "25 ", 25.5 or -1."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, float):
        return int(value) if value >= 0 and value.is_integer() else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    return None


def read_job_id(value: object) -> int | None:
    """Return a call's job id as a number, or None if it is not one.

    As ``parse_job_id``, but text may have blanks around it: luxid skips those before the
    number. In a URI they would be a second name of the same job.
    """
    return parse_job_id(value.strip() if isinstance(value, str) else value)


# -- requests and replies -----------------------------------------------------------


def request(call: Call, context: RequestContext | None = None) -> bytes:
    """Return a call as the bytes that Ganeti 3.0's own clients would send."""
    message: dict[str, Any] = {
        "method": type(call).__name__,
        "args": call.to_args(),
        "version": constants.CONFIG_VERSION,
    }
    message.update(call.beside())
    if context is not None and (members := context.to_wire()):
        message["context"] = members
    return pack(message)


@dataclass(frozen=True)
class Reply:
    """A result, and what our own master says beside it; a real luxid says nothing there.

    ``notes`` has ``idempotency``: "stored" (a new job under this key) or "replayed"
    (the job that the key had already), of a submission with a key; ``total``: how
    many rows there are beyond the page, of a Query with ``paging``; ``state``: see ``Query``.
    """

    result: Any
    notes: Mapping[str, Any] = field(default_factory=dict)


def parse_answer(data: bytes) -> Any:
    """Return the ``result`` of an answer; raises the error that it carries."""
    return parse_reply(data).result


def parse_reply(data: bytes) -> Reply:
    """Return an answer with its notes; raises the error that it carries.

    Raises ``ProtocolError`` when the answer is malformed.
    """
    try:
        message = serializer.loads_lenient(data)
    except serializer.ParseError as err:
        raise errors.ProtocolError(f"the master's answer is no JSON: {err}") from None
    if not isinstance(message, dict) or not message.keys() >= {"success", "result"}:
        raise errors.ProtocolError("the master's answer lacks success and result")
    version = message.get("version")
    if version is not None and version != constants.CONFIG_VERSION:
        raise errors.LuxiError(
            f"version mismatch: we speak {constants.CONFIG_VERSION}, "
            f"the master answered in {ht.shorten(version)}"
        )
    if message["success"]:
        return Reply(
            message["result"],
            {
                key: value
                for key, value in message.items()
                if key not in ("success", "result", "version")
            },
        )
    raise errors.decode(message["result"])


# -- every call ---------------------------------------------------------------------


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
    """Fields of objects with a filter -> {"fields", "data"}.

    ``paging`` (of jobs; other kinds and a real luxid pass it over) has any of:
    ``status`` (list of words), ``since`` (seconds since the epoch, compared with
    received_ts), ``after`` (job id, exclusive), ``descending`` (flag), ``archived``
    (flag: these too), ``limit``. The filter then holds within the page.

    ``state`` (which a real luxid passes over) names a kind, perhaps another one, and asks
    for the note ``state``: a word for what that kind's state was before this answer.
    """

    BESIDE = frozenset({"paging", "state"})

    what: str
    fields: list[str]
    qfilter: list[Any] | None
    paging: dict[str, Any] | None = None
    state: str | None = None


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
class ReplaceFilter(Call):
    """Store a job filter rule, under this uuid or (null) a new one -> its uuid."""

    SAFE_TO_REPEAT = False
    uuid: str | None
    priority: ht.NonNegativeInt
    predicates: list[job_filters.Predicate]
    action: job_filters.Action
    reason_trail: ReasonTrail


@_call
@dataclass(frozen=True)
class DeleteFilter(Call):
    """Remove a job filter rule -> null."""

    uuid: str


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
