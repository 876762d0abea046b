"""What every resource is made of.

A resource is a class that says its URI and its verbs::

    class R_2_instances_name_startup(Resource):
        '''Boot a stopped instance.'''
        URI = "/2/instances/{instance_name}/startup"
        PUT = Submit(opcodes.OpInstanceStartup, access="instances.startup", force=flag)

Routes, index pages, access checks and the reference are read from these
classes. A verb is a ``Submit`` or a method with ``@verb``; either way it is a
``Verb``, which knows its access, its arguments and how to answer an
``Exchange``. Reading is open unless said otherwise; a verb that changes
something must say who may (there is no default), or the import fails.
"""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from ganeti import luxi
from ganeti.rapi.arguments import Argument, Query

VERBS = ("GET", "POST", "PUT", "DELETE")
#: Access of a verb that needs no user.
OPEN = ""
SLOT = re.compile(r"\{([a-z_]+)\}", re.ASCII)


class Master(Protocol):
    """Whoever answers LUXI calls."""

    def call(self, call: luxi.Call) -> Any:
        """The result; raises ``errors.Error``."""

    def ask(self, call: luxi.Call) -> luxi.Reply:
        """The result, and what the master says beside it; raises ``errors.Error``."""


@dataclass(frozen=True)
class Exchange:
    """One request as a resource sees it: checked, decoded, with the master at hand.

    A verb may add to ``headers``: lines of the answer beside those that every answer has.
    """

    master: Master
    #: What stands in the URI's slots.
    slots: Mapping[str, str] = field(default_factory=dict)
    query: Query = field(default_factory=lambda: Query(""))
    #: The body's JSON value; None when there is none (or when it is null).
    body: Any = None
    #: Who asks, and under which key, as the master hears it.
    context: luxi.Context = luxi.Context()
    headers: list[tuple[str, str]] = field(default_factory=list)
    #: Answer as the page of the 2.0 API prints it, where living clients differ.
    like_2_0: bool = False
    #: Has the client hung up?
    gone: Callable[[], bool] = lambda: False
    clock_ns: Callable[[], int] = time.time_ns


class Verb:
    """One method of one resource."""

    #: Does it submit one job and answer its id? Then it takes an ``Idempotency-Key``.
    answers_job: bool = False

    def __init__(self, access: str, doc: str, arguments: Mapping[str, Argument]) -> None:
        self.access = access
        self.doc = doc
        self.arguments = arguments
        self.resource: type[Resource] = Resource

    def bind(self, resource: type[Resource]) -> None:
        """Learn whose verb this is; called once the class is there."""
        self.resource = resource

    def read_arguments(self, exchange: Exchange) -> dict[str, Any]:
        """Values of the declared words; raises ``BadRequest``."""
        return {name: argument.read(name, exchange.query)
                for name, argument in self.arguments.items()}

    def answer(self, exchange: Exchange) -> Any:
        """The JSON value that answers; raises ``HttpError`` or ``errors.Error``."""
        raise NotImplementedError

    def body_reference(self) -> list[str]:
        """What the body may hold, as paragraphs of the reference; nothing: no body is read."""
        return []


class Method(Verb):
    """A verb that is a method of its resource, which gets the arguments by keyword."""

    def __init__(self, function: Callable[..., Any], access: str,
                 arguments: Mapping[str, Argument], answers_job: bool = False) -> None:
        super().__init__(access, inspect.getdoc(function) or "", arguments)
        self._function = function
        self.answers_job = answers_job

    def answer(self, exchange: Exchange) -> Any:
        return self._function(self.resource(exchange), **self.read_arguments(exchange))


def verb(*, access: str = OPEN, answers_job: bool = False,
         **arguments: Argument) -> Callable[[Callable[..., Any]], Method]:
    """Make a method a verb: ``@verb(bulk=flag)`` above ``def GET(self, bulk)``."""
    return lambda function: Method(function, access, arguments, answers_job)


#: Every resource with a URI, in the order of their definition.
RESOURCES: list[type[Resource]] = []


class Resource:
    """Base of all resources; an instance lives as long as one request."""

    URI: ClassVar[str] = ""
    #: Other spellings, which answer GET only.
    ALIASES: ClassVar[tuple[str, ...]] = ()
    #: Answers without a user even where authentication is required.
    PUBLIC: ClassVar[bool] = False

    GET: ClassVar[Verb | None] = None
    POST: ClassVar[Verb | None] = None
    PUT: ClassVar[Verb | None] = None
    DELETE: ClassVar[Verb | None] = None

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def __init_subclass__(cls) -> None:
        for name, found in cls.verbs().items():
            if not isinstance(found, Verb):
                raise TypeError(f"{cls.__name__}.{name} is no verb: {found!r}")
            if name != "GET" and found.access == OPEN:
                raise TypeError(f"{cls.__name__}.{name} does not say who may")
            found.bind(cls)
        if cls.URI:
            RESOURCES.append(cls)

    @classmethod
    def verbs(cls) -> dict[str, Verb]:
        """The methods that it takes, in the order of ``VERBS``."""
        return {name: getattr(cls, name) for name in VERBS if getattr(cls, name) is not None}


def children(parent: str) -> list[dict[str, str]]:
    """The resources right below a path: ``[{"name", "uri"}]``, sorted."""
    prefix = parent.rstrip("/") + "/"
    names = {resource.URI.removeprefix(prefix) for resource in RESOURCES
             if resource.URI.startswith(prefix)}
    return [{"name": name, "uri": prefix + name} for name in sorted(names)
            if name and "/" not in name and not SLOT.search(name)]
