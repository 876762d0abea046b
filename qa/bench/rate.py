#!/usr/bin/env python3
"""The answers a second of one URL, as a lean client sees them; it imports none of our modules.

    rate.py URL CONNECTIONS SECONDS kept|fresh

Sends requests with credentials over several TLS connections at a time, which are kept (and opened
before the time starts) or opened anew for each request. Prints ``{"answers", "seconds",
"connections", "own"}``: the last two are the connections opened meanwhile and the client's own
processor seconds. It measures all sides, also a real Ganeti, so that the client's cost is the same
for all.
"""

import base64
import json
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse

TIMEOUT = 60.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class RepeatingClient:
    """A client with one connection after the other to one server."""

    def __init__(self, url, keep):
        parts = urllib.parse.urlsplit(url)
        self.address, self.keep = (parts.hostname, parts.port), keep
        token = base64.b64encode(b"admin:secret").decode()
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self.request = (
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Basic {token}\r\n\r\n"
        ).encode()
        self.context = ssl._create_unverified_context()  # The certificate is not what is measured.
        self.sock = None
        self.answers = self.connections = 0

    def open(self):
        plain = socket.create_connection(self.address, TIMEOUT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self.context.wrap_socket(plain, server_hostname=self.address[0])
        self.connections += 1

    def ask(self):
        """Read one answer, which must be complete and 200."""
        if self.sock is None:
            self.open()
        self.sock.sendall(self.request)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._receive()
        head = answer[:end]
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")), answer[:300]
        missing = end + 4 + int(_LENGTH.search(head)[1]) - len(answer)
        while missing > 0:
            missing -= len(self._receive())
        self.answers += 1
        if not self.keep or _CLOSE.search(head):
            self.sock.close()
            self.sock = None

    def ask_until(self, deadline):
        """Repeat the request until a deadline."""
        while time.perf_counter() < deadline:
            self.ask()

    def _receive(self):
        data = self.sock.recv(1 << 16)
        assert data, "the server closed the connection unanswered"
        return data


def main():
    url, count, seconds, keep = (
        sys.argv[1],
        int(sys.argv[2]),
        float(sys.argv[3]),
        sys.argv[4] == "kept",
    )
    clients = [RepeatingClient(url, keep) for _ in range(count)]
    for client in clients:
        client.ask()
        client.answers = client.connections = 0
    begin, own = time.perf_counter(), time.process_time()
    threads = [
        threading.Thread(target=client.ask_until, args=[begin + seconds]) for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    print(
        json.dumps(
            {
                "answers": sum(client.answers for client in clients),
                "seconds": took,
                "connections": sum(client.connections for client in clients),
                "own": time.process_time() - own,
            }
        )
    )


if __name__ == "__main__":
    main()
