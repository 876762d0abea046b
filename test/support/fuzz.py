"""Properties that must hold for any bytes, as functions of bytes: ``TARGETS``.

``qa/front/fuzz`` calls them with inputs that a fuzzer makes up, ``test_fuzz`` with
earlier findings (``fuzz/TARGET/*``) and with the ``seeds``. A function returns if all
is well, which includes the documented errors of the code; anything it raises is a finding.
"""

import base64
import codecs
import contextlib
import json
import logging
import random
import ssl
import zlib
from concurrent.futures import Future

from ganeti import cmdlib, errors, luxi, opcodes, serializer
from ganeti.http import parser, tls
from ganeti.http.cors import Cors
from ganeti.http.errors import HttpError
from ganeti.http.message import MAX_BODY, Request, Response, Route, serialize
from ganeti.http.server import AccessLogEntry
from ganeti.luxi.messages import MAX_MESSAGE, Splitter
from ganeti.qlang import filters
from ganeti.rapi import rlib2
from ganeti.rapi.arguments import QueryString
from ganeti.rapi.auth import authenticator, users
from ganeti.rapi.baserlib import Connector
from ganeti.rapi.permissions import VOCABULARY
from ganeti.server import luxi_handlers, luxi_server
from ganeti.server.pipeline import RequestPipeline
from support import DATA, recorded_requests
from support.rapi import JOB_ID, FakePool, FakeUsers, run_steps

FINDINGS = DATA / "fuzz"
#: Limits that a short input can reach.
SMALL = {
    "MAX_LINE": 128,
    "MAX_TARGET": 84,
    "MAX_HEADER": 256,
    "MAX_FIELDS": 6,
    "MAX_CHUNK_EXTENSION": 16,
    "MAX_CHUNK_LINE": 26,
    "MAX_CHUNKS": 4,
    "MAX_TRAILER": 64,
}
SMALL_BODY = 100
#: The limit of a LUXI message.
SMALL_MESSAGE = 64


def cuts(data):
    """Yield the bytes whole, one by one (if they are few), and in random pieces.

    The pieces depend on the bytes only, so that a finding can be repeated.
    """
    yield [data]
    if len(data) <= 512:
        yield [data[index : index + 1] for index in range(len(data))]
    chance = random.Random(zlib.crc32(data))
    positions = sorted(chance.randrange(len(data) + 1) for _ in range(3))
    yield [data[start:end] for start, end in zip([0, *positions], [*positions, len(data)])]


@contextlib.contextmanager
def small_limits():
    """Set small limits of the parser for the block."""
    before = {name: getattr(parser, name) for name in SMALL}
    _set_limits(SMALL)
    try:
        yield
    finally:
        _set_limits(before)


def _set_limits(limits):
    for name, value in limits.items():
        setattr(parser, name, value)


# -- requests -------------------------------------------------------------------------


def fuzz_parser(data):
    """Check that a stream means the same however it is cut, with real and with small limits."""
    _parse(data, MAX_BODY)
    with small_limits():
        _parse(data, SMALL_BODY)


def _parse(data, max_body):
    seen = [_read(pieces, max_body) for pieces in cuts(data)]
    assert all(one == seen[0] for one in seen), seen
    for request in seen[0][0]:
        assert len(request.body) <= max_body
        again, end = _read([_plainly(request)], max_body)
        assert end == ("IDLE", "") and [_meaning(one) for one in again] == [_meaning(request)]


def _read(pieces, max_body):
    """Return the requests, and the end: the parser's state, or status and words of the refusal."""
    found = parser.RequestParser(route=lambda head: Route(max_body))
    requests = []
    for piece in pieces:
        found.feed(piece)
        try:
            while (request := found.next()) is not None:
                requests.append(request)
        except HttpError as err:
            _check_dead(found, err)
            return requests, (err.code, str(err))
        assert found.buffered <= parser.MAX_LINE + parser.MAX_HEADER + max_body
    return requests, (found.state.name, "")


def _check_dead(found, error):
    """Check that after a refusal the parser repeats the error and keeps nothing."""
    found.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    try:
        assert found.next() is None, "a request after a refusal"
        raise AssertionError("a refusal was taken back")
    except HttpError as err:
        assert err is error and not found.buffered


def _plainly(request):
    """Return the request in its plainest form."""
    # A HEAD that was not sent in upper case ends its connection.
    method = "head" if request.method == "HEAD" and not request.keep_alive else request.method
    lines = [f"{method} {request.target} HTTP/{request.version}"]
    lines += [
        f"{name}: {value}"
        for name, value in request.headers
        if name.lower() not in ("content-length", "transfer-encoding", "expect")
    ]
    # A chunked body had a Transfer-Encoding instead.
    if request.body or "content-length" in request.headers:
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body


