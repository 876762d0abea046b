"""The server as a whole: many clients, TLS, the limit of connections, the end."""

import errno
import json
import socket
import threading
from concurrent.futures import Future

import pytest

from ganeti.http import errors
from ganeti.http.connection import Deadlines
from ganeti.http.message import Priority, Response
from ganeti.http.tls import make_ssl_context
from support.http import TIMEOUT, certificate, running

LIMITS = Deadlines()


@pytest.fixture
def web():
    with running() as found:
        yield found


@pytest.fixture
def secure():
    with running(ssl_context=make_ssl_context(certificate())) as found:
        yield found


# -- one thread, many clients ---------------------------------------------------------


def test_silent_clients_do_not_delay_others(web):
    silent = [web.connect().send(b"GET / HT") for _ in range(50)]
    client = web.connect()
    assert client.status() == 200
    assert web.clients() == 51 and len(silent) == 50


def test_silent_handshakes_do_not_delay_others(secure):
    silent = [secure.connect() for _ in range(50)]
    assert secure.connect_tls().status() == 200
    assert len(silent) == 50


def test_waiting_handlers_delay_only_requests_beyond_the_workers():
    meeting = threading.Barrier(9)
    with running(lambda _: Response(200, str(meeting.wait(TIMEOUT)).encode()), workers=8) as web:
        clients = [web.connect().request() for _ in range(8)]
        meeting.wait(TIMEOUT)
        assert {client.answer()[0] for client in clients} == {200}


def wait_for(future):
    """Wait for a future, and answer with its result."""
    yield future
    return Response(200, future.result())


def test_a_handler_that_waits_holds_no_worker():
    futures = [Future() for _ in range(20)]
    waiting = iter(futures)
    with running(lambda _: wait_for(next(waiting)), workers=1) as web:
        clients = [web.connect().request() for _ in futures]
        for future, body in zip(futures, range(20)):
            future.set_result(b"%d" % body)
        assert sorted(int(client.answer()[2]) for client in clients) == list(range(20))


def test_answers_are_sent_without_delay(web):
    client = web.connect()
    assert client.status() == 200
    (connection,) = web.call(lambda: list(web.server._table.connections))
    assert connection._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_kernel_buffers_little_of_an_unread_answer():
    size = 8 * 1024 * 1024
    with running(lambda _: Response(200, bytes(size))) as web:
        client = web.connect().request()
        assert client.sock.recv(1) == b"H"
        web.wait_until_read()
        (connection,) = web.call(lambda: list(web.server._table.connections))
        assert len(connection._unsent) > size - 1024 * 1024


# -- what handlers raise ----------------------------------------------------------------


def answered(handler):
    """Return status, headers and JSON body of a handler's answer."""
    with running(handler) as web:
        client = web.connect()
        status, headers, body = client.ask()
        assert client.status() == status  # the connection is as good as before
        return status, headers, json.loads(body)


def refuse(error):
    """Return a handler that raises an error."""

    def handler(_):
        raise error

    return handler


def test_a_refusal_is_json_with_its_headers():
    status, headers, body = answered(refuse(errors.ServiceUnavailable("full", retry_after=7)))
    assert (status, headers["retry-after"]) == (503, "7")
    assert headers["content-type"] == "application/json"
    assert body == {"code": 503, "message": "full", "explain": errors.ServiceUnavailable.standard}


def test_any_other_exception_is_logged_and_not_sent(caplog):
    status, _, body = answered(refuse(RuntimeError("the secret")))
    assert status == 500 and "secret" not in json.dumps(body)
    assert "the secret" in caplog.text and "Traceback" in caplog.text


@pytest.mark.parametrize("result", [None, Response(200, b"", [("X", "a\r\nb")]), Response(200, "")])
def test_a_result_that_is_not_a_response_is_answered_with_500(result, caplog):
    assert answered(lambda _: result)[0] == 500
    assert "failed" in caplog.text


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_answers_of_the_server_itself_have_the_logged_id(sent):
    with running(refuse(RuntimeError("x")), make_id=lambda: "r7") as web:
        headers = web.connect().send(sent).answer()[1]
        assert (headers["x-request-id"], web.access().response.request_id) == ("r7", "r7")


def test_a_detail_that_is_not_json_is_answered_with_500(caplog):
    assert answered(refuse(errors.NotFound(detail=object())))[0] == 500
    assert "failed" in caplog.text


def test_a_handler_goes_on_in_its_pool_after_each_future():
    first, second = Future(), Future()
    threads = []

    def handler(_):
        for future in (first, second):
            yield future
            threads.append(threading.current_thread().name)
        return Response(200, b"second")

    with running(handler) as web:
        client = web.connect().request()
        second.set_result(None)
        first.set_result(None)
        assert client.answer()[2] == b"second"
    assert [name.partition("-")[0] for name in threads] == ["http", "http"]


