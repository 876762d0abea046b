"""LUXI's messages: what the two daemons say to each other, as bytes and back; no sockets.

A request is a ``Call`` and, from our own front, a ``RequestContext``. A reply is a result with
notes, or an error. Each call is a dataclass: its name is the method, its fields are the
arguments.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Annotated, Any, ClassVar

from ganeti import constants, errors, ht, serializer
from ganeti.opcodes.base import ReasonTrail
from ganeti.qlang import job_filters
from ganeti.serializer import Json, JsonObject
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

# -- framing ------------------------------------------------------------------------

#: Ends a message; must not occur inside one.
EOM = b"\x03"
#: A longer message is an attack or a mistake (1,000 creations in one call: 2 MiB).
MAX_MESSAGE = 64 * 1024 * 1024
#: Bytes to read from a socket at once. The C library maps and unmaps memory for each larger buffer.
RECEIVE_SIZE = 64 * 1024


def pack(message: Mapping[str, object]) -> bytes:
    """Return a message as bytes: JSON in ASCII, where 0x03 is escaped, and the end mark."""
    return serializer.dumps(message).encode("ascii") + EOM


class Splitter:
    """Cuts a byte stream into messages, in whatever pieces the stream arrives."""

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._buffer = bytearray()
        self._searched = 0  # bytes at the front of the buffer that are known to hold no EOM
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add bytes and yield each complete message without its end mark.

        Raises ``errors.ProtocolError`` for a message over the limit.
        """
        self._buffer += data
        while True:
            end = self._buffer.find(EOM, self._searched)
            # A message that is complete is measured as well: whether it is refused must not
            # depend on how the stream was cut.
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
        """Return whether the buffer holds the beginning of a message, not only white space."""
        return bool(self._buffer.strip())


# -- requests -----------------------------------------------------------------------


@dataclass(frozen=True)
class RequestContext:
    """The user and the request behind a call, sent by our front only; a real luxid ignores it."""

    user: str | None = None
    request_id: str | None = None
    #: A submission with the key and the digest of an earlier one returns the earlier job.
    idempotency_key: str | None = None
    request_digest: str | None = None

    @property
    def who(self) -> str:
        """Return the user and the request for a log line, to be appended to a word."""
        user = f" of {self.user}" if self.user else ""
        return user + (f" (request {self.request_id})" if self.request_id else "")

    def to_wire(self) -> dict[str, str]:
        """Return the request's member ``context``, without the fields that are None."""
        return {key: value for key, value in vars(self).items() if value is not None}

    @classmethod
    def from_wire(cls, data: object) -> RequestContext:
        """Read the member ``context``; unknown keys and values that are not strings are ignored."""
        if not isinstance(data, dict):
            return cls()
        return cls(
            **{
                item.name: data[item.name]
                for item in fields(cls)
                if isinstance(data.get(item.name), str)
            }
        )


#: Method name -> call.
CALLS: dict[str, type[Call]] = {}


@dataclass(frozen=True)
class Call:
    """Base of all calls. Arguments with a default may be left out at the end."""

    CHECKS: ClassVar[dict[str, ht.Check]]
    #: Names of the fields that are sent as ``args``, in their order.
    ARGUMENTS: ClassVar[tuple[str, ...]]
    #: Whether the call may be sent again when the connection broke before its answer.
    SAFE_TO_REPEAT: ClassVar[bool] = True
    #: Fields of ours that are sent as members of the request, which a real luxid ignores.
    MEMBERS: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        """Register the call under its name."""
        cls.CHECKS = ht.checks_of(cls)
        cls.ARGUMENTS = tuple(name for name in cls.CHECKS if name not in cls.MEMBERS)
        CALLS[cls.__name__] = cls

    @classmethod
    def from_args(cls, args: object, members: Mapping[str, object] | None = None) -> Call:
        """Build the call from a request's ``args`` and those of its members that are ``MEMBERS``.

        Raises ``ValueError`` with a message for people.
        """
        names = cls.ARGUMENTS
        if not isinstance(args, list) or len(args) > len(names):
            raise ValueError(
                f"{cls.__name__} takes {len(names)} arguments "
                f"({', '.join(names)}), not {ht.shorten(args)}"
            )
        given = dict(zip(names, args))
        if cls.MEMBERS and members is not None:
            given.update((name, members[name]) for name in cls.MEMBERS if name in members)
        for name, value in given.items():
            check = cls.CHECKS[name]
            if not check.fits(value):
                raise ValueError(
                    f"{cls.__name__}: {name} must be {check.expects}, not {ht.shorten(value)}"
                )
        if len(args) < len(names):
            for item in fields(cls)[len(args) :]:
                if item.default is MISSING:
                    raise ValueError(f"{cls.__name__}: {item.name} is missing")
        return cls(**given)

    def to_args(self) -> list[object]:
        """Return the request's ``args``."""
        return [getattr(self, name) for name in self.ARGUMENTS]

    def members(self) -> dict[str, object]:
        """Return the fields that are ``MEMBERS`` of the request, without those that are None."""
        return {
            name: value
            for name in sorted(self.MEMBERS)
            if (value := getattr(self, name)) is not None
        }


