"""Shared code of the checks of an installed system: the machine that they see, and its programs.

For use in private namespaces only (see `run`): `prepare` mounts over this machine's directories and
changes its host name.
"""

import base64
import contextlib
import grp
import http.client
import json
import os
import pwd
import signal
import socket
import ssl
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HOST, CLUSTER = "node1.example.com", "cluster.example.com"
LIB, RUN, LOG = Path("/var/lib/ganeti"), Path("/var/run/ganeti"), Path("/var/log/ganeti")
#: Where the tree is installed: below /mnt where the rest of the system belongs to others.
PREFIX = Path(os.environ.get("GANETI_PREFIX", "/mnt/usr"))
PROGRAMS = PREFIX / "sbin"
USERS = {"gnt-masterd": (64101, ""), "gnt-rapi": (64102, "")}
GROUPS = {"gnt-daemons": (64103, "gnt-masterd,gnt-rapi")}
TIMEOUT = 30.0
EXAMPLES = PREFIX / "share/doc/ganeti-rapi/examples"
SECRET = "six words"

CHECKS: list[Callable[[], None]] = []


# -- the machine ----------------------------------------------------------------------


def check(function: Callable[[], None]) -> Callable[[], None]:
    """Register a check; they run in the order of their definition."""
    CHECKS.append(function)
    return function


def run_checks() -> int:
    """Run every check, also after one failed; return an exit code.

    Prints the name of each failed check, and the counts in the last line.
    """
    failed = 0
    for function in CHECKS:
        title = function.__name__.replace("_", " ")
        begin = time.monotonic()
        try:
            function()
        except Exception as err:  # The other checks run whatever this one raises.
            failed += 1
            place = traceback.extract_tb(err.__traceback__)[-1]
            print(
                f"FAILED: {title}\n    {os.path.basename(place.filename)}:{place.lineno}: "
                f"{type(err).__name__}: {err or place.line}",
                flush=True,
            )
        else:
            print(f"  {title} ({time.monotonic() - begin:.1f} s)", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed", flush=True)
    return int(failed > 0)


def mount(*words: str) -> None:
    """Call mount(8)."""
    subprocess.run(["mount", *words], check=True)


def add_lines(path: str, lines: list[str]) -> None:
    """Append lines to a file of /etc, for this namespace only."""
    copy = Path("/mnt", os.path.basename(path))
    copy.write_text(Path(path).read_text() + "".join(f"{line}\n" for line in lines))
    copy.chmod(0o644)
    mount("--bind", str(copy), path)


def private_dev() -> None:
    """Mount a /dev that can hold our /dev/log."""
    devices = Path("/mnt/dev")
    devices.mkdir()
    devices.chmod(0o755)
    for name in ("full", "null", "random", "urandom", "zero"):
        (devices / name).touch()
        mount("--bind", f"/dev/{name}", str(devices / name))
    mount("--rbind", str(devices), "/dev")


def has_user(name: str) -> bool:
    """Return whether the machine has this user already."""
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def has_group(name: str) -> bool:
    """Return whether the machine has this group already."""
    with contextlib.suppress(KeyError):
        return bool(grp.getgrnam(name))
    return False


def prepare(build: str) -> None:
    """Create fresh directories, users, a host name and the loopback; then `make install`."""
    mount("--make-rprivate", "/")
    for folder in ("/mnt", "/run", "/srv", "/var/lib", "/var/log"):
        mount("-t", "tmpfs", "tmpfs", folder)
    private_dev()
    add_lines(
        "/etc/passwd",
        [
            f"{name}:x:{number}:{number}::/:/usr/sbin/nologin"
            for name, (number, _) in USERS.items()
            if not has_user(name)
        ],
    )
    add_lines(
        "/etc/group",
        [
            f"{name}:x:{number}:{members}"
            for name, (number, members) in {**USERS, **GROUPS}.items()
            if not has_group(name)
        ],
    )
    add_lines("/etc/services", ["ganeti-rapi 7443/tcp"])
    socket.sethostname(HOST)
    subprocess.run(["make", "-s", "-C", build, "install"], check=True, stdout=subprocess.DEVNULL)


# -- programs -------------------------------------------------------------------------


def run(program: str, *arguments: str, code: int = 0, **more: Any) -> str:
    """Return the output of an installed program; its exit code must be ``code``."""
    done = subprocess.run(
        [str(PROGRAMS / program), *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        **more,
    )
    assert done.returncode == code, f"{program} {arguments}: {done.returncode}: {done.stdout}"
    return str(done.stdout)


def pid_of(program: str) -> int:
    """Return the pid in its pid file."""
    return int((RUN / f"{program}.pid").read_text())


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds; fail after a time limit."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def has_ended(pid: int) -> bool:
    """Return whether a process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # It ended before, or while, it was read.
        return True


def stop(program: str, number: signal.Signals = signal.SIGTERM) -> None:
    """End a daemon by its pid, and check that its pid file goes."""
    pid = pid_of(program)
    os.kill(pid, number)
    until(lambda: not (RUN / f"{program}.pid").exists(), f"{program} to end")
    until(lambda: has_ended(pid), f"{pid} to end")


@contextlib.contextmanager
def rapi(*arguments: str, **more: Any) -> Iterator[int]:
    """Run ganeti-rapi, detached, for a while; yield its pid."""
    run("ganeti-rapi", *arguments, **more)
    try:
        yield pid_of("ganeti-rapi")
    finally:
        stop("ganeti-rapi")


def status(pid: int) -> dict[str, list[str]]:
    """Return the words of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.partition(":")[0]: line.partition(":")[2].split() for line in lines}


def owned(path: Path) -> tuple[str, str, str]:
    """Return user, group and mode."""
    stat = path.stat()
    return (
        pwd.getpwuid(stat.st_uid).pw_name,
        grp.getgrgid(stat.st_gid).gr_name,
        f"{stat.st_mode & 0o7777:o}",
    )


def connection(address: str = "127.0.0.1", port: int = 5080) -> http.client.HTTPSConnection:
    """Return a client that trusts only the cluster's certificate."""
    context = ssl.create_default_context(cafile=str(LIB / "rapi.pem"))
    return http.client.HTTPSConnection(address, port, timeout=TIMEOUT, context=context)


def get(client: http.client.HTTPConnection, path: str) -> Any:
    """Return the JSON value of a GET."""
    client.request("GET", path)
    answer = client.getresponse()
    body = answer.read()
    assert answer.status == 200, (answer.status, body)
    return json.loads(body)


def shown_certificate(port: int = 5080) -> str:
    """Return the certificate that a new client sees."""
    return ssl.get_server_certificate(("127.0.0.1", port))


def last_log(name: str = "rapi-daemon.log") -> str:
    """Return the whole log."""
    return (LOG / name).read_text()


def ask(method: str, path: str, body: object = None, password: str = SECRET) -> tuple[int, Any]:
    """Return status and JSON value of a request by admin."""
    client = connection()
    word = base64.b64encode(f"admin:{password}".encode()).decode()
    client.request(
        method,
        path,
        None if body is None else json.dumps(body),
        {"Authorization": f"Basic {word}", "Content-Type": "application/json"},
    )
    answer = client.getresponse()
    return answer.status, json.load(answer)


def listens(port: int) -> bool:
    """Return whether connections are accepted there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False
