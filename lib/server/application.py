"""The steps from a request to its answer.

    1 find the resource           404 no such URI
    2 find the method             501 with Allow; HEAD is GET, OPTIONS ends here
    3 who is it, may he           401, 403; credentials on an open resource are checked too
    4 read the Idempotency-Key    400 malformed, or a verb that answers no job
    5 read the body               415 another media type, 400 no JSON
    6 ask the resource            whatever it raises, translated by ``faults``
    7 answer in JSON

So a stranger learns which URIs there are (which the documentation says as well)
and nothing else, and the body of one who may not send it is never parsed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol

from ganeti import errors, luxi, serializer
from ganeti.http import errors as http_errors
from ganeti.http.auth import User, allows, denied
from ganeti.http.message import Request, Response
from ganeti.rapi import baserlib, faults
from ganeti.rapi.arguments import IDEMPOTENCY_KEY, Query, read_idempotency_key
from ganeti.rapi.baserlib import Exchange, Verb
from ganeti.rapi.connector import Connector, Match

JSON = "application/json"
_JSON_TYPE = re.compile(r"application/json\s*(;.*)?", re.ASCII | re.IGNORECASE)


class Users(Protocol):
    """Who may come in."""

    def authenticate(self, header: str | None) -> User:
        """The user of an ``Authorization`` header; raises ``Unauthorized``."""


class Caller(Protocol):
    """Whoever carries LUXI calls; ``luxi.pool.Pool`` is one."""

    def ask(self, call: luxi.Call, context: luxi.Context | None = None) -> luxi.Reply:
        """The result, and what the master says beside it; raises ``errors.Error``."""


class _MasterOf:
    """The master as one request talks to it: it says who asks."""

    def __init__(self, caller: Caller, context: luxi.Context) -> None:
        self._caller = caller
        self._context = context

    def call(self, call: luxi.Call) -> Any:
        """The result alone."""
        return self.ask(call).result

    def ask(self, call: luxi.Call) -> luxi.Reply:
        """As ``Caller.ask``."""
        return self._caller.ask(call, self._context)


class Application:
    """Answers requests; from any thread, many at a time."""

    def __init__(self, caller: Caller, users: Users, *, require_authentication: bool = False,
                 like_2_0: bool = False, connector: Connector | None = None,
                 make_id: Callable[[], str] = lambda: secrets.token_hex(8),
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._caller = caller
        self._users = users
        self._require_authentication = require_authentication
        self._like_2_0 = like_2_0
        self._connector = connector or Connector()
        self._make_id = make_id
        self._clock = clock

    def handle(self, request: Request) -> Response:
        """The answer, whatever happens; one line of the log says what it was."""
        begun = self._clock()
        request_id = self._make_id()
        visit = _Visit(self, request, request_id)
        response = visit.respond()
        logging.info("%d %s %s peer=%s user=%s request=%s bytes=%d seconds=%.3f",
                     response.status, request.method, request.target, request.peer,
                     visit.user.name if visit.user else "-", request_id, len(response.body),
                     self._clock() - begun)
        return response

    def find(self, path: str) -> Match:
        """Step 1."""
        return self._connector.find(path)

    def admit(self, request: Request, match: Match, verb: Verb) -> User | None:
        """Step 3: the user, if one said who he is."""
        header = request.headers.get("Authorization")
        user = None if header is None else self._users.authenticate(header)
        if user is None:
            closed = self._require_authentication and not match.resource.PUBLIC
            if closed or verb.access != baserlib.OPEN:
                raise denied()
        elif verb.access != baserlib.OPEN and not allows(user, verb.access):
            raise http_errors.Forbidden(
                f"User {user.name} does not have the right '{verb.access}'")
        return user

    def exchange(self, request: Request, match: Match, verb: Verb,
                 who: luxi.Context) -> Exchange:
        """Steps 4 and 5: the request as a resource sees it."""
        key = read_key(request, verb)
        body = read_body(request)
        context = who if key is None else dataclasses.replace(
            who, idempotency_key=key, request_digest=digest(request, body))
        return Exchange(
            master=_MasterOf(self._caller, context), slots=match.slots,
            query=Query(request.query), body=body, context=context, like_2_0=self._like_2_0,
            gone=request.gone)


class _Visit:
    """One request on its way through the steps; remembers who it was."""

    def __init__(self, application: Application, request: Request, request_id: str) -> None:
        self._application = application
        self._request = request
        self._request_id = request_id
        self.user: User | None = None

    def respond(self) -> Response:
        """The response, also when something raises."""
        try:
            return self._steps()
        except http_errors.HttpError as err:
            return self._failure(err)
        except errors.Error as err:
            fault = faults.translate(err)
            if fault.code >= 500:
                logging.warning("Request %s: %s: %s", self._request_id, type(err).__name__, err)
            return self._failure(fault)
        except Exception:
            # A mistake of ours; the client gets a number to tell us.
            logging.exception("Request %s failed", self._request_id)
            return self._failure(http_errors.InternalServerError(
                f"Internal error; the log says more about request {self._request_id}"))

    def _steps(self) -> Response:
        request = self._request
        match = self._application.find(request.path)
        if request.method == "OPTIONS":
            return self._make(204, b"", [("Allow", ", ".join(match.allow()))])
        verb = match.verbs().get("GET" if request.method == "HEAD" else request.method)
        if verb is None:
            raise http_errors.NotImplementedMethod(
                f"Method {request.method} is unsupported for path {request.path}",
                allow=match.allow())
        self.user = self._application.admit(request, match, verb)
        who = luxi.Context(user=self.user.name if self.user else None,
                           request_id=self._request_id)
        exchange = self._application.exchange(request, match, verb, who)
        value = verb.answer(exchange)
        return self._make(200, serializer.dump_bytes(value),
                          [("Content-Type", JSON), *exchange.headers])

    def _failure(self, err: http_errors.HttpError) -> Response:
        return self._make(err.code, serializer.dump_bytes(err.as_object()),
                          [("Content-Type", JSON), *err.headers])

    def _make(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> Response:
        return Response(status, body, [*headers, ("X-Request-Id", self._request_id)],
                        authenticated=self.user is not None)


def read_key(request: Request, verb: Verb) -> str | None:
    """The request's ``Idempotency-Key``, if any; ``BadRequest`` where it has no meaning."""
    key = read_idempotency_key(request.headers.get_all(IDEMPOTENCY_KEY))
    if key is not None and not verb.answers_job:
        raise http_errors.BadRequest(
            f"Header {IDEMPOTENCY_KEY} is only for requests that are answered with the number "
            f"of a job, not for {request.method} {request.path}")
    return key


def digest(request: Request, body: Any) -> str:
    """What two requests have in common if they ask for the same; tells no secrets."""
    text = serializer.dumps_sorted([request.method, request.path, request.query, body])
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def read_body(request: Request) -> Any:
    """The body's JSON value, None when it is empty; 415 and 400 as they come."""
    if not request.body:
        return None
    media_type = request.headers.get("Content-Type")
    if media_type is not None and _JSON_TYPE.fullmatch(media_type.strip()) is None:
        raise http_errors.UnsupportedMediaType(
            f"A body must be {JSON}, not {media_type[:80]}")
    try:
        return serializer.loads(request.body)
    except serializer.ParseError as err:
        raise http_errors.BadRequest(f"Unable to parse JSON data: {err}") from None
