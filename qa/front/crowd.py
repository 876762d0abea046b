#!/usr/bin/env python3
"""Thousands of misbehaving clients, in a process that holds a socket for each.

    crowd.py PORT plain|tls KIND COUNT RATE

starts COUNT clients of a KIND, RATE a second; clients that are disconnected come back. Prints a
line ``all`` when each has connected once, continues until its standard input ends, and prints a
JSON object with the number of each event (``held``: the clients connected in the end).

Theory. A client is a generator: it yields ``(socket, events, seconds)``, the socket and the events
that it waits for and the time limit, and is sent whether the event came in time. Without a socket
it sleeps. One selector serves all clients.
"""

import base64
import contextlib
import heapq
import itertools
import json
import random
import selectors
import socket
import ssl
import struct
import sys
import time
from collections import Counter

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
TIMEOUT = 15.0
LIST = "/2/instances?bulk=1"
_TOKEN = base64.b64encode(b"admin:secret").decode()
_LINES = f"Host: localhost\r\nAuthorization: Basic {_TOKEN}\r\n"


def get(path, lines=_LINES):
    """Return the bytes of a request."""
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


class Crowd:
    """The clients and the loop that runs them."""

    def __init__(self, port, tls, count):
        self.address = "127.0.0.1", port
        self.tls = ssl._create_unverified_context() if tls else None
        self.count = count
        self.counts = Counter()
        self.here, self.known, self.order = set(), set(), []
        self._selector = selectors.DefaultSelector()
        self._queue, self._numbers = [], itertools.count()
        self._over = False

    # -- the loop -----------------------------------------------------------------------

    def run(self, make_client, rate):
        """Start the clients, and serve them until standard input ends."""
        begin = time.monotonic()
        for number in range(self.count):
            self._wake_at(begin + number / rate, make_client(self, number), None)
        self._selector.register(sys.stdin, READ)
        while not self._over:
            timeout = None
            if self._queue:
                timeout = max(0.0, self._queue[0][0] - time.monotonic())
            for key, _ in self._selector.select(timeout):
                if key.data is None:
                    self._over = True
                elif not key.data[1]["done"]:
                    self._go_on(*key.data, True)
            now = time.monotonic()
            while self._queue and self._queue[0][0] <= now:
                _, _, client, wait = heapq.heappop(self._queue)
                if wait is None or not wait["done"]:
                    self._go_on(client, wait, False)

    def _wake_at(self, when, client, wait):
        heapq.heappush(self._queue, (when, next(self._numbers), client, wait))

    def _go_on(self, client, wait, ready):
        """Resume a client with the result of its wait (None: it begins)."""
        if wait is not None:
            wait["done"] = True
            if wait["socket"] is not None:
                self._selector.unregister(wait["socket"])
        try:
            sock, events, seconds = client.send(None if wait is None else ready)
        except StopIteration:
            return
        wait = {"socket": sock, "done": False}
        if sock is not None:
            self._selector.register(sock, events, (client, wait))
        self._wake_at(time.monotonic() + seconds, client, wait)

    # -- what clients do ----------------------------------------------------------------

    def come(self, number):
        """Count a client as connected; print ``all`` once each has been."""
        self.here.add(number)
        self.counts["came"] += 1
        if number not in self.known:
            self.known.add(number)
            if len(self.known) == self.count:
                print("all", flush=True)

    def leave(self, number, why):
        """Count a client as gone, or as one that could not connect."""
        self.counts[why if number in self.here else f"before it began: {why}"] += 1
        if number in self.here:
            self.here.remove(number)
            self.order.append(number)

    def connect(self, receive_buffer=None, shake_hands=True):
        """Return a connected socket."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect_ex(self.address)
        yield from wait(sock, WRITE)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            sock.close()
            raise OSError(error, "cannot connect")
        if self.tls is None or not shake_hands:
            return sock
        sock = self.tls.wrap_socket(sock, do_handshake_on_connect=False)
        while True:
            try:
                sock.do_handshake()
                return sock
            except ssl.SSLWantReadError:
                yield from wait(sock, READ)


def wait(sock, events, seconds=TIMEOUT):
    """Wait until the socket is ready; raise TimeoutError after the time limit."""
    if not (yield sock, events, seconds):
        raise TimeoutError("nothing came")


def pause(seconds):
    """Sleep for some seconds."""
    yield None, 0, seconds


def send(sock, data):
    """Send all bytes."""
    while data:
        try:
            data = data[sock.send(data) :]
        except (BlockingIOError, ssl.SSLWantWriteError):
            yield from wait(sock, WRITE)


def receive(sock, size, seconds=TIMEOUT):
    """Return what arrives within some time: None for nothing, b'' at the end."""
    while True:
        try:
            return sock.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError):
            if not (yield sock, READ, seconds):
                return None


def drip(sock, data, seconds):
    """Send a byte now and then; return what the server sends meanwhile, b'' if it hangs up."""
    for number in range(len(data)):
        yield from send(sock, data[number : number + 1])
        answer = yield from receive(sock, 4096, seconds)
        if answer is not None:
            return answer
    return b""


def again_and_again(attack):
    """Run a client that reconnects when it is disconnected."""

    def client(crowd, number):
        while True:
            try:
                sock = yield from crowd.connect(
                    getattr(attack, "receive_buffer", None), attack is not half_open
                )
            except OSError as err:
                crowd.counts[f"no connection: {type(err).__name__}"] += 1
                yield from pause(1.0)
                continue
            with contextlib.closing(sock):
                try:
                    yield from attack(crowd, number, sock)
                    why = "ended by the server"
                except OSError as err:
                    why = type(err).__name__
            crowd.leave(number, why)
            yield from pause(0.1)

    return client


def loris(crowd, number, sock):
    """Send a header that never ends."""
    yield from send(sock, b"GET /2/info HTTP/1.1\r\n")
    crowd.come(number)
    answer = yield from drip(sock, b"X-Header: " + b"a" * 1000, random.uniform(1, 3))
    if answer:
        crowd.counts[answer[9:12].decode()] += 1


def body(crowd, number, sock):
    """Send a body that never ends."""
    yield from send(
        sock,
        b"PUT /2/tags HTTP/1.1\r\nContent-Length: 100000\r\n"
        b"Content-Type: application/json\r\n" + _LINES.encode() + b'\r\n["',
    )
    crowd.come(number)
    answer = yield from drip(sock, b"a" * 90000, random.uniform(0.5, 1.5))
    if answer:
        crowd.counts[answer[9:12].decode()] += 1


def chunks(crowd, number, sock):
    """Send a body of a million chunks of one byte."""
    crowd.come(number)
    yield from send(
        sock,
        memoryview(
            b"PUT /2/tags HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
            + _LINES.encode()
            + b"\r\n"
            + b"1\r\na\r\n" * 1_000_000
        ),
    )


def reader(crowd, number, sock):
    """Request a long answer and hardly read it."""
    yield from send(sock, get(LIST))
    if not (yield from receive(sock, 512, 300.0)):
        raise ConnectionError("no answer")
    crowd.come(number)
    while True:
        yield from pause(random.uniform(0.5, 1.5))
        if (yield from receive(sock, 512)) == b"":
            return


reader.receive_buffer = 4096


def client_hello():
    """Return the bytes that begin a handshake."""
    out = ssl.MemoryBIO()
    tls = ssl._create_unverified_context().wrap_bio(ssl.MemoryBIO(), out)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def half_open(crowd, number, sock):
    """Send nothing, a part of a ClientHello, or a whole one, and then nothing more."""
    yield from send(sock, client_hello()[: (0, 7, None)[number % 3]])
    crowd.come(number)
    while (yield from receive(sock, 4096)) != b"":
        pass


def idle(crowd, number, sock):
    """Send a request, and then nothing more."""
    yield from send(sock, get("/version"))
    if not (yield from receive(sock, 4096)):
        raise ConnectionError("no answer")
    crowd.come(number)
    while (yield from receive(sock, 4096)) is None:
        pass


def silent(crowd, number):
    """Connect once, send nothing, and do not come back."""
    try:
        sock = yield from crowd.connect()
    except OSError as err:
        crowd.counts[f"no connection: {type(err).__name__}"] += 1
        return
    crowd.come(number)
    with contextlib.closing(sock):
        try:
            while (yield from receive(sock, 4096)) is None:
                pass
            why = "ended by the server"
        except OSError as err:
            why = type(err).__name__
    crowd.leave(number, why)


def flood(crowd, number, sock):
    """Send small requests without pause, as far ahead as the server accepts them."""
    crowd.come(number)
    data = get("/version") * 200
    while True:
        sent = 0
        while sent < len(data):
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
                answer = sock.recv(1 << 16)
                if not answer:
                    return
                crowd.counts["answers"] += answer.count(b"HTTP/1.1 200 ")
            try:
                sent += sock.send(data[sent : sent + 4096])
            except (BlockingIOError, ssl.SSLWantWriteError):
                yield from wait(sock, READ | WRITE)
        yield from pause(0.0)


def vanish(crowd, number):
    """Disconnect in the middle of something, in one of many ways; do not come back."""
    chance = random.Random(number)
    where = chance.choice(("connected", "head", "body", "asked", "asked", "answer", "answer"))
    how = chance.choice(("close", "reset", "half"))
    try:
        sock = yield from crowd.connect(4096, shake_hands=where != "connected")
    except OSError as err:
        crowd.counts[f"no connection: {type(err).__name__}"] += 1
        return
    crowd.come(number)
    with contextlib.closing(sock):
        try:
            yield from _begin(sock, where, chance)
            if how == "half":
                sock.shutdown(socket.SHUT_WR)
                while (yield from receive(sock, 1 << 16, 2.0)):
                    pass
            elif how == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            why = f"{where}, {how}"
        except OSError as err:
            why = type(err).__name__
    crowd.leave(number, why)


def _begin(sock, where, chance):
    if where == "head":
        yield from send(sock, get("/version")[: chance.randrange(1, 30)])
    elif where == "body":
        yield from send(sock, b"PUT /2/tags HTTP/1.1\r\nContent-Length: 1000\r\n\r\n[")
    elif where == "asked":
        yield from send(sock, get("/2/info") * chance.choice((1, 1, 5)))
    elif where == "answer":
        yield from send(sock, get("/2/info"))
        yield from receive(sock, 100)
    yield from pause(chance.choice((0.0, 0.001, 0.01)))


CLIENTS = {
    **{
        attack.__name__: again_and_again(attack)
        for attack in (loris, body, chunks, reader, half_open, idle, flood)
    },
    "silent": silent,
    "vanish": vanish,
}


def main():
    port, transport, kind, count, rate = sys.argv[1:]
    crowd = Crowd(int(port), transport == "tls", int(count))
    crowd.run(CLIENTS[kind], float(rate))
    json.dump({**crowd.counts, "held": len(crowd.here), "order": crowd.order}, sys.stdout)


if __name__ == "__main__":
    main()
