"""The steps from a request to its answer.

    0 check that this node         307 or 503 on another node than the master (``--redirect``)
      serves the API
    1 find the resource            404 for an unknown URI
    2 find the verb                501 with Allow; HEAD is GET, OPTIONS ends here
    3 identify and authorize       403 for a page of a foreign origin (``http.cors``); 401, 403.
      the user                     Credentials are checked where none are needed, too, except for
                                   resources that are always public
    4 read the Idempotency-Key     400 if it is malformed, or the verb submits no job
    5 read the body                415 for another media type or a coding, 400 if it is not JSON;
                                   403 if it names an object that the user may not touch
    6 call the verb                any error, translated by ``faults``; 412 just before the first
                                   change, unless the client's conditions hold
    7 make the response            304 if the client has it already; gzip if the client accepts it

The head alone decides steps 1 and 2: ``RequestPipeline.route`` is called once, when it has been
read, and the parser needs the limit of the body. Conditions come last, as RFC 9110 (13.2.1)
demands: a request that fails without them fails in the same way with them.

So a stranger learns which URIs exist, which the documentation tells as well, and nothing else; and
the body of a user who may not send it is never parsed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
from collections.abc import Callable
from concurrent.futures import Future
from types import GeneratorType

from ganeti import errors, luxi, serializer
from ganeti.http import errors as http_errors
from ganeti.http import negotiation
from ganeti.http.cors import Cors
from ganeti.http.message import (
    MAX_LARGE_BODY,
    BodyETag,
    Priority,
    Request,
    RequestHead,
    Response,
    Route,
    Steps,
    body_tag,
)
from ganeti.luxi import RequestContext
from ganeti.rapi import faults, rlib2
from ganeti.rapi.arguments import (
    IDEMPOTENCY_KEY,
    JSON,
    NO_QUERY,
    QueryString,
    check_body_kind,
    read_body,
    read_idempotency_key,
)
from ganeti.rapi.auth.authenticator import Authenticator, denied
from ganeti.rapi.auth.object_names import full_name
from ganeti.rapi.auth.users import User
from ganeti.rapi.baserlib import Connector, ResourceRequest, RouteMatch, Verb
from ganeti.rapi.precondition import Object
from ganeti.rapi.reading import NotModified, StreamedList
from ganeti.serializer import Json
from ganeti.utils.text import unique_words

logger = logging.getLogger(__name__)

#: The methods of the server as a whole, which ``OPTIONS *`` asks for (RFC 9110, 9.3.7).
METHODS = "DELETE, GET, HEAD, OPTIONS, POST, PUT"
_SAFE = ("GET", "HEAD")

#: The longest list that is spooled in gzip's format, to have an ETag: some 200 KiB, which is no
#: more than a slow client costs anyway.
MAX_SPOOLED = 1000

#: A client's request id; others are replaced, as they would be copied to logs and headers.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)


class RequestPipeline:
    """Answers requests; from any thread, many at a time."""

    def __init__(
        self,
        pool: luxi.ConnectionPool,
        users: Authenticator,
        *,
        require_authentication: bool = False,
        like_2_0: bool = False,
        cors: Cors = Cors(),
        connector: Connector | None = None,
        redirect_if_not_master: Callable[[Request], None] | None = None,
        make_id: Callable[[], str] | None = None,
    ) -> None:
        self._pool = pool
        self._users = users
        self._require_authentication = require_authentication
        self._like_2_0 = like_2_0
        self.cors = cors
        self._connector = connector or Connector(rlib2.RESOURCES)
        self._redirect_if_not_master = redirect_if_not_master
        self._make_id = make_id or unique_words()

    def route(self, head: RequestHead) -> ResourceRoute:
        """Return the route of requests with this head, also if it leads nowhere."""
        return ResourceRoute(self, self._connector.find(head.path), head)

    def handler(self, route: ResourceRoute, request: Request) -> RequestHandler:
        """Return the handler of one request, which is given an id."""
        given = request.headers.get_all("X-Request-Id")
        known = len(given) == 1 and _REQUEST_ID.fullmatch(given[0]) is not None
        log_id = self._make_id()
        return RequestHandler(self, route, request, given[0] if known else log_id, log_id)

    def redirect_if_not_master(self, request: Request) -> None:
        """Raise ``HttpError`` if this node does not serve the API now (step 0)."""
        # Browsers do not follow a redirect of a preflight.
        if self._redirect_if_not_master is not None and request.method != "OPTIONS":
            self._redirect_if_not_master(request)

    @staticmethod
    def is_expected(error: Exception) -> bool:
        """Return whether an error may end a streamed list: the master went away, say."""
        return isinstance(error, errors.Error)

    def identify(self, request: Request, match: RouteMatch) -> User | None | Future[User]:
        """Return the user that credentials or a certificate name, now or later (step 3).

        None without either. Raises ``HttpError`` for wrong credentials.
        """
        if match.resource.PUBLIC:
            return None
        header = request.headers.get("Authorization")
        if header is not None:
            return self._users.authenticate(header, request.peer)
        if request.certificate:
            return self._users.certified(request.certificate, request.peer)
        return None

    def authorize(
        self, user: User | None, match: RouteMatch, verb: Verb, requester: RequestContext
    ) -> None:
        """Raise ``HttpError`` unless the user (None: a stranger) may use the verb (step 3).

        If that depends on the object's full name, the master is asked for it.
        """
        if match.resource.PUBLIC:
            return
        if verb.open and not self._require_authentication:
            return
        if user is None:
            raise denied()
        if verb.open and user.rights.unsaid:
            return
        if verb.access in user.rights.unconditional:
            return  # whatever the object is
        name = verb.object_name(match.slots, None)
        if user.rights.ask_for_names(verb.access):
            name = full_name(self._pool.bound(requester), match.slots)
        if verb.names_object:  # in the body, which has not been read yet
            allowed = user.rights.may_allow(verb.access)
        else:
            allowed = user.rights.allow(verb.access, name)
        if not allowed:
            raise forbidden(user, verb, name)

    def resource_request(
        self,
        request: Request,
        match: RouteMatch,
        verb: Verb,
        requester: RequestContext,
        before_change: Callable[[], None],
    ) -> ResourceRequest:
        """Return the request as a resource sees it (steps 4 and 5)."""
        key = read_key(request, verb)
        body = read_body(request.headers, request.body) if request.body else None
        context = requester
        if key is not None:
            context = dataclasses.replace(
                requester, idempotency_key=key, request_digest=digest(request, body)
            )
        return ResourceRequest(
            master=self._pool.bound(context, before_change),
            slots=match.slots,
            query=QueryString(request.query) if request.query else NO_QUERY,
            body=body,
            context=context,
            like_2_0=self._like_2_0,
            gone=request.gone,
            if_none_match=request.headers.get_all("If-None-Match"),
        )

    def present(
        self, request: Request, match: RouteMatch, user: User | None, requester: RequestContext
    ) -> Object:
        """Return the present state of the URI's object.

        Reading its ETag raises ``HttpError`` for a user who may not read the object.
        """
        resource_request = ResourceRequest(
            master=self._pool.bound(requester),
            slots=match.slots,
            query=QueryString(request.query) if request.query else NO_QUERY,
            context=requester,
            like_2_0=self._like_2_0,
        )

        def tag() -> str | None:
            reading = match.verbs().get("GET")
            if reading is None or reading.answers_job:
                return None
            self.authorize(user, match, reading, requester)
            try:
                return _tag_of_value(reading.answer(resource_request))
            except http_errors.HttpError:
                return None  # it has no representation now, and so no ETag
            except errors.Error as err:
                if faults.translate(err).code != http_errors.NotFound.code:
                    raise
                return None

        return Object(resource_request, match.resource.URI, tag)


class ResourceRoute(Route):
    """The route to a verb of a resource; ``match`` and ``verb`` are None where there is none."""

    __slots__ = ("match", "verb", "_pipeline")

    def __init__(
        self, pipeline: RequestPipeline, match: RouteMatch | None, head: RequestHead
    ) -> None:
        super().__init__()
        self.match = match
        self.verb: Verb | None = None
        self._pipeline = pipeline
        if match is None:
            return
        self.verb = verb = match.verbs().get("GET" if head.method == "HEAD" else head.method)
        if match.resource.PUBLIC:
            # Parsing a body may take long, so that the loop's thread must not do it.
            self.priority = Priority.INSTANT if head.length == 0 else Priority.URGENT
        elif verb is not None and verb.urgent:
            self.priority = Priority.URGENT
        elif verb is not None and verb.long and "bulk" in head.query:
            self.priority = Priority.LONG
        if verb is not None and verb.large_body:
            self.max_body = MAX_LARGE_BODY

    def handle(self, request: Request) -> Steps:
        """Yield the futures that the answer waits for; return the response, also to an error."""
        return self._pipeline.handler(self, request).respond()

    def answer_from_head(self, request: Request) -> Response | None:
        """Return the refusal that neither body nor password could change; None if there is none.

        Neither the users nor the master are asked.
        """
        return self._pipeline.handler(self, request).answer_from_head()


class RequestHandler:
    """One request on its way through the steps."""

    def __init__(
        self,
        pipeline: RequestPipeline,
        route: ResourceRoute,
        request: Request,
        request_id: str,
        log_id: str,
    ) -> None:
        self._pipeline = pipeline
        self._route = route
        self._request = request
        #: The client's id, if it sent one; it may be the id of other requests as well.
        self._request_id = request_id
        #: Our own id, which is unique.
        self._log_id = log_id
        self.user: User | None = None
        #: Whether the master has been asked to change anything.
        self._changes = False

    def respond(self) -> Steps:
        """Yield the futures that the answer waits for; return the response, also to an error."""
        try:
            return (yield from self._answer())
        except http_errors.HttpError as err:
            return self._error_response(err)
        except errors.Error as err:
            fault = faults.translate(err)
            if fault.code >= 500:
                logger.warning("Request %s: %s: %s", self._log_name, type(err).__name__, err)
            return self._error_response(fault)
        except Exception:
            # A bug of ours. The client gets the id by which the log can be searched.
            logger.exception("Request %s failed", self._log_name)
            return self._error_response(
                http_errors.InternalServerError(
                    f"Internal error; the log says more about request {self._log_id}"
                )
            )

    @property
    def _log_name(self) -> str:
        """Return the request's name for a log line."""
        if self._request_id == self._log_id:
            return self._log_id
        return f"{self._log_id} (X-Request-Id {self._request_id})"

    def answer_from_head(self) -> Response | None:
        """Return the refusal of ``ResourceRoute.answer_from_head``."""
        request = self._request
        try:
            self._pipeline.redirect_if_not_master(request)
            if request.method == "OPTIONS":
                return None
            match, verb = self._find_verb()
            if "Authorization" not in request.headers and not request.certificate:
                self._pipeline.authorize(None, match, verb, RequestContext())
            check_body_kind(request.headers)
        except http_errors.HttpError as err:
            return self._error_response(err)
        return None

    def _answer(self) -> Steps:
        request = self._request
        self._pipeline.redirect_if_not_master(request)
        if request.method == "OPTIONS":
            return self._options_response()
        match, verb = self._find_verb()
        user = self._pipeline.identify(request, match)
        if isinstance(user, Future):
            yield user
            user = user.result()
        self.user = user
        requester = RequestContext(user=user.name if user else None, request_id=self._request_id)
        self._pipeline.authorize(user, match, verb, requester)

        def before_change() -> None:
            if not self._changes and request.method not in _SAFE:
                self._check_conditions(match, requester)
            self._changes = True

        resource_request = self._pipeline.resource_request(
            request, match, verb, requester, before_change
        )
        if verb.names_object and user is not None:
            name = verb.object_name(resource_request.slots, resource_request.body)
            if not user.rights.allow(verb.access, name):
                raise forbidden(user, verb, name)
        value = verb.answer(resource_request)
        if isinstance(value, GeneratorType):
            value = yield from value
        if request.method not in _SAFE:
            before_change()  # a verb that has changed nothing (PUT of a query) heeds conditions too
        return self._response_of(verb, resource_request, value)

    def _options_response(self) -> Response:
        request = self._request
        if request.path == "*":
            return self._response(204, b"", [("Allow", METHODS)])
        allow = self._find_resource().allow()
        preflight = self._pipeline.cors.preflight(request, allow)
        return self._response(204, b"", [("Allow", ", ".join(allow)), *preflight])

    def _find_resource(self) -> RouteMatch:
        """Return the resource; raises ``NotFound`` if there is none (step 1)."""
        match = self._route.match
        if match is None:
            detail = f"there is no resource {self._request.path[:200]}"
            raise http_errors.NotFound(detail=detail)
        return match

    def _find_verb(self) -> tuple[RouteMatch, Verb]:
        """Return the resource and its verb (steps 1 and 2); refuse pages of foreign origins."""
        request, verb = self._request, self._route.verb
        match = self._find_resource()
        if verb is None:
            raise http_errors.NotImplementedMethod(
                f"Method {request.method} is unsupported for path {request.path}",
                allow=match.allow(),
            )
        if "Origin" in request.headers and self._pipeline.cors.is_foreign(request):
            raise http_errors.Forbidden("A page of another origin may not do that")
        return match, verb

    def _check_conditions(self, match: RouteMatch, requester: RequestContext) -> None:
        """Raise ``PreconditionFailed`` unless all of the client's conditions of a change hold."""
        headers = self._request.headers
        if not any(name in headers for name in negotiation.CONDITIONS_OF_CHANGES):
            return
        conditions = negotiation.read_conditions(headers)
        problem = conditions.problem(
            self._pipeline.present(self._request, match, self.user, requester)
        )
        if problem:
            raise http_errors.PreconditionFailed(problem)

    def _response_of(
        self, verb: Verb, resource_request: ResourceRequest, value: object
    ) -> Response:
        """Return the response with a verb's value."""
        request = self._request
        # The answer to a change is never the same twice, so that an ETag and conditions that
        # compare one would mean nothing.
        reads = request.method in _SAFE and not self._changes
        if (
            reads
            and "If-Match" in request.headers
            and (negotiation.read_match(request.headers) != "*")
        ):
            raise http_errors.PreconditionFailed(negotiation.NEVER_MATCHES)
        if isinstance(value, NotModified):
            return self._response(
                304,
                b"",
                [*resource_request.headers, ("ETag", value.tag), ("Vary", "Accept-Encoding")],
            )
        if isinstance(value, StreamedList):
            return self._streamed_response(value, resource_request.headers)
        body = serializer.dump_bytes(value)
        if reads:
            return self._conditional_response(body, resource_request.headers)
        if request.method in _SAFE:
            response = self._body_response(body, resource_request.headers)
        else:
            headers = [("Content-Type", JSON), *resource_request.headers]
            response = self._response(200, body, headers)
        if isinstance(value, int) and verb.answers_job:
            response.job_id = value
        return response

    def _streamed_response(self, rows: StreamedList, headers: list[tuple[str, str]]) -> Response:
        """Return the response with a long list, which is made while it is sent.

        Its ETag, which is sent first, is that of the master's state. If the master has none, a list
        of moderate length is spooled, and has the ETag of its text.
        """
        tag = rows.tag
        headers = [*headers, ("Vary", "Accept-Encoding")]
        packed = self._accepts_gzip()
        if tag is not None or rows.count > MAX_SPOOLED:
            pieces = negotiation.gzip_pieces(rows.pieces) if packed else rows.pieces
        else:
            made = BodyETag()
            spool = negotiation.Spool(rows.pieces, made.add)
            pieces, tag = spool.packed() if packed else spool.plain(), str(made)
        if tag is not None:
            headers.append(("ETag", tag))
            if self._has_already(tag):
                return self._response(304, b"", headers)
        headers.append(("Content-Type", JSON))
        if packed:
            headers.append(("Content-Encoding", "gzip"))
        response = self._response(200, b"", headers)
        response.stream = pieces
        return response

    def _conditional_response(self, body: bytes, headers: list[tuple[str, str]]) -> Response:
        """Return the response to a GET, or 304; both have the same ETag."""
        tag = body_tag(body)
        headers = [*headers, ("ETag", tag)]
        if self._has_already(tag):
            return self._response(304, b"", [*headers, *_vary_headers(body)])
        return self._body_response(body, headers)

    def _body_response(self, body: bytes, headers: list[tuple[str, str]]) -> Response:
        """Return the response with a body, in gzip if that pays and the client accepts it."""
        headers = [*headers, *_vary_headers(body), ("Content-Type", JSON)]
        if len(body) >= negotiation.MIN_GZIP_SIZE and self._accepts_gzip():
            body = negotiation.gzip(body)
            headers.append(("Content-Encoding", "gzip"))
        return self._response(200, body, headers)

    def _accepts_gzip(self) -> bool:
        """Return whether the client wants its answer in gzip."""
        asked = self._request.headers.get("Accept-Encoding", "identity")
        return asked != "identity" and negotiation.accepts_gzip(asked)

    def _has_already(self, tag: str) -> bool:
        """Return whether the client has the answer with this ETag already."""
        known = self._request.headers.get_all("If-None-Match")
        return bool(known) and negotiation.tag_matches(tag, known)

    def _error_response(self, err: http_errors.HttpError) -> Response:
        return self._response(
            err.code, serializer.dump_bytes(err.as_object()), [("Content-Type", JSON), *err.headers]
        )

    def _response(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> Response:
        headers = [*headers, ("X-Request-Id", self._request_id)]
        cors = self._pipeline.cors
        if cors.origins:
            headers += cors.headers(self._request.headers)
        return Response(
            status,
            body,
            headers,
            user=self.user.name if self.user else "",
            request_id=self._request_id,
            log_id=self._log_id,
        )


def _vary_headers(body: bytes) -> list[tuple[str, str]]:
    """Return the header of bodies that are sent in gzip or plain, as the client accepts."""
    return [("Vary", "Accept-Encoding")] if len(body) >= negotiation.MIN_GZIP_SIZE else []


def _tag_of_value(value: object) -> str | None:
    """Return the ETag of a response with this value, as ``RequestHandler`` makes it."""
    if not isinstance(value, StreamedList):
        return body_tag(serializer.dump_bytes(value))
    if value.tag is not None or value.count > MAX_SPOOLED:
        return value.tag
    made = BodyETag()
    for piece in value.pieces:
        made.add(piece)
    return str(made)


def forbidden(user: User, verb: Verb, name: str | None) -> http_errors.Forbidden:
    """Return a 403, and log which right is missing; as in Ganeti, the client is not told."""
    logger.info(
        "User %s has no right %s%s", user.name, verb.access, "" if name is None else f":{name}"
    )
    return http_errors.Forbidden()


def read_key(request: Request, verb: Verb) -> str | None:
    """Return the request's ``Idempotency-Key``, None without one.

    Raises ``BadRequest`` if the verb submits no job.
    """
    lines = request.headers.get_all(IDEMPOTENCY_KEY)
    if not lines:
        return None
    key = read_idempotency_key(lines)
    if not verb.answers_job:
        raise http_errors.BadRequest(
            f"Header {IDEMPOTENCY_KEY} is only for requests that are answered with the number "
            f"of a job, not for {request.method} {request.path}"
        )
    return key


def digest(request: Request, body: Json) -> str:
    """Return a digest that is equal for two requests for the same thing; it reveals no secrets."""
    text = serializer.dumps_sorted([request.method, request.path, request.query, body])
    return hashlib.sha256(text.encode("ascii")).hexdigest()
