"""A run of the programs in a tree that `make install DESTDIR=...` created.

Usage: installed.py DESTDIR. The state is below a temporary root.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

CLUSTER = "cluster.example.com"
TIMEOUT = 30  # Seconds until a daemon must answer, or have ended.


def free_port() -> int:
    """Return a port that is free at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon in the foreground; SIGTERM must end it successfully."""
    process = subprocess.Popen(command)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        status = process.wait(TIMEOUT)
        assert status == 0, f"{command[0]} ended with {status} on SIGTERM"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def until_answered(url: str, context: ssl.SSLContext) -> bytes:
    """Return the body of the first good answer."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            with urllib.request.urlopen(url, context=context, timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except (urllib.error.URLError, ConnectionError) as err:
            if time.monotonic() > deadline:
                raise SystemExit(f"{url} did not answer: {err}") from err
            time.sleep(0.1)


def main(stage: str) -> None:
    """Create a cluster, start both daemons, read /2/info over verified TLS, stop them."""
    programs = stage + "/usr/sbin"
    with tempfile.TemporaryDirectory(prefix="ganeti-installed-") as root:
        os.environ.update(GANETI_ROOTDIR=root, GANETI_HOSTNAME="node1.example.com")
        subprocess.run([f"{programs}/ganeti-cluster", "init", CLUSTER], check=True)
        port = str(free_port())
        with (
            running(f"{programs}/ganeti-masterd", "-f"),
            running(f"{programs}/ganeti-rapi", "-f", "-b", "127.0.0.1", "-p", port) as rapi,
        ):
            context = ssl.create_default_context(cafile=f"{root}/var/lib/ganeti/rapi.pem")
            info = json.loads(until_answered(f"https://localhost:{port}/2/info", context))
            assert info["name"] == CLUSTER, info
            with open(f"/proc/{rapi.pid}/comm", encoding="ascii") as comm:
                assert comm.read() == "ganeti-rapi\n", "the process has another name"
    print("answered", info["software_version"])


if __name__ == "__main__":
    main(sys.argv[1])
