"""An installation as root: options of ganeti-rapi, exit codes, what a distribution uses."""

import contextlib
import http.client
import os
import pwd
import re
import resource
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

from machine import (
    EXAMPLES,
    HOST,
    LIB,
    LOG,
    PROGRAMS,
    RUN,
    TIMEOUT,
    check,
    connection,
    get,
    last_log,
    listens,
    owned,
    pid_of,
    rapi,
    run,
    shown_certificate,
    status,
    stop,
)

# -- options of ganeti-rapi -----------------------------------------------------------


@check
def a_low_port_is_bound_by_root_and_kept_by_the_user() -> None:
    with rapi("-p", "443", "-b", "127.0.0.1") as pid:
        assert get(connection(port=443), "/version") == 2
        assert status(pid)["Uid"][0] == str(pwd.getpwnam("gnt-rapi").pw_uid)


@check
def the_service_names_the_port_and_an_open_start_is_warned_about() -> None:
    with rapi():
        assert get(connection(port=7443), "/version") == 2
    assert "WARNING open to everybody" in last_log()


@check
def addresses_families_and_interfaces() -> None:
    for arguments, hosts in (
        (["-b", "::1"], ["::1"]),
        (["-b", "::"], ["::1", "127.0.0.1"]),
        (["-i", "lo"], ["127.0.0.1"]),
        (["-b", "localhost"], ["localhost"]),
        (["-b", "0.0.0.0", "--no-ssl"], ["127.0.0.1"]),
    ):
        with rapi("-p", "5080", *arguments):
            for host in hosts:
                client = (
                    http.client.HTTPConnection(host, 5080)
                    if "--no-ssl" in arguments
                    else connection(host)
                )
                assert get(client, "/version") == 2, arguments


@check
def what_cannot_be_listened_on_is_said() -> None:
    with socket.create_server(("127.0.0.1", 5999)):
        said = run("ganeti-rapi", "-b", "127.0.0.1", "-p", "5999", code=1)
        assert "port 5999" in said and f"(pid {os.getpid()}) already does" in said, said
    assert "nosuch0" in run("ganeti-rapi", "-i", "nosuch0", code=1)
    assert "192.0.2.1" in run("ganeti-rapi", "-b", "192.0.2.1", code=1)
    assert "nosuch.invalid" in run("ganeti-rapi", "-b", "nosuch.invalid", code=1)
    for port in ("70000", "-1", "x"):
        said = run("ganeti-rapi", f"--port={port}", code=1)
        assert "port" in said and "_" not in said.splitlines()[-1], said


@check
def wrong_certificates_are_said_by_name() -> None:
    Path("/mnt/empty.pem").touch()
    for arguments, words in (
        (["-C", "/nowhere.pem"], "/nowhere.pem"),
        (["-K", "/nokey.pem"], "/nokey.pem"),
        (["-C", "/mnt/empty.pem"], "/mnt/empty.pem"),
        (["-C", "/mnt/cert"], "/mnt/cert"),
        (["-K", "/mnt/key"], "does not belong"),
    ):
        said = run("ganeti-rapi", "-p", "5080", *arguments, code=1)
        assert words in said and "Traceback" not in said, said
    with rapi("-p", "5080", "-b", "127.0.0.1", "-C", "/mnt/cert", "-K", "/mnt/key"):
        assert shown_certificate() == ssl.DER_cert_to_PEM_cert(
            ssl.PEM_cert_to_DER_cert(Path("/mnt/cert").read_text())
        )


@check
def a_key_that_only_root_can_read_is_read_before_root_is_given_up() -> None:
    os.chmod("/mnt/key", 0o400)
    with rapi("-p", "5080", "-b", "127.0.0.1", "-C", "/mnt/cert", "-K", "/mnt/key"):
        assert shown_certificate()