def test_an_instant_request_that_waits_goes_on_in_a_pool():
    future, threads = Future(), []

    def handler(_):
        threads.append(threading.current_thread().name)
        yield future
        threads.append(threading.current_thread().name)
        return Response()

    with running(handler, routing={"priority": lambda head: Priority.INSTANT}) as web:
        client = web.connect().request()
        web.wait_until_read()
        future.set_result(None)
        assert client.answer()[0] == 200
        assert threads[0] == web.thread.name and threads[1].startswith("http-")


def test_a_step_that_fails_is_answered_with_500():
    def handler(_):
        future = Future()
        future.set_result(None)
        yield future
        1 // 0

    assert answered(handler)[0] == 500


@pytest.mark.parametrize("yielded", [None, "x"])
def test_a_handler_that_yields_something_else_is_answered_with_500(yielded, caplog):
    def handler(_):
        yield yielded

    assert answered(handler)[0] == 500
    assert "failed" in caplog.text


def test_a_handler_that_nobody_can_resume_is_closed():
    closed = threading.Event()

    def handler(_):
        try:
            yield Future()
        finally:
            closed.set()

    with running(handler) as web:
        web.connect().request()
        assert closed.wait(TIMEOUT)


def test_urgent_requests_have_their_own_threads():
    let_go = threading.Event()

    def handler(request):
        assert request.path == "/urgent" or let_go.wait(TIMEOUT)
        return Response(200, request.path.encode())

    with running(
        handler,
        workers=1,
        routing={
            "priority": lambda head: (
                Priority.URGENT if head.path == "/urgent" else Priority.ORDINARY
            )
        },
    ) as web:
        slow = [web.connect().request("/slow") for _ in range(3)]
        assert web.connect().ask("/urgent")[2] == b"/urgent"
        let_go.set()
        assert [client.answer()[2] for client in slow] == [b"/slow"] * 3


def test_instant_requests_need_no_thread():
    threads = []

    def handler(request):
        threads.append(threading.current_thread())
        return Response(200, request.path.encode())

    with running(handler, routing={"priority": lambda head: Priority.INSTANT}) as web:
        client = web.connect().send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
        assert {client.answer()[2] for _ in range(2000)} == {b"/a"}
        assert set(threads) == {web.thread}


def test_a_future_that_fails_is_raised_where_its_result_is_used():
    def handler(_):
        future = Future()
        future.set_exception(errors.Conflict("it runs"))
        return wait_for(future)

    assert answered(handler)[2]["message"] == "it runs"


# -- the log of answers -------------------------------------------------------------------


def test_every_answer_is_in_the_access_log(web):
    web.connect().ask("/x", method="PUT", body=b"{}")
    access = web.access()
    assert (
        access.request.method,
        access.request.path,
        access.response.status,
        access.response.body,
        access.peer,
        access.seconds,
    ) == ("PUT", "/x", 200, b'["PUT", "/x", "{}"]', "127.0.0.1", 0.0)


def test_an_access_log_that_fails_affects_no_answer(web, caplog):
    web.server._access_log = lambda access: 1 // 0
    client = web.connect()
    assert client.status() == 200 == client.status()
    assert client.send(b"bad\r\n\r\n").answer()[0] == 400
    assert "ZeroDivisionError" in caplog.text


# -- the limit of connections ----------------------------------------------------------


def test_at_the_limit_the_longest_idle_unauthenticated_client_is_evicted():
    with running(max_clients=3) as web:
        known, old, new = (web.connect() for _ in range(3))
        assert known.status(fields="Authorization: Basic eA==\r\n") == 200
        assert [old.status(), new.status()] == [200, 200]
        late = web.connect()
        assert late.status() == 200
        assert old.ended()
        assert [known.status(), new.status(), late.status()] == [200, 200, 200]
        assert web.clients() == 3


def test_a_client_with_half_a_request_is_evicted():
    with running(max_clients=2) as web:
        slow = [web.connect().send(b"GET / HTTP/1.1\r\nX: ") for _ in range(2)]
        web.wait_until_read()
        assert web.connect().status() == 200
        assert slow[0].ended()


def test_the_longest_idle_client_is_evicted_when_all_are_authenticated():
    with running(max_clients=2) as web:
        known = [web.connect() for _ in range(2)]
        for client in known:
            assert client.status(fields="Authorization: Basic eA==\r\n") == 200
        assert web.connect().status() == 200
        assert known[0].ended() and known[1].status() == 200


