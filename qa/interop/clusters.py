"""The three that are asked: a real Ganeti 3.0, our front on its master, ours alone."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
NODE = "node1.example.com"
#: The exit code of a suite that this machine cannot run.
SKIPPED = 77


def need_root(suite):
    """Leave it out where a real Ganeti cannot be installed."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"{suite}: skipped: a real Ganeti needs root and apt-get")
        sys.exit(SKIPPED)


def install(program, package):
    """Have a program of Debian's."""
    if not shutil.which(program):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run(["apt-get", "-qq", *words], env=environment, check=True,
                           stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def real_cluster(folder):
    """A real master; yields the command that runs things beside it."""
    script = str(HERE / "real-cluster")
    subprocess.run([script, "up", folder], check=True, stdout=subprocess.DEVNULL)
    try:
        yield [script, "in", folder]
    finally:
        subprocess.run([script, "down", folder], check=False)


@contextlib.contextmanager
def our_cluster(folder, *options):
    """devel/run with the OS of the real one, too; yields the facts of its ready line.

    One node, like the real one, unless there are other ``options``.
    """
    command = [sys.executable, str(TOP / "devel/run"), "--state", folder, "--port", "0",
               *(options or ("--node", NODE, "--password", "secret"))]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for line in child.stdout:
            if line.startswith("ready "):
                definition = Path(folder, NODE, "srv/ganeti/os/dummy")
                shutil.copytree(TOP / "doc/examples/os/noop", definition)
                (definition / "variants.list").write_text("default\n")
                yield dict(word.split("=", 1) for word in line.split()[1:])
                return
        raise SystemExit("devel/run did not become ready")
    finally:
        child.send_signal(signal.SIGTERM)
        child.stdout.close()
        child.wait(60)


@contextlib.contextmanager
def our_front(folder, luxi_socket):
    """Our front alone, on somebody else's master; yields its URL."""
    root = Path(folder)
    for part in ("var/run/ganeti", "var/log/ganeti", "var/lib/ganeti/rapi"):
        (root / part).mkdir(parents=True)
    (root / "var/lib/ganeti/rapi/users").write_text("admin secret write\n")
    (root / "python").mkdir()
    (root / "python/ganeti").symlink_to(TOP / "lib")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "GANETI_ROOTDIR": str(root),
                   "PYTHONPATH": str(root / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "ganeti.server.rapi", "-f", "--no-ssl", "-b", "127.0.0.1",
         "-p", str(port), "--luxi-socket", luxi_socket], env=environment,
        stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/version"):
                break
            assert child.poll() is None, "the front ended"
            time.sleep(0.1)
        yield url
    finally:
        child.terminate()
        child.wait(60)