@check
def old_versions_of_tls_are_refused() -> None:
    with rapi("-p", "5080", "-b", "127.0.0.1"):
        for version, good in (("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
            done = subprocess.run(
                ["openssl", "s_client", version, "-connect", "127.0.0.1:5080"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )
            assert (done.returncode == 0) is good, (version, done.stderr)


@check
def the_limit_on_open_files_is_raised_as_root_can() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for ceiling, clients in ((hard, 3000), (256, 5000)):

        def lower(ceiling: int = ceiling) -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, ceiling))

        with rapi(
            "-p", "5080", "-b", "127.0.0.1", f"--max-clients={clients}", preexec_fn=lower
        ) as pid:
            limits = Path(f"/proc/{pid}/limits").read_text()
        if ceiling == 256 and not may_raise_limits():
            # 128 are not for clients, and every second client may wait for jobs.
            assert "leaves room for 85 clients" in last_log()
        else:
            assert int(re.findall(r"Max open files +(\d+)", limits)[0]) > clients, limits


def may_raise_limits() -> bool:
    """Return whether limits may be raised. Some containers' root lacks CAP_SYS_RESOURCE, bit 24."""
    return bool(int(status(os.getpid())["CapEff"][0], 16) >> 24 & 1)


@check
def reading_needs_a_user_where_that_is_asked_for() -> None:
    with rapi("-p", "5080", "-b", "127.0.0.1", "--require-authentication"):
        client = connection()
        assert get(client, "/version") == 2
        client.request("GET", "/2/info")
        answer = client.getresponse()
        assert answer.status == 401
        assert answer.getheader("WWW-Authenticate") == 'Basic realm="Ganeti Remote API"'


@check
def syslog_is_told_as_asked() -> None:
    said = run("ganeti-rapi", "-p", "5080", "-b", "127.0.0.1", "--syslog=only", code=1)
    assert "no syslog daemon listens on /dev/log" in said, said
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sink:
        sink.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        sink.settimeout(TIMEOUT)
        for word in ("yes", "only"):
            size = len(last_log())
            with rapi("-p", "5080", "-b", "127.0.0.1", f"--syslog={word}") as pid:
                line = sink.recv(4096).decode()
                assert re.fullmatch(rf"<30>ganeti-rapi\[{pid}\]: INFO .*\0?", line), line
            assert (len(last_log()) > size) is (word == "yes"), word
            sink.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    sink.recv(4096)
            sink.settimeout(TIMEOUT)


@contextlib.contextmanager
def renamed(name: str) -> Iterator[None]:
    """Give the machine another name for a while."""
    socket.sethostname(name)
    try:
        yield
    finally:
        socket.sethostname(HOST)


@check
def on_another_node_it_ends_with_11() -> None:
    (LIB / "master.db").rename(LIB / "elsewhere.db")  # Other nodes have only ssconf files.
    try:
        with renamed("node2.example.com"):
            said = run("ganeti-rapi", "-p", "5080", code=11)
            assert run("ganeti-rapi", "--check-role", code=11) == said
    finally:
        (LIB / "elsewhere.db").rename(LIB / "master.db")
    assert f"{HOST} is" in said and "node2.example.com" in said, said


@check
def a_renamed_master_is_told_both_names_and_the_cure() -> None:
    with renamed("node2.example.com"):
        said = run("ganeti-rapi", "-p", "5080", code=1)
        assert run("ganeti-rapi", "--check-role", code=255) == said
    assert f"GANETI_HOSTNAME={HOST}" in said and "node2.example.com" in said, said


@check
def links_that_the_users_could_have_laid_are_not_followed_by_root() -> None:
    target = Path("/mnt/target-of-a-link")
    target.write_text("untouched")
    for place in (RUN / "ganeti-rapi.pid", LOG / "rapi-daemon.log"):
        saved = place.read_bytes() if place.exists() else None
        place.unlink(missing_ok=True)
        place.symlink_to(target)
        run("ganeti-rapi", "-p", "5080", "-b", "127.0.0.1", code=1)
        assert target.read_text() == "untouched" and owned(target)[0] == "root", place
        place.unlink()
        if saved is not None:
            place.write_bytes(saved)
            shutil.chown(place, "gnt-rapi", "gnt-daemons")


@check
def closed_standard_descriptors_do_no_harm() -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec {PROGRAMS}/ganeti-rapi -p 5080 -b 127.0.0.1 <&- >&- 2>&-"],
        timeout=TIMEOUT,
    )
    assert done.returncode == 0
    assert get(connection(), "/2/info")
    assert "already running" in run("ganeti-rapi", "-p", "5080", code=1)
    stop("ganeti-rapi")