def _meaning(request):
    fields = [
        (name, value)
        for name, value in request.headers
        if name.lower() not in ("content-length", "transfer-encoding", "expect")
    ]
    return (
        request.method,
        request.path,
        request.query,
        request.version,
        fields,
        request.body,
        request.host,
        request.keep_alive,
    )


_CONNECTOR = Connector(rlib2.RESOURCES)


def target(data):
    """Check that a target is refused, or can be routed, its arguments read, and logged."""
    with contextlib.suppress(HttpError):
        found = parser.parse_head(b"GET " + data + b" HTTP/1.1\r\nHost: a")
        assert found.path.startswith("/"), found.path
        asked = Request("GET", found.target, found.path, found.query, headers=found.headers)
        line = AccessLogEntry("127.0.0.1", 1, asked, Response(404), 0.0).line()
        assert line.isprintable(), line
        match = _CONNECTOR.find(found.path)
        for verb in match.verbs().values() if match is not None else ():
            for name, argument in verb.arguments.items():
                with contextlib.suppress(HttpError):
                    serializer.dumps(argument.read(name, QueryString(found.query)))


class _MasterWithoutObjects(FakePool):
    """A master that accepts valid jobs, has no objects, and answers no other call."""

    def ask(self, call, _=None):
        """Return a reply, as ``luxi.Client.ask`` does."""
        if isinstance(call, luxi.SubmitJob):
            # Jobs that the front accepts must be valid for the master, too.
            for wire in serializer.loads(serializer.dumps(call.ops)):
                if wire["OP_ID"] not in cmdlib.FORWARD_ONLY:
                    opcodes.load(wire)
            return luxi.Reply(JOB_ID)
        if isinstance(call, luxi.Query):
            filters.parse(call.qfilter)
            return luxi.Reply({"fields": [], "data": []})
        raise errors.NoMaster("nobody answers")

    def wait_for_job(self, call, _):
        """Return a future that fails, as ``luxi.JobWatcher.wait`` may."""
        luxi.request(call)
        found = Future()
        found.set_exception(errors.NoMaster("nobody answers"))
        return found