def request(call: Call, context: RequestContext | None = None) -> bytes:
    """Return a call as the bytes that Ganeti 3.0's own clients would send."""
    message: dict[str, object] = {
        "method": type(call).__name__,
        "args": call.to_args(),
        "version": constants.CONFIG_VERSION,
    }
    message.update(call.members())
    if context is not None and (known := context.to_wire()):
        message["context"] = known
    return pack(message)


def parse_request(message: bytes) -> tuple[Call, RequestContext]:
    """Return a request's call and context; raises ``ValueError`` with a message for people.

    ``version`` and unknown members are ignored, as luxid does.
    """
    data = serializer.loads(message.strip())
    if not isinstance(data, dict):
        raise ValueError("a request is an object")
    method = data.get("method")
    call = CALLS.get(method) if isinstance(method, str) else None
    if call is None:
        raise ValueError(f"unknown method {method!r}")
    args = [] if call is QueryClusterInfo else data.get("args")
    return call.from_args(args, data), RequestContext.from_wire(data.get("context"))


# -- replies ------------------------------------------------------------------------


@dataclass(frozen=True)
class Reply:
    """A result, and the notes that our own master adds to it; a real luxid adds none.

    ``notes`` may have ``idempotency``, for a submission with a key: "stored" (a new job) or
    "replayed" (the job that the key belonged to already); ``total``, for a ``Query`` with
    ``paging``: the number of rows without ``after`` and ``limit``; ``state``: see ``Query``.
    """

    result: Any
    notes: Mapping[str, object] = field(default_factory=dict)


def pack_result(result: object) -> bytes:
    """Return the answer with a result, which may be a ``Reply`` with notes."""
    reply = result if isinstance(result, Reply) else Reply(result)
    try:
        return pack({"success": True, "result": reply.result, **reply.notes})
    except (TypeError, ValueError) as err:
        logger.exception("An answer could not be written as JSON")
        return pack_error(errors.ProgrammerError(str(err)))


def pack_error(error: BaseException) -> bytes:
    """Return the answer with an error; one that is not an ``errors.Error`` is a bug and logged."""
    if not isinstance(error, errors.Error):
        logger.error("A LUXI call failed", exc_info=error)
        words = describe_os_error(error) if isinstance(error, OSError) else str(error)
        error = errors.ProgrammerError(f"{type(error).__name__}: {words}")
    with contextlib.suppress(TypeError, ValueError):
        return pack({"success": False, "result": errors.encode(error)})
    # Its arguments cannot be written as JSON, but its message can.
    return pack({"success": False, "result": ["GenericError", [str(error)]]})


def pack_parse_failure(why: str) -> bytes:
    """Return the answer to a message that cannot be read: a text, as luxid sends it, where
    errors are lists."""
    return pack({"success": False, "result": f"Failed to parse request: {why}"})


def parse_reply(data: bytes) -> Reply:
    """Return an answer's result with its notes, or raise the error that it carries.

    Raises ``ProtocolError`` when the answer is malformed.
    """
    try:
        message = serializer.loads_lenient(data)
    except serializer.ParseError as err:
        raise errors.ProtocolError(f"the master's answer is not JSON: {err}") from err
    if not isinstance(message, dict) or not message.keys() >= {"success", "result"}:
        raise errors.ProtocolError("the master's answer lacks success and result")
    version = message.pop("version", None)
    if version is not None and version != constants.CONFIG_VERSION:
        raise errors.LuxiError(
            f"version mismatch: we speak {constants.CONFIG_VERSION}, "
            f"the master answered in {ht.shorten(version)}"
        )
    success, result = message.pop("success"), message.pop("result")
    if not success:
        raise errors.decode(result)
    return Reply(result, message)


def parse_answer(data: bytes) -> Any:
    """Return an answer's result, or raise the error that it carries."""
    return parse_reply(data).result


