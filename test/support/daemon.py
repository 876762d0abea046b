"""Both daemons as processes of their own, on a cluster below a temporary root."""

import base64
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

from ganeti import luxi
from ganeti.pathutils import Paths
from support import TOP

SOURCE = TOP
HOST = "node1.example.com"
#: Seconds after which something that did not happen has failed.
TIMEOUT = 60.0


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Answer:
    """Status, headers and the JSON of a response."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode("utf-8")
        self.json = json.loads(self.text) if self.text else None


class DaemonCluster:
    """A cluster with its daemons; a context manager that leaves no process behind."""

    def __init__(self, root, nodes=(HOST, "node2.example.com:16384:512G:8"), tls=False):
        self.root = Path(root) / HOST
        self.paths = Paths.from_environment({"GANETI_ROOTDIR": str(self.root)})
        self.environment = {
            **os.environ,
            "GANETI_ROOTDIR": str(self.root),
            "GANETI_HOSTNAME": HOST,
            "PYTHONFAULTHANDLER": "1",
        }
        self.tls = tls
        self.port = free_port()
        self.processes = {}
        options = [word for node in nodes for word in ("--node", node)]
        self.run("cluster", "init", *options, "cluster.example.com", check=True)
        Path(self.paths.users_files[0]).write_text(
            "admin secret write\nreader secret read\nnobody secret\n"
        )
        self.add_os("noop")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.ExitStack() as ends:  # one that does not end keeps no other
            for name in ("masterd", "rapi"):
                if name in self.processes:
                    ends.callback(self.stop, name)

    def command(self, module, *arguments):
        return [sys.executable, "-P", "-m", f"ganeti.server.{module}", *arguments]

    def run(self, module, *arguments, check=False):
        """Run a program to its end."""
        done = subprocess.run(
            self.command(module, *arguments),
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT,
        )
        assert not check or done.returncode == 0, done.stdout
        return done

    def add_os(self, name, create="exit 0", variants=()):
        """Make an OS definition whose create script is a line of shell."""
        folder = self.root / "srv/ganeti/os" / name
        folder.mkdir(parents=True, exist_ok=True)
        for script in ("create", "import", "export", "rename", "verify"):
            body = create if script == "create" else "exit 0"
            (folder / script).write_text(f"#!/bin/sh\n{body}\n")
            (folder / script).chmod(0o755)
        (folder / "ganeti_api_version").write_text("20\n")
        if variants:
            (folder / "variants.list").write_text("".join(f"{word}\n" for word in variants))
        (folder / "parameters.list").write_text("")

    # -- processes ---------------------------------------------------------------

    def start(self, *rapi_options):
        """Start both, and wait until both answer."""
        self.start_master()
        self.start_front(*rapi_options)
        return self

    def start_master(self):
        self._spawn("masterd", [], lambda: self._connects(self.luxi))

    def start_front(self, *options):
        ssl_options = [] if self.tls else ["--no-ssl"]
        self._spawn(
            "rapi",
            ["-b", "127.0.0.1", "-p", str(self.port), *ssl_options, *options],
            lambda: self._connects(lambda: socket.create_connection(("127.0.0.1", self.port), 5)),
        )

    def _spawn(self, module, options, answers):
        console = self.root / f"{module}-console.log"
        with open(console, "wb") as out:
            child = subprocess.Popen(
                self.command(module, "-f", *options),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self.processes[module] = child
        tick = threading.Event()
        for _ in range(int(TIMEOUT / 0.02)):
            if answers():
                return
            assert child.poll() is None, f"{module} ended: {console.read_text()}"
            tick.wait(0.02)
        raise AssertionError(f"{module} does not answer: {console.read_text()}")

    @staticmethod
    def _connects(connect):
        try:
            with contextlib.closing(connect()) as connection:
                if isinstance(connection, luxi.Client):
                    connection.call(luxi.QueryConfigValues(["cluster_name"]))
            return True
        except Exception:
            return False

    @staticmethod
    def until(condition):
        """Wait for what another process brings about."""
        tick = threading.Event()
        for _ in range(int(TIMEOUT / 0.02)):
            if condition():
                return
            tick.wait(0.02)
        raise AssertionError("in vain")

    def stop(self, name):
        """Send SIGTERM, and return the exit code."""
        return self._end(name, signal.SIGTERM)

    def kill(self, name):
        """Send SIGKILL, and return the exit code."""
        return self._end(name, signal.SIGKILL)

    def _end(self, name, number):
        child = self.processes.pop(name)
        child.send_signal(number)
        try:
            return child.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGABRT)  # says where each of its threads is
            child.wait()
            console = (self.root / f"{name}-console.log").read_text(errors="replace")
            raise AssertionError(f"{name} did not end: {console[-20_000:]}") from None

    # -- talking -------------------------------------------------------------------

    def luxi(self):
        """Return a client of the master's socket."""
        return luxi.Client(self.paths.query_socket, call_timeout=TIMEOUT)

    def master(self, call):
        with contextlib.closing(self.luxi()) as client:
            return client.call(call)

    def request(self, method, path, body=None, user="admin", password="secret", headers=()):
        """Send one request through the API; return the answer, also if it is an error."""
        scheme = "https" if self.tls else "http"
        request = urllib.request.Request(f"{scheme}://localhost:{self.port}{path}", method=method)
        if body is not None:
            request.data = body if isinstance(body, bytes) else json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if user is not None:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        for name, value in headers:
            request.add_header(name, value)
        context = ssl.create_default_context(cafile=self.paths.rapi_cert) if self.tls else None
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(request, timeout=TIMEOUT) as response:
                return Answer(response)
        except urllib.error.HTTPError as err:
            with err:
                return Answer(err)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def submit(self, method, path, body=None, **options):
        """Send a request that submits a job; return the job's id."""
        answer = self.request(method, path, body, **options)
        assert answer.status == 200, answer.text
        assert isinstance(answer.json, int), answer.text
        return answer.json

    def wait(self, job_id):
        """Follow a job to its end; the job as the API shows it."""
        with contextlib.closing(self.luxi()) as client:
            values = None
            while values is None or values[0] not in ("success", "error", "canceled"):
                values, _ = client.call(
                    luxi.WaitForJobChange(job_id, ["status"], values, 10**9, TIMEOUT / 2)
                )
        return self.get(f"/2/jobs/{job_id}").json

    def do(self, method, path, body=None):
        """Send a request whose job must succeed; return its results."""
        job = self.wait(self.submit(method, path, body))
        assert job["status"] == "success", job
        return job["opresult"]

    def create(self, name="web.example.com", **fields):
        """Create an instance; its job must succeed."""
        body = {
            "__version__": 1,
            "mode": "create",
            "name": name,
            "os_type": "noop",
            "disk_template": "file",
            "disks": [{"size": 1024}],
            "nics": [{}],
        }
        return self.do("POST", "/2/instances", {**body, **fields})
