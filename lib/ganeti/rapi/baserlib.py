"""The base of all resources, and the connector that finds the resource of a path.

A resource is a class that says its URI and its verbs::

    class R_2_instances_name_startup(Resource):
        '''Boot a stopped instance.'''
        URI = "/2/instances/{instance_name}/startup"
        SINCE = "2.0.0"
        PUT = Submit(opcodes.OpInstanceStartup, access="instances.startup", force=flag)

Routes, index pages, access checks and the reference are derived from these classes. A verb is a
``Submit`` or a method with ``@verb``. Either is a ``Verb``, which has the right that it needs
(``permissions`` lists the rights) and its arguments, and answers a ``ResourceRequest``. The right
has no default: without one the import fails. Reading is open to all, unless the verb says
otherwise or authentication is required.
"""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from ganeti import opcodes
from ganeti.http.errors import BadRequest
from ganeti.luxi import BoundClient, RequestContext
from ganeti.rapi.arguments import NO_QUERY, Argument, QueryString
from ganeti.serializer import Json

VERBS = ("GET", "POST", "PUT", "DELETE")
SLOT = re.compile(r"\{([a-z_]+)\}", re.ASCII)


T = TypeVar("T")
#: A verb that waits: yields each future that it waits for, and returns its value.
Steps = Generator[Future[Any], None, T]


@dataclass(frozen=True)
class ResourceRequest:
    """One request as a resource sees it: checked and decoded, with a client of the master.

    A verb may append to ``headers``, which the answer has besides the usual ones.
    """

    master: BoundClient
    #: The values of the URI's slots.
    slots: Mapping[str, str] = field(default_factory=dict)
    query: QueryString = NO_QUERY
    #: The body's JSON value; None if there is no body, or if it is null.
    body: Json = None
    #: The user, the id and the idempotency key of the request, as the master is told them.
    context: RequestContext = RequestContext()
    headers: list[tuple[str, str]] = field(default_factory=list)
    #: Whether to answer as the page of the 2.0 API says where today's clients expect 3.x.
    like_2_0: bool = False
    #: The lines of ``If-None-Match``: ETags of answers that the client has already.
    if_none_match: Sequence[str] = ()
    #: Returns whether the client has hung up.
    gone: Callable[[], bool] = lambda: False
    clock_ns: Callable[[], int] = time.time_ns


class Verb:
    """One method of one resource."""

    #: The opcode that it submits, or the main one of several; None if it submits no job.
    op: type[opcodes.OpCode] | None = None
    #: It submits one job and answers its id, so that it takes an ``Idempotency-Key``.
    answers_job: bool = False
    #: It is needed when something hangs, and has threads of its own.
    urgent: bool = False
    #: With ``bulk`` it keeps the processor busy, and is given few threads.
    long: bool = False
    #: Its body may name thousands of objects, and be ten times as long.
    large_body: bool = False
    #: It needs no user, unless authentication is required. Only a GET can be open.
    open: bool = False
    #: Keys of the body that may name the object if no slot does; the first one present counts.
    names_object: tuple[str, ...] = ()

    def __init__(self, access: str, doc: str, arguments: Mapping[str, Argument]) -> None:
        self.access = access
        self.doc = doc
        self.arguments = arguments
        self.resource: type[Resource] = Resource
        self._defaults: dict[str, Any] | None = None

    def _read_defaults(self) -> dict[str, Any] | None:
        """Return the values of arguments that are not given; None if some must be."""
        try:
            return {name: item.read(name, NO_QUERY) for name, item in self.arguments.items()}
        except BadRequest:
            return None

    def bind(self, resource: type[Resource], method: str) -> None:
        """Learn the verb's resource and method; called once the class is there."""
        self.resource = resource
        self._defaults = self._read_defaults()
        self.open = self.open and method == "GET"

    def object_name(self, slots: Mapping[str, str], body: object) -> str | None:
        """Return the name of the request's object; None if it has no object with a name."""
        for value in slots.values():
            return value
        if isinstance(body, dict):
            for key in self.names_object:
                if key in body:
                    name = body[key]
                    return name if isinstance(name, str) else None
        return None

    def read_arguments(self, request: ResourceRequest) -> dict[str, Any]:
        """Return the values of the declared arguments; raises ``BadRequest``."""
        if request.query is NO_QUERY and self._defaults is not None:
            return self._defaults.copy()
        return {
            name: argument.read(name, request.query) for name, argument in self.arguments.items()
        }

    def answer(self, request: ResourceRequest) -> object:
        """Return the JSON value that answers, or the ``Steps`` to it.

        Raises ``HttpError`` or ``errors.Error``, as the steps do.
        """
        raise NotImplementedError

    def body_reference(self) -> list[str]:
        """Return paragraphs of the reference about the body; none if no body is read."""
        return []


class Method(Verb):
    """A verb that is a method of its resource, which gets the arguments by keyword."""

    def __init__(
        self,
        function: Callable[..., object],
        access: str,
        arguments: Mapping[str, Argument],
        *,
        answers_job: bool = False,
        urgent: bool = False,
        long: bool = False,
        large_body: bool = False,
        open: bool = True,
    ) -> None:
        super().__init__(access, inspect.getdoc(function) or "", arguments)
        self._function = function
        self.answers_job = answers_job
        self.urgent = urgent
        self.long = long
        self.large_body = large_body
        self.open = open

    def answer(self, request: ResourceRequest) -> object:
        return self._function(self.resource(request), **self.read_arguments(request))