def test_a_client_that_does_not_read_its_answer_is_evicted():
    with running(
        lambda request: Response(200, bytes(64 << 20) if request.path == "/" else b""),
        max_clients=2,
    ) as web:
        deaf = [web.connect().request() for _ in range(2)]
        for _ in deaf:
            web.access()  # both are answered, as far as we can
        late = web.connect()
        assert late.status("/small") == 200
        assert web.clients() == 2


def test_a_request_in_flight_is_not_evicted():
    release, began = threading.Event(), threading.Event()

    def handler(request):
        began.set()
        release.wait(TIMEOUT)
        return Response(200, b"done")

    with running(handler, max_clients=1) as web:
        busy = web.connect().request()
        assert began.wait(TIMEOUT)
        late = web.connect().request()
        assert web.clients() == 1
        release.set()
        assert busy.answer()[2] == b"done"
        assert late.answer()[2] == b"done"


def test_requests_cut_off_by_a_stop_are_logged(caplog):
    release, began = threading.Event(), threading.Event()

    def handler(request):
        began.set()
        release.wait(TIMEOUT)
        return Response(200, b"done")

    with running(handler) as web:
        client = web.connect().request()
        assert began.wait(TIMEOUT)
        web.server.stop(grace=0.0)
        assert client.ended()
        release.set()
    assert "1 requests were cut off" in caplog.text


class ExhaustedListener:
    """A listener in a process that is out of descriptors until told otherwise."""

    def __init__(self, listener):
        self.listener, self.full, self.tries = listener, True, 0

    def __getattr__(self, name):
        return getattr(self.listener, name)

    def accept(self):
        self.tries += 1
        if self.full:
            raise OSError(errno.EMFILE, "Too many open files")
        return self.listener.accept()


def out_of_descriptors(web):
    """Replace the server's listener by one that is out of descriptors."""
    loop, acceptor = web.server.loop, web.server._acceptor
    full = ExhaustedListener(acceptor._listeners[0])
    web.call(
        lambda: (
            loop.remove(full.listener),
            acceptor._listeners.clear(),
            acceptor._listeners.append(full),
            loop.add(full, 1, lambda _: acceptor._accept(full)),
        )
    )
    return full


def test_an_idle_client_is_evicted_when_descriptors_run_out(web):
    idle = web.connect()
    assert idle.status() == 200
    out_of_descriptors(web)
    web.connect()
    web.wait_until_read()
    assert idle.ended()


def test_the_loop_does_not_spin_when_descriptors_run_out(web, caplog):
    full = out_of_descriptors(web)
    client = web.connect().request()
    web.wait_until_read()
    assert full.tries == 1 and "Too many open files" in caplog.text
    web.pass_time(1.0)
    assert full.tries == 2
    full.full = False
    web.pass_time(1.0)
    assert client.answer()[0] == 200


# -- the end ------------------------------------------------------------------------------


def test_a_stop_without_clients_is_immediate(web):
    idle = web.connect()
    assert idle.status() == 200
    web.stop(grace=3600)
    assert idle.ended()
    with pytest.raises(ConnectionRefusedError):
        web.connect()


def test_a_stop_waits_for_requests_in_flight():
    release, began = threading.Event(), threading.Event()
    with running(lambda _: (began.set(), release.wait(TIMEOUT), Response(200, b"done"))[2]) as web:
        busy, idle = web.connect().request(), web.connect()
        assert began.wait(TIMEOUT)
        web.server.stop(grace=3600)
        assert idle.ended()
        release.set()
        status, headers, body = busy.answer()
        assert (status, headers["connection"], body) == (200, "close", b"done")
        busy.close()
        web.thread.join(TIMEOUT)
        assert not web.thread.is_alive()


def test_a_stop_waits_no_longer_than_the_grace():
    began, forever = threading.Event(), threading.Event()
    with running(lambda _: (began.set(), forever.wait(TIMEOUT))[1]) as web:
        client = web.connect().request()
        assert began.wait(TIMEOUT)
        web.server.stop(grace=10)
        web.call()
        web.clock.now += 10
        web.server.loop.call_threadsafe(lambda: None)
        web.thread.join(TIMEOUT)
        assert not web.thread.is_alive() and client.ended()
        forever.set()


def test_a_request_received_before_a_stop_is_served(web):
    client = web.connect()
    assert client.status() == 200

    def at_once():
        client.request("/last")  # the loop cannot have read it yet
        web.server.stop(grace=3600)

    web.call(at_once)
    assert client.answer()[2] == b'["GET", "/last", ""]'
    client.close()
    web.thread.join(TIMEOUT)
    assert not web.thread.is_alive()


def test_a_client_connected_before_a_stop_is_served(web):
    clients = []
    web.call(lambda: (clients.append(web.connect().request("/last")), web.server.stop(grace=3600)))
    assert clients[0].answer()[2] == b'["GET", "/last", ""]'
