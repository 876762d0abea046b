#!/usr/bin/env python3
"""A well-behaved client that sends requests at a steady rate and measures their times.

    prober.py PORT plain|tls [PATH ...]

requests these paths (``/2/info`` and ``/version`` by default) until its standard input ends, then
prints a JSON list of ``[kind, path, due, seconds, fault]``: ``kind`` is ``kept`` or ``new`` (a
connection for each request), ``due`` is by the clock of ``time.monotonic``, ``fault`` describes an
error or is null. Seconds count from the moment when the request was due, not from when it could be
sent: a server that stops for a second has delayed all requests of that second.
"""

import base64
import json
import re
import socket
import ssl
import sys
import threading
import time

PATHS = "/2/info", "/version"
#: Requests a second of each client; there is one client for each kind and path.
PACE = 25
TIMEOUT = 15.0
TOKEN = base64.b64encode(b"admin:secret").decode()
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class ProbeClient:
    """A client that requests one path repeatedly."""

    def __init__(self, port, tls, kind, path):
        self.port, self.kind, self.path = port, kind, path
        self.context = ssl._create_unverified_context() if tls else None
        self.request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {TOKEN}\r\n\r\n"
        ).encode()
        self.sock = None
        self.samples = []

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self.context.wrap_socket(sock) if self.context else sock

    def close(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def ask(self):
        """Send one request; raise OSError, or ValueError about the answer."""
        if self.sock is None:
            self.connect()
        self.sock.sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        left = int(_LENGTH.search(head)[1]) - len(body)
        while left > 0:
            left -= len(self.receive())
        if self.kind == "new" or _CLOSE.search(head):
            self.close()
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(head.partition(b"\r\n")[0].decode("latin-1"))

    def receive(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise ConnectionError("closed without an answer")
        return data

    def run(self, over):
        due = time.monotonic()
        while not over.wait(max(0.0, due - time.monotonic())):
            fault = None
            try:
                self.ask()
            except (OSError, ValueError) as err:
                fault = f"{type(err).__name__}: {err}"
                self.close()
            self.samples.append([self.kind, self.path, due, time.monotonic() - due, fault])
            due += 1 / PACE
        self.close()


def main():
    port, tls = int(sys.argv[1]), sys.argv[2] == "tls"
    over = threading.Event()
    clients = [
        ProbeClient(port, tls, kind, path)
        for kind in ("kept", "new")
        for path in sys.argv[3:] or PATHS
    ]
    threads = [threading.Thread(target=client.run, args=(over,)) for client in clients]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    json.dump([sample for client in clients for sample in client.samples], sys.stdout)


if __name__ == "__main__":
    main()