def verb(
    access: str,
    *,
    answers_job: bool = False,
    urgent: bool = False,
    long: bool = False,
    large_body: bool = False,
    open: bool = True,
    **arguments: Argument,
) -> Callable[[Callable[..., object]], Method]:
    """Make a method a verb: ``@verb("jobs.list", bulk=flag)`` above ``def GET(self, bulk)``."""
    return lambda function: Method(
        function,
        access,
        arguments,
        answers_job=answers_job,
        urgent=urgent,
        long=long,
        large_body=large_body,
        open=open,
    )


#: Every resource with a URI, in the order of definition.
RESOURCES: list[type[Resource]] = []


class Resource:
    """Base of all resources; each request has an instance of its own."""

    URI: ClassVar[str] = ""
    #: Other spellings, which answer GET only.
    ALIASES: ClassVar[tuple[str, ...]] = ()
    #: The release of Ganeti that introduced it ("2.0.0"; "after 3.1": merged, not released), or
    #: "ours" if no release has it.
    SINCE: ClassVar[str] = ""
    #: The same for those of its methods and words that came later.
    LATER: ClassVar[Mapping[str, str]] = {}
    #: Regexes of slots that hold neither a name nor a number.
    SLOTS: ClassVar[Mapping[str, str]] = {}
    #: Whether it answers without a user even where authentication is required.
    PUBLIC: ClassVar[bool] = False

    GET: ClassVar[Verb | None] = None
    POST: ClassVar[Verb | None] = None
    PUT: ClassVar[Verb | None] = None
    DELETE: ClassVar[Verb | None] = None
    _verbs: ClassVar[dict[str, Verb]] = {}

    def __init__(self, request: ResourceRequest) -> None:
        self.request = request

    def __init_subclass__(cls) -> None:
        cls._verbs = {name: getattr(cls, name) for name in VERBS if getattr(cls, name) is not None}
        for name, found in cls._verbs.items():
            if not isinstance(found, Verb):
                raise TypeError(f"{cls.__name__}.{name} is not a verb: {found!r}")
            if not found.access and not cls.PUBLIC:
                raise TypeError(f"{cls.__name__}.{name} does not say who may")
            found.bind(cls, name)
        if cls.URI:
            RESOURCES.append(cls)

    @classmethod
    def verbs(cls) -> dict[str, Verb]:
        """Return its verbs by method, in the order of ``VERBS``."""
        return cls._verbs


def children(parent: str) -> list[dict[str, str]]:
    """Return the readable resources right below a path: ``[{"name", "uri"}]``, sorted."""
    prefix = parent.rstrip("/") + "/"
    names = {
        resource.URI.removeprefix(prefix)
        for resource in RESOURCES
        if resource.URI.startswith(prefix) and resource.GET is not None
    }
    return [
        {"name": name, "uri": prefix + name}
        for name in sorted(names)
        if name and "/" not in name and not SLOT.search(name)
    ]


# -- from a path to its resource -------------------------------------------------------


#: What a slot may hold, of Ganeti's URIs: a name, unless it is one of these.
_NAME = r"[\w.-]+"
_SLOTS = {"job_id": r"[0-9]+", "disk": r"[0-9]{1,9}"}


@dataclass(frozen=True)
class RouteMatch:
    """The resource of a path, and the values of the path's slots."""

    resource: type[Resource]
    slots: dict[str, str]
    #: Whether the path is another spelling, which can only be read.
    alias: bool = False

    def verbs(self) -> dict[str, Verb]:
        """Return the methods that can be used on this path."""
        found = self.resource.verbs()
        return {"GET": found["GET"]} if self.alias else found

    def allow(self) -> list[str]:
        """Return all methods of this path, as ``Allow`` lists them."""
        names = list(self.verbs())
        return [*names, *(["HEAD"] if "GET" in names else []), "OPTIONS"]


def pattern(uri: str, slots: Mapping[str, str] = {}) -> re.Pattern[str]:
    """Return the regex of a URI: ``/2/jobs/{job_id}`` -> ``/2/jobs/(?P<job_id>[0-9]+)``.

    ``slots``: regexes of slots that hold neither a name nor a number.
    """
    slots = {**_SLOTS, **slots}
    pieces = SLOT.split(uri)
    for index, piece in enumerate(pieces):
        # Every second piece is the name of a slot.
        pieces[index] = f"(?P<{piece}>{slots.get(piece, _NAME)})" if index % 2 else re.escape(piece)
    return re.compile("".join(pieces), re.ASCII)


class Connector:
    """Finds the resource of a path in a table of regexes, which is built once from the URIs."""

    def __init__(self, resources: Iterable[type[Resource]]) -> None:
        #: Paths without slots, which most requests have; then the table of the others.
        self._fixed: dict[str, RouteMatch] = {}
        self._table: list[tuple[re.Pattern[str], type[Resource], bool]] = []
        seen: set[str] = set()
        for resource in resources:
            for uri in (resource.URI, *resource.ALIASES):
                regex = pattern(uri, resource.SLOTS)
                if regex.pattern in seen:
                    raise ValueError(f"two resources have the URI {uri}")
                seen.add(regex.pattern)
                if SLOT.search(uri):
                    self._table.append((regex, resource, uri != resource.URI))
                else:
                    self._fixed[uri] = RouteMatch(resource, {}, uri != resource.URI)

    def find(self, path: str) -> RouteMatch | None:
        """Return the resource of a percent-decoded path; None if there is none."""
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed
        for regex, resource, alias in self._table:
            found = regex.fullmatch(path)
            if found is not None:
                return RouteMatch(resource, found.groupdict(), alias)
        return None