@check
def version_is_answered_without_the_master() -> None:
    stop("ganeti-masterd")
    with rapi("-p", "5080", "-b", "127.0.0.1"):
        client = connection()
        assert get(client, "/version") == 2
        client.request("GET", "/2/info")
        assert client.getresponse().status in (502, 503, 504)


@check
def the_init_script_does_what_it_says() -> None:
    script = EXAMPLES / "ganeti-rapi.initd"

    def init(word: str, code: int = 0) -> str:
        done = subprocess.run(
            ["sh", str(script), word],
            text=True,
            timeout=TIMEOUT * 3,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == code, (word, done.returncode, done.stdout)
        return done.stdout

    assert init("status", 3).count("is not running") == 2
    init("start")
    pids = [pid_of(program) for program in ("ganeti-masterd", "ganeti-rapi")]
    line = Path(f"/proc/{pids[1]}/cmdline").read_bytes().split(b"\0")
    assert b"--require-authentication" in line and b"127.0.0.1" in line, line
    assert all(f"(pid {pid})" in init("status") for pid in pids)
    init("start")
    init("reload")
    assert [pid_of(program) for program in ("ganeti-masterd", "ganeti-rapi")] == pids
    init("upgrade")
    assert pid_of("ganeti-masterd") == pids[0] and pid_of("ganeti-rapi") != pids[1]
    init("restart")
    assert pid_of("ganeti-rapi") != pids[1] and get(connection(port=7443), "/version") == 2
    init("stop")
    assert init("status", 3).count("is not running") == 2
    (RUN / "ganeti-rapi.pid").write_text("1\n")  # Left by a crash, and another program's.
    init("stop")
    assert init("status", 3)
    assert "Usage" in init("nonsense", 2)


@check
def the_systemd_units_and_manual_pages_are_clean() -> None:
    for path in EXAMPLES.iterdir():
        assert path.is_dir() or not re.search("@[a-z]+@", path.read_text()), path
    if shutil.which("systemd-analyze"):
        units = map(str, EXAMPLES.glob("*.service"))
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *units], text=True, capture_output=True
        )
        ours = [
            line
            for line in done.stderr.splitlines()
            if "ganeti-" in line
            and "Failed to create" not in line
            and "legacy directory" not in line
        ]
        assert not ours, ours
    if shutil.which("groff"):
        for page in Path("/mnt/usr/share/man/man8").iterdir():
            done = subprocess.run(
                ["groff", "-man", "-ww", "-z", str(page)], text=True, capture_output=True
            )
            assert not done.stderr, done.stderr


def forget(database: str, *names: str) -> None:
    """Remove users or groups from this namespace's /etc/passwd or /etc/group."""
    path = Path("/etc", database)
    path.write_text(
        "".join(
            line
            for line in path.read_text().splitlines(keepends=True)
            if line.partition(":")[0] not in names
        )
    )


@check
def with_some_of_the_users_nothing_starts() -> None:
    forget("passwd", "gnt-rapi")
    said = run("ganeti-rapi", "-p", "5080", "-b", "127.0.0.1", code=1)
    assert "but not the user gnt-rapi" in said and "useradd --system" in said, said
    forget("passwd", "gnt-masterd")
    for program in ("ganeti-rapi", "ganeti-masterd"):
        said = run(program, code=1)
        assert "has the group gnt-daemons" in said and "useradd --system" in said, said
    assert not (RUN / "ganeti-rapi.pid").exists() and not listens(5080)


@check
def without_the_users_root_serves_this_machine_only() -> None:
    forget("group", "gnt-daemons")
    with rapi("-p", "5080", "-b", "127.0.0.1") as pid:
        assert status(pid)["Uid"][0] == "0"
    assert "There is no user gnt-rapi" in last_log()
    said = run("ganeti-rapi", "-p", "5080", "--require-authentication", code=1)
    assert "root does not listen on 0.0.0.0" in said and "--as-root" in said, said
    with rapi("-p", "5080", "--require-authentication", "--as-root") as pid:
        assert status(pid)["Uid"][0] == "0"