# -- job ids ------------------------------------------------------------------------


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

    As ``parse_job_id``, but a string may have white space around it, which luxid skips. In a
    URI it would be a second name of the same job.
    """
    return parse_job_id(value.strip() if isinstance(value, str) else value)


#: A job id may come as a number or as a decimal string.
JobId = Annotated[
    int | str | float, ht.Refinement("a job id", lambda value: read_job_id(value) is not None)
]
OpList = list[dict[str, Json]]

# -- every call ---------------------------------------------------------------------


@dataclass(frozen=True)
class SubmitJob(Call):
    """Accept one job -> its id. The job is durable before the answer is sent."""

    SAFE_TO_REPEAT = False
    ops: OpList


@dataclass(frozen=True)
class SubmitJobToDrainedQueue(Call):
    """SubmitJob that a drained queue accepts as well."""

    SAFE_TO_REPEAT = False
    ops: OpList


@dataclass(frozen=True)
class SubmitManyJobs(Call):
    """Accept several jobs -> [[true, id] or [false, text], ...]."""

    SAFE_TO_REPEAT = False
    jobs: list[OpList]


@dataclass(frozen=True)
class PickupJob(Call):
    """Internal to a real master; ours refuses it."""

    job_id: JobId


@dataclass(frozen=True)
class WaitForJobChange(Call):
    """Wait until a job changes -> [field values, log entries]."""

    job_id: JobId
    fields: list[str]
    previous: list[Json] | None
    previous_serial: int | None
    timeout: float


@dataclass(frozen=True)
class QueryJobs(Call):
    """Read fields of jobs -> rows; null or no ids mean all jobs that are not archived."""

    job_ids: list[JobId] | None
    fields: list[str]


@dataclass(frozen=True)
class CancelJob(Call):
    """Cancel a job -> [whether it was or will be canceled, text]."""

    job_id: JobId
    kill: bool = False


@dataclass(frozen=True)
class ChangeJobPriority(Call):
    """Change the priority of a job's remaining opcodes -> [whether it was changed, text]."""

    job_id: JobId
    priority: int


@dataclass(frozen=True)
class ArchiveJob(Call):
    """Archive a job that has ended -> whether it was archived."""

    job_id: JobId


@dataclass(frozen=True)
class AutoArchiveJobs(Call):
    """Archive jobs that ended ``age`` seconds ago (-1: all) -> [archived, not examined]."""

    age: float
    timeout: float


@dataclass(frozen=True)
class Query(Call):
    """Read fields of the objects that pass a filter -> {"fields", "data"}.

    ``paging`` selects jobs (other kinds and a real luxid ignore it) by any of ``status``
    (list of words), ``since`` (seconds since the epoch, compared with received_ts), ``after``
    (job id, exclusive), ``descending`` (flag), ``archived`` (flag: these too) and ``limit``.
    The filter is then applied to the selected jobs only.

    ``state`` names a kind, which may differ from ``what``, and requests the note ``state``: a
    word for the state that the kind was in before this answer. A real luxid ignores it.
    """

    MEMBERS = frozenset({"paging", "state"})

    what: str
    fields: list[str]
    qfilter: list[Any] | None
    paging: JsonObject | None = None
    state: str | None = None


@dataclass(frozen=True)
class QueryFields(Call):
    """Describe fields (null: all) -> {"fields"}."""

    what: str
    fields: list[str] | None


@dataclass(frozen=True)
class QueryInstances(Call):
    """Read fields of instances -> rows of plain values; unknown names give no row."""

    names: list[str]
    fields: list[str]
    lock: bool


@dataclass(frozen=True)
class QueryNodes(Call):
    """QueryInstances for nodes."""

    names: list[str]
    fields: list[str]
    lock: bool


@dataclass(frozen=True)
class QueryGroups(Call):
    """QueryInstances for node groups."""

    names: list[str]
    fields: list[str]
    lock: bool


@dataclass(frozen=True)
class QueryNetworks(Call):
    """QueryInstances for networks."""

    names: list[str]
    fields: list[str]
    lock: bool


@dataclass(frozen=True)
class QueryExports(Call):
    """List backups -> [[node, export], ...]."""

    nodes: list[str]
    lock: bool


@dataclass(frozen=True)
class QueryFilters(Call):
    """Read fields of job filter rules (null: of all) -> rows."""

    uuids: list[str] | None
    fields: list[str]


@dataclass(frozen=True)
class ReplaceFilter(Call):
    """Store a job filter rule under this uuid, or a new one for null -> its uuid."""

    SAFE_TO_REPEAT = False
    uuid: str | None
    priority: ht.NonNegativeInt
    predicates: list[job_filters.Predicate]
    action: job_filters.Action
    reason_trail: ReasonTrail


@dataclass(frozen=True)
class DeleteFilter(Call):
    """Remove a job filter rule -> null."""

    uuid: str


@dataclass(frozen=True)
class QueryConfigValues(Call):
    """Read single values by name; an unknown name gives null."""

    names: list[str]


@dataclass(frozen=True)
class QueryClusterInfo(Call):
    """Read everything about the cluster -> one object."""


@dataclass(frozen=True)
class QueryTags(Call):
    """Read the tags of one object -> list; the cluster is named by ""."""

    kind: ht.TagKind
    name: str


@dataclass(frozen=True)
class SetDrainFlag(Call):
    """Stop (true) or resume (false) accepting jobs -> true."""

    flag: bool


@dataclass(frozen=True)
class SetWatcherPause(Call):
    """Pause the watcher until this time, or (null) resume it -> the same value."""

    until: float | None