class _LoggedExceptions(logging.Handler):
    """The unexpected exceptions that the application caught and logged."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.found = []

    def emit(self, record):
        if record.exc_info:
            self.found.append(record.exc_info[1])


_PIPELINE = RequestPipeline(
    _MasterWithoutObjects(),
    FakeUsers(),
    make_id=lambda: "r1",
    cors=Cors(["https://page.example.com"]),
)
_ADMIN = b"Authorization: Basic " + base64.b64encode(b"admin:secret")


def request(data):
    """Check that a request gets a valid answer, and that a master would accept its job.

    The form is that of recorded requests: method and target, fields, an empty line, the body.
    """
    top, _, content = data.partition(b"\n\n")
    line, *fields = top.split(b"\n")
    if not any(field.lower().startswith(b"authorization:") for field in fields):
        fields.append(_ADMIN)
    source = parser.RequestParser(route=_PIPELINE.route)
    source.feed(
        b"\r\n".join(
            [
                line + b" HTTP/1.1",
                b"Host: a",
                *fields,
                b"Content-Length: %d" % len(content),
                b"",
                content,
            ]
        )
    )
    logged = _LoggedExceptions()
    logging.getLogger().addHandler(logged)
    try:
        found = source.next()
        if found is not None:
            _check_answer(found, run_steps(found.route.handle(found)))
    except HttpError:
        pass
    finally:
        logging.getLogger().removeHandler(logged)
    for error in logged.found:
        raise error


def _check_answer(found, response):
    assert response.status in (200, 204, 304) or 400 <= response.status < 600, response.status
    answer = serialize(response, found)
    assert answer.startswith(b"HTTP/1.1 %d " % response.status)
    fields = parser.parse_fields(
        answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    )
    if response.body and "content-encoding" not in fields:
        json.loads(response.body)
    if response.job_id is not None:
        assert response.status == 200 and found.method != "GET", response


# -- opcodes and users ----------------------------------------------------------------


def opcode(data):
    """Check that JSON is refused as an opcode, or survives a round trip unchanged."""
    try:
        op = opcodes.load(serializer.loads(data))
    except (serializer.ParseError, opcodes.FieldError, errors.OpCodeUnknown) as err:
        str(err).encode("utf-8")
        return
    again = opcodes.load(serializer.loads(serializer.dumps(op.to_wire())))
    assert again == op and again.given >= op.given, (op.to_wire(), again.to_wire())
    serializer.dump_bytes(op.to_view())
    op.summary().encode("utf-8")


def fuzz_users(data):
    """Check that a users file is refused, or yields the users and rights of its lines only.

    A user whose last line is invalid must be locked out. The same bytes are also tried as
    credentials.
    """
    for text in (data.decode("latin-1"), "Basic " + base64.b64encode(data).decode()):
        with contextlib.suppress(HttpError):
            authenticator.parse_basic(text)
    try:
        entries, complaints = users.parse_users(data, VOCABULARY)
    except users.BrokenFile as err:
        str(err).encode("utf-8")
        return
    "".join(complaints).encode("utf-8")
    last = {
        name: raw
        for raw in data.removeprefix(codecs.BOM_UTF8).split(b"\n")
        for name in users.named_users(raw)
    }
    assert entries.keys() <= last.keys()
    for name, entry in entries.items():
        line = last[name].decode("utf-8").strip()
        assert line.split()[0] == name and not line.startswith("#")
        words = ("".join(line.split(None, 2)[2:])).lower().split(",")
        _check_rights(entry.user.rights, {word.strip() for word in words} - {""})
    complaint = "".join(complaints)
    assert (
        last.keys() == entries.keys()
        or " is locked out" in complaint
        or "invisible characters" in complaint
    ), complaint


def _check_rights(rights, words):
    for right in rights.whole:
        assert words & {right, f"+{right}"} or any(
            right in (VOCABULARY.role(word) or ()) for word in words
        ), (right, words)
    for right in VOCABULARY.rights:
        if f"-{right}" in words:
            assert not rights.allow(right, "web1"), (right, words)
    for right, pattern in rights.given:
        assert words & {f"{right}:{pattern}", f"+{right}:{pattern}"}, (right, pattern, words)
    assert not rights.unsaid or all(word.startswith("expires=") for word in words), words
    assert rights.expires is not None or not any(word.startswith("expires=") for word in words), (
        words
    )


# -- LUXI -----------------------------------------------------------------------------


def frame(data):
    """Check that a LUXI stream has the same messages however it is cut.

    Each of them is parsed as a request and as a reply, or refused.
    """
    for limit in (SMALL_MESSAGE, MAX_MESSAGE):
        seen = [_split(pieces, limit) for pieces in cuts(data)]
        assert all(one == seen[0] for one in seen), seen
    for message in seen[0][0]:
        with contextlib.suppress(errors.Error):
            luxi.parse_reply(message)
        try:
            call, context = luxi.parse_request(message)
        except ValueError as err:
            luxi.pack_parse_failure(str(err))
            continue
        assert luxi.parse_request(luxi.request(call, context)[:-1]) == (call, context)
        _check_call(call)


def _split(pieces, limit):
    splitter, messages = Splitter(limit), []
    try:
        for piece in pieces:
            messages.extend(splitter.feed(piece))
    except errors.ProtocolError as err:
        return messages, str(err)
    return messages, splitter.pending


def _check_call(call):
    """Parse the arguments of a call further than their types."""
    try:
        if isinstance(call, luxi.Query):
            filters.parse(call.qfilter)
        elif isinstance(call, luxi.SubmitJob):
            luxi_server.load_ops(call.ops)
        elif isinstance(call, luxi.CancelJob):
            luxi_handlers.job_id(call.job_id)
    except errors.Error as err:
        luxi.pack_error(err)


def first_bytes(data):
    """Check that the first record of a TLS client is read or ignored."""
    found = tls.read_client_hello(data)
    if found is not None:
        assert tls.client_hello_is_complete(data) and tls.read_client_hello(data + b"more") == found
        assert all(name in data for name in found)


TARGETS = {
    "parser": fuzz_parser,
    "target": target,
    "request": request,
    "opcode": opcode,
    "users": fuzz_users,
    "frame": frame,
    "hello": first_bytes,
}


# -- seeds ----------------------------------------------------------


def _conversations():
    """Yield ``(method, target, body, [[LUXI method, args, result], ...])`` of recorded requests."""
    for name in recorded_requests.names("rapi"):
        data, expected = recorded_requests.read("rapi", name)
        top, _, content = data.partition(b"\n\n")
        method, where = top.split(b" ")[:2]
        yield method, where, content, expected["luxi"]


def seeds(name):
    """Return meaningful inputs and earlier findings."""
    found = [path.read_bytes() for path in sorted((FINDINGS / name).glob("*"))]
    return [*found, *_SEEDS[name]()]


def _parser_seeds():
    return [recorded_requests.read("http", name)[0] for name in recorded_requests.names("http")]


def _target_seeds():
    targets = {where for _, where, _, _ in _conversations()}
    return sorted(
        targets
        | {
            uri.encode()
            for uri in (
                "http://a/2/info?x=1",
                "/2/tags?tag=%C3%A4&tag=b+c",
                "/2/jobs/1%2F2",
                "*",
                "/%zz",
                "/2/instances?bulk=1&start=5&num_rows=7",
                "//a",
                "/2/../version",
            )
        }
    )


def _request_seeds():
    found = {
        method + b" " + where + b"\n\n" + content for method, where, content, _ in _conversations()
    }
    return sorted(
        found
        | {
            text.encode()
            for text in (
                'PUT /2/tags?tag=a\nIdempotency-Key: "a;b"; c=d\nX-Request-Id: mine:7',
                'GET /2/info\nIf-None-Match: W/"a", "b"\nAccept-Encoding: gzip;q=0.5, *;q=0',
                "OPTIONS /2/tags\nOrigin: https://page.example.com\n"
                "Access-Control-Request-Method: PUT\n"
                "Access-Control-Request-Headers: authorization,content-type",
                "HEAD /2/instances?bulk=1\nAuthorization: Basic cmVhZGVyOnNlY3JldA==",
                "POST /2/instances\nContent-Type: application/json; charset=utf-8\n\n"
                '{"a":[1,null]}',
            )
        }
    )


def _ops():
    for _, _, _, calls in _conversations():
        for method, args, _ in calls:
            if method == "SubmitJob":
                yield from args[0]


def _opcode_seeds():
    delay = {
        "OP_ID": "OP_TEST_DELAY",
        "duration": 1.5,
        "depends": [["3", ["success"]], [-1, []]],
        "priority": -10,
        "reason": [["a", "b", 1]],
        "comment": "c",
        "dry_run": True,
    }
    smile = {"OP_ID": "OP_TAGS_SET", "kind": "instance", "name": "a", "tags": ["\U0001f600"]}
    return sorted({json.dumps(op).encode() for op in (*_ops(), delay, smile)})


def _users_seeds():
    every = ",".join(sorted(VOCABULARY.rights))
    roles = ",".join(sorted(VOCABULARY.roles or ()))
    return [
        text.encode()
        for text in (
            "# comment\nadmin secret write\nreader {ha1}0123456789abcdef0123456789abcdef read\n",
            f"a b {every}\n",
            f"a b {roles}\n",
            "a b @readonly,+jobs.cancel,-cluster.info\n",
            "a b instances.startup:web*,-instances.startup:web?,expires=2027-01-31\n",
            "a {cleartext}b\na {HA1}0123456789abcdef0123456789abcdef @admin\n",
            "a {scrypt}15$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAA\na {pbkdf2-sha256}1000$AAAA$AAAA\n",
            "a b write\na\nj\xf6 b read\nj\x01\xf6 b\n\0a b\n# \x7f\nc {cleartext}\nc b all\n",
        )
    ]


def _frame_seeds():
    found = {
        b"\x03",
        b'{"success":false,"result":["OpPrereqError",["no","unknown_entity"]]}\x03',
        b'{"success":true,"result":1,"idempotency":"stored","version":3000000}\x03',
    }
    for _, _, _, calls in _conversations():
        for method, args, result in calls:
            context = {"user": "a", "request_id": "b", "idempotency_key": "c"}
            found.add(
                json.dumps({"method": method, "args": args, "context": context}).encode() + b"\x03"
            )
            found.add(json.dumps({"success": True, "result": result}).encode() + b"\x03")
    return sorted(found)


def _hello_seeds():
    found = [b"", b"\x16\x03\x01\0\0", b"GET / HTTP/1.1\r\n\r\n"]
    for protocols in ((), ("h2",), ("http/1.1",), ("h2", "http/1.1"), ("x" * 255, "y")):
        context, out = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.MemoryBIO()
        context.check_hostname = False
        if protocols:
            context.set_alpn_protocols(protocols)
        with contextlib.suppress(ssl.SSLWantReadError):
            context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
        found.append(out.read())
    return found


_SEEDS = {
    "parser": _parser_seeds,
    "target": _target_seeds,
    "request": _request_seeds,
    "opcode": _opcode_seeds,
    "users": _users_seeds,
    "frame": _frame_seeds,
    "hello": _hello_seeds,
}


def words(name):
    """Return words that a fuzzer would hardly find by chance."""
    if name == "users":
        return sorted(
            {
                *VOCABULARY.rights,
                *(VOCABULARY.roles or ()),
                "expires=",
                "{ha1}",
                "{scrypt}",
                "{pbkdf2-sha256}",
                "{cleartext}",
            }
        )
    if name == "frame":
        return sorted([*luxi.CALLS, "success", "result", "method", "args", "context"])
    if name in ("opcode", "request"):
        fields = {field for op in opcodes.BY_ID.values() for field in op.CHECKS}
        return sorted({"\\ud800", "1e999", *opcodes.BY_ID, *fields})
    return [
        "Content-Length: ",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "\r\n",
        " HTTP/1.1",
        "Host: a",
        "Connection: close",
        "http://",
        "%2F",
        "0\r\n\r\n",
    ]
