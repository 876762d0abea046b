#!/usr/bin/env python3
"""A lean client of the API that submits tag jobs; it imports none of our modules.

    load.py URL ROUNDS JOBS CONNECTIONS INSTANCES [KEY=VALUE ...]

creates instances without disks (the pairs go into the body of each creation). In each round it adds
tags to them, one a job, over some TLS connections, kept alive where the server allows it. Prints
``{"jobs", "seconds", "submitted", "fresh"}`` of the best round: the time from the first submission
to the last job's end by the server's clock, the time that the submissions took, and the number of
connections that they needed. It runs against a real Ganeti too, so that the same program measures
both sides. It should itself cost as little as possible and so does without ``http.client``.
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

FINAL = ("success", "error", "canceled")
TIMEOUT = 600.0
#: Seconds after which a server may have closed an unused connection.
IDLE = 5.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class ApiConnection:
    """A TLS connection, kept alive where the server allows it."""

    def __init__(self, url, user="admin", password="secret"):
        parts = urllib.parse.urlsplit(url)
        self.address = parts.hostname, parts.port
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.lines = f"Host: {parts.netloc}\r\nAuthorization: Basic {token}\r\n"
        self.context = ssl._create_unverified_context()  # The certificate is not what is measured.
        self.sock = None
        self.used = 0.0
        self.fresh = 0

    def close(self):
        """Close the connection; the next request opens another."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def exchange(self, method, path, body=None):
        """Send a request; return the status and the body."""
        data = b"" if body is None else json.dumps(body).encode()
        kind = "Content-Type: application/json\r\n" if data else ""
        if time.monotonic() - self.used > IDLE:
            self.close()
        if self.sock is None:
            plain = socket.create_connection(self.address, TIMEOUT)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = self.context.wrap_socket(plain, server_hostname=self.address[0])
            self.fresh += 1
        self.sock.sendall(
            f"{method} {path} HTTP/1.1\r\n{self.lines}{kind}"
            f"Content-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        answer = self._receive(b"")
        while b"\r\n\r\n" not in answer:
            answer = self._receive(answer)
        head, _, rest = answer.partition(b"\r\n\r\n")
        if length := _LENGTH.search(head):
            while len(rest) < int(length[1]):
                rest = self._receive(rest)
        else:
            rest = self._chunks(rest)
        if _CLOSE.search(head):
            self.close()
        self.used = time.monotonic()
        return int(head.split(None, 2)[1]), rest

    def _chunks(self, rest):
        """Yield the pieces of a chunked body."""
        parts = []
        while True:
            while b"\r\n" not in rest:
                rest = self._receive(rest)
            size, _, rest = rest.partition(b"\r\n")
            size = int(size, 16)
            while len(rest) < size + 2:
                rest = self._receive(rest)
            parts.append(rest[:size])
            rest = rest[size + 2 :]
            if not size:
                return b"".join(parts)

    def _receive(self, before):
        data = self.sock.recv(1 << 18)
        assert data, "the server closed the connection unanswered"
        return before + data

    def ask(self, method, path, body=None):
        """Return the value of the answer; raise unless the status is 200."""
        status, data = self.exchange(method, path, body)
        assert status == 200, (method, path, status, data[:300])
        return json.loads(data)

    def finish(self, job_id, pause=0.002):
        """Wait for a job's end."""
        deadline = time.monotonic() + TIMEOUT
        while (job := self.ask("GET", f"/2/jobs/{job_id}"))["status"] not in FINAL:
            assert time.monotonic() < deadline, job
            time.sleep(pause)
        assert job["status"] == "success", job
        return job


def name(number):
    """Return the name of an instance."""
    return f"guest{number}.example.com"


def create(api, count, extra):
    """Create instances without disks."""
    body = {
        "__version__": 1,
        "mode": "create",
        "disk_template": "diskless",
        "disks": [],
        "nics": [],
        "name_check": False,
        "ip_check": False,
        "start": False,
        "no_install": True,
        "ignore_ipolicy": True,
        **extra,
    }
    ids = [
        api.ask("POST", "/2/instances", {**body, "name": name(number)}) for number in range(count)
    ]
    for job_id in ids:
        api.finish(job_id, 0.05)


def tag(url, prefix, count, connections, instances):
    """Submit tag jobs; return their ids, the seconds, when it began, and the connections used."""
    apis = [ApiConnection(url) for _ in range(connections)]
    for api in apis:
        api.ask("GET", "/version")  # The handshake is not what is measured.
    ids = []

    def submit(which):
        for number in range(which, count, connections):
            ids.append(
                apis[which].ask(
                    "PUT", f"/2/instances/{name(number % instances)}/tags?tag={prefix}{number}"
                )
            )

    threads = [threading.Thread(target=submit, args=[which]) for which in range(connections)]
    began, clock = time.time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - clock
    assert len(set(ids)) == count, "a submission failed, or two jobs have one id"
    return ids, took, began, sum(api.fresh for api in apis)


def last_end(api, ids):
    """Return when the last of these jobs ended; all must have succeeded."""
    wanted = set(ids)
    api.finish(max(ids), 0.5)  # Not more often: the server has work to do.
    for _ in range(int(TIMEOUT)):
        jobs = [job for job in api.ask("GET", "/2/jobs?bulk=1") if job["id"] in wanted]
        if all(job["status"] in FINAL for job in jobs):
            break
        time.sleep(1)
    bad = [job for job in jobs if job["status"] != "success"]
    assert len(jobs) == len(ids) and not bad, (len(jobs), bad[:1])
    return max(seconds + micros / 1e6 for seconds, micros in (job["end_ts"] for job in jobs))


def main():
    url, (rounds, jobs, connections, instances) = sys.argv[1], map(int, sys.argv[2:6])
    api = ApiConnection(url)
    create(api, instances, dict(word.split("=", 1) for word in sys.argv[6:]))
    found = []
    for number in range(rounds):
        ids, submitted, began, fresh = tag(url, f"round{number}-", jobs, connections, instances)
        found.append(
            {
                "jobs": jobs,
                "seconds": last_end(api, ids) - began,
                "submitted": submitted,
                "fresh": fresh,
            }
        )
    print(json.dumps(min(found, key=lambda one: one["seconds"])))


if __name__ == "__main__":
    main()
