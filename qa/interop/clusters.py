"""The three servers: a real Ganeti 3.0, our front on its master, ours alone."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
NODE = "node1.example.com"
#: The exit code of a suite that this machine cannot run.
SKIPPED = 77


def need_root(suite):
    """Skip the suite where a real Ganeti cannot be installed."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"{suite}: skipped: a real Ganeti needs root and apt-get")
        sys.exit(SKIPPED)


def install(program, package):
    """Install the Debian package of a program or file, unless it exists."""
    if not shutil.which(program) and not os.path.exists(program):
        apt_install(package)


def apt_install(*packages):
    """Install Debian packages quietly; raise CalledProcessError on failure."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run(
            ["apt-get", "-qq", *words], env=environment, check=True, stdout=subprocess.DEVNULL
        )


@contextlib.contextmanager
def real_cluster(folder):
    """Run a real master; yield the command that runs programs beside it."""
    script = str(HERE / "real-cluster")
    subprocess.run([script, "up", folder], check=True, stdout=subprocess.DEVNULL)
    try:
        yield [script, "in", folder]
    finally:
        subprocess.run([script, "down", folder], check=False)


def open_api(inside, folder):
    """Make a real cluster's API reachable and verifiable like ours; return certificate and key.

    Debian's listens on loopback, requires a password of readers, and has a certificate without
    names.
    """
    folder = Path(folder)
    defaults, pem = folder / "defaults", folder / "lib/rapi.pem"
    defaults.write_text("RAPI_ARGS='-b 0.0.0.0'\n")
    names = f"DNS:{NODE},IP:127.0.0.1,DNS:127.0.0.1"  # The last one is for Python 2.
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={NODE}",
            "-addext",
            f"subjectAltName={names}",
            "-keyout",
            f"{folder}/key.pem",
            "-out",
            f"{folder}/ca.pem",
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    pem.write_text((folder / "key.pem").read_text() + (folder / "ca.pem").read_text())
    for command in (
        f"mount --bind {defaults} /etc/default/ganeti",
        "/usr/lib/ganeti/daemon-util stop ganeti-rapi",
        "/usr/lib/ganeti/daemon-util start ganeti-rapi",
    ):
        subprocess.run([*inside, *command.split()], check=True)
    return pem


@contextlib.contextmanager
def our_cluster(folder, *options):
    """Run devel/run with the real cluster's OS too; yield the facts of its ready line.

    One node, like the real one, unless there are other ``options``.
    """
    command = [
        sys.executable,
        str(TOP / "devel/run"),
        "--state",
        folder,
        "--port",
        "0",
        *(options or ("--node", NODE, "--password", "secret")),
    ]
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
        if child.wait(60) != 0:
            raise SystemExit(f"devel/run ended with {child.returncode} when it was told to stop")


@contextlib.contextmanager
def our_front(folder, luxi_socket, pem=None):
    """Run our front alone, on another master; yield its URL.

    ``pem``: certificate and key for TLS.
    """
    root = Path(folder)
    for part in ("var/run/ganeti", "var/log/ganeti", "var/lib/ganeti/rapi"):
        (root / part).mkdir(parents=True)
    (root / "var/lib/ganeti/rapi/users").write_text("admin secret write\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "GANETI_ROOTDIR": str(root),
        "PYTHONPATH": str(TOP / "lib"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    speech = ["--ssl-cert", str(pem), "--ssl-key", str(pem)] if pem else ["--no-ssl"]
    child = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "ganeti.server.rapi",
            "-f",
            *speech,
            "-b",
            "127.0.0.1",
            "-p",
            str(port),
            "--luxi-socket",
            luxi_socket,
        ],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    url = f"http{'s' if pem else ''}://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert child.poll() is None, "the front ended"
            time.sleep(0.1)
        yield url
    finally:
        child.terminate()
        child.wait(60)
