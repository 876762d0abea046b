"""How fast the API is with 1,000 instances, beside plain work of the same size.

Prints lines of ``what: figure, ratio``; a ratio compares with the same bytes
written as JSON, with bare SQLite commits on the same disk, or with the same
request while nobody waits. Fails only if an answer is wrong: figures are for
people.
"""

import base64
import http.client
import json
import signal
import sqlite3
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
INSTANCES = 1000
TAG_JOBS = 1000
WAITING = 200


class Api:
    """One kept-alive TLS connection to the API of a ready line."""

    def __init__(self, facts):
        host = facts["RAPI_URL"].removeprefix("https://")
        self.connection = http.client.HTTPSConnection(
            host, context=ssl.create_default_context(cafile=facts["CACERT"]))
        token = f"{facts['RAPI_USER']}:{facts['RAPI_PASSWORD']}".encode()
        self.headers = {"Authorization": "Basic " + base64.b64encode(token).decode()}

    def ask(self, method, path, body=None):
        headers = dict(self.headers)
        if body is not None:
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        assert answer.status == 200, (method, path, answer.status, data[:300])
        return json.loads(data)

    def finish(self, job_id):
        """Wait for a job's end."""
        while (status := self.ask("GET", f"/2/jobs/{job_id}")["status"]) not in (
                "success", "error", "canceled"):
            time.sleep(0.002)
        assert status == "success", self.ask("GET", f"/2/jobs/{job_id}")


def seconds(work, times=5):
    """The median of a few runs."""
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


def bare_commits(folder, count):
    """Seconds that so many commits of one small row take, durable as ours."""
    connection = sqlite3.connect(f"{folder}/bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, data TEXT)")
    begin = time.perf_counter()
    for _ in range(count):
        connection.execute("INSERT INTO t (data) VALUES (?)", ("x" * 400,))
    connection.close()
    return time.perf_counter() - begin


def reading(api):
    for path in ("/2/instances?bulk=1", "/2/instances", "/2/jobs", "/2/info"):
        answer = api.ask("GET", path)
        took = seconds(lambda: api.ask("GET", path))
        plain = seconds(lambda: json.loads(json.dumps(answer)))
        print(f"GET {path}: {took * 1000:.1f} ms, {took / plain:.1f} times writing and "
              f"reading its {len(json.dumps(answer)) // 1024} KiB as JSON")


def tagging(api, folder):
    begin = time.perf_counter()
    ids = [api.ask("PUT", f"/2/instances/instance{number % INSTANCES + 1}.example.com/tags"
                          f"?tag=bench{number}") for number in range(TAG_JOBS)]
    for job_id in ids:
        api.finish(job_id)
    took = time.perf_counter() - begin
    bare = bare_commits(folder, 2 * TAG_JOBS)
    print(f"{TAG_JOBS} tag jobs, one by one, to their end: {took:.2f} s, {TAG_JOBS / took:.0f} "
          f"a second, {took / bare:.1f} times the bare commits of {2 * TAG_JOBS} rows")


def waiting(api):
    def other():
        api.finish(api.ask("PUT", "/2/instances/instance2.example.com/tags?tag=other"))
    free = seconds(other)
    body = {"os": "slow", "start": False}
    holder = api.ask("POST", "/2/instances/instance1.example.com/reinstall", body)
    ids = [api.ask("PUT", f"/2/instances/instance1.example.com/tags?tag=wait{number}")
           for number in range(WAITING)]
    took = seconds(other)
    states = {job["id"]: job["status"] for job in api.ask("GET", "/2/jobs?bulk=1")}
    stuck = sum(states[job_id] in ("waiting", "queued") for job_id in ids)
    print(f"a job of another instance while {stuck} jobs wait for one: {took * 1000:.1f} ms, "
          f"{took / free:.1f} times as long as with nobody waiting")
    assert stuck == WAITING, states
    api.ask("DELETE", f"/2/jobs/{holder}")


def slow_os(root):
    """An OS whose installation lasts until its job is canceled."""
    source, target = TOP / "doc/examples/os/noop", Path(root) / "srv/ganeti/os/slow"
    subprocess.run(["cp", "-r", str(source), str(target)], check=True)
    (target / "create").write_text("#!/bin/sh\nexec sleep 600\n")


def main():
    with tempfile.TemporaryDirectory(prefix="qa-bench-") as folder:
        child = subprocess.Popen(
            [sys.executable, str(TOP / "devel/run"), "--state", f"{folder}/state", "--port", "0",
             "--instances", str(INSTANCES), "--node", "node1.example.com:1T:16T:64"],
            stdout=subprocess.PIPE, text=True)
        try:
            ready = next((line for line in child.stdout if line.startswith("ready ")), None)
            assert ready, "devel/run did not become ready"
            facts = dict(word.split("=", 1) for word in ready.split()[1:])
            slow_os(facts["GANETI_ROOTDIR"])
            api = Api(facts)
            reading(api)
            tagging(api, folder)
            waiting(api)
        finally:
            child.send_signal(signal.SIGTERM)
            child.stdout.close()
            child.wait(60)


if __name__ == "__main__":
    main()
