"""An installed system as root sees it: users, groups, modes, ports, signals, exit codes.

Usage: privileged.py BUILD, where BUILD was configured with --prefix=/mnt/usr, in namespaces
of its own (mount, network, process, host name; see `run`): what is mounted, installed and
started here is gone when this process ends, and no process outside can be seen or ended.
"""

import base64
import contextlib
import grp
import http.client
import json
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import (CLUSTER, HOST, LIB, LOG, PATIENCE, PROGRAMS, RUN, connection, get, last_log,
                     owned, pid_of, prepare, rapi, run, shown_certificate, status, stop, until)

EXAMPLES = Path("/mnt/usr/share/doc/ganeti-rapi/examples")
SECRET = "six words"
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: ganeti-\w+ pid=\d+ "
                  r"(DEBUG|INFO|WARNING|ERROR) .*")

CHECKS: list[Callable[[], None]] = []


def check(function: Callable[[], None]) -> Callable[[], None]:
    """A step; they run in the order in which they stand here."""
    CHECKS.append(function)
    return function


# -- before there is a cluster --------------------------------------------------------

@check
def without_a_cluster_both_end_with_12_and_say_what_to_type() -> None:
    for program in ("ganeti-masterd", "ganeti-rapi"):
        for how in ([], ["-f"]):
            said = run(program, *how, code=12)
            assert "ganeti-cluster init" in said, said
    assert not RUN.exists(), "a failed start left something behind"


@check
def version_help_and_a_wrong_command_line() -> None:
    for program in ("ganeti-masterd", "ganeti-rapi", "ganeti-cluster", "rapi-passwd"):
        assert re.fullmatch(rf"{program} \(ganeti-rapi\) \S+\n", run(program, "--version"))
        assert run(program, "--help").startswith(f"usage: {program}")
        code = 1 if program in ("ganeti-masterd", "ganeti-rapi") else 2
        assert run(program, "--nonsense", code=code).splitlines()[-1].startswith(program)


@check
def init_gives_every_file_to_its_owner() -> None:
    said = run("ganeti-cluster", "init", CLUSTER)
    assert "Next:" in said and "root" not in said, said
    expected = {
        LIB: ("gnt-masterd", "gnt-daemons", "755"),
        LIB / "master.db": ("gnt-masterd", "gnt-daemons", "600"),
        LIB / "rapi": ("gnt-rapi", "gnt-daemons", "750"),
        LIB / "rapi.pem": ("gnt-rapi", "gnt-daemons", "600"),
        RUN: ("gnt-masterd", "gnt-daemons", "775"),
        RUN / "socket": ("gnt-masterd", "gnt-daemons", "750"),
        LOG: ("gnt-masterd", "gnt-daemons", "770"),
    }
    found = {path: owned(path) for path in expected}
    wrong = {str(path): (found[path], expected[path])
             for path in expected if found[path] != expected[path]}
    assert not wrong, wrong
    assert (LIB / "ssconf_master_node").read_text() == f"{HOST}\n"


@check
def a_second_init_leaves_everything_as_it_is() -> None:
    before = (LIB / "rapi.pem").read_bytes()
    assert "already" in run("ganeti-cluster", "init", "other.example.com", code=1)
    assert (LIB / "rapi.pem").read_bytes() == before


# -- the daemons ----------------------------------------------------------------------

@check
def both_start_detached_and_drop_to_their_users_and_groups() -> None:
    shutil.rmtree("/run/ganeti")            # what a reboot leaves of /run
    run("ganeti-masterd")
    run("ganeti-rapi", "-p", "5080", "-b", "127.0.0.1")
    for program, user in (("ganeti-masterd", "gnt-masterd"), ("ganeti-rapi", "gnt-rapi")):
        pid = pid_of(program)
        words = status(pid)
        assert words["Name"] == [program], words["Name"]
        number = str(pwd.getpwnam(user).pw_uid)
        assert words["Uid"] == [number] * 4, words["Uid"]
        daemons = str(grp.getgrnam("gnt-daemons").gr_gid)
        assert words["Gid"] == [daemons] * 4 and daemons in words["Groups"], words
        assert "0" not in words["Groups"], "root's group was kept"
        assert int(words["CapEff"][0], 16) == 0, words["CapEff"]
        assert os.getsid(pid) != os.getsid(0)
        assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)] == ["/dev/null"] * 3
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert owned(RUN / "socket/ganeti-query") == ("gnt-masterd", "gnt-daemons", "660")
    assert owned(LOG / "rapi-daemon.log")[::2] == ("gnt-rapi", "600")
    assert owned(LOG / "master-daemon.log")[::2] == ("gnt-masterd", "600")
    assert get(connection(), "/2/info")["name"] == CLUSTER


@check
def a_second_start_says_who_runs() -> None:
    for program in ("ganeti-masterd", "ganeti-rapi"):
        before = pid_of(program)
        said = run(program, code=1)
        assert f"already running with pid {before}" in said, said
        assert pid_of(program) == before


@check
def every_line_of_the_log_has_ganetis_form() -> None:
    get(connection(), "/version")
    for name in ("rapi-daemon.log", "master-daemon.log"):
        for line in last_log(name).splitlines():
            assert LINE.fullmatch(line), line
    assert re.search(r" INFO 127\.0\.0\.1:[0-9]+ GET /version HTTP/1\.1 200$", last_log(), re.M)


@check
def a_user_is_made_and_known_at_once() -> None:
    run("rapi-passwd", "admin", input=f"{SECRET}\n")
    assert owned(LIB / "rapi/users") == ("gnt-rapi", "gnt-daemons", "640")
    assert SECRET not in (LIB / "rapi/users").read_text()
    assert ask("PUT", "/2/tags?tag=first")[0] == 200
    assert ask("PUT", "/2/tags?tag=first", password="wrong")[0] == 401


def ask(method: str, path: str, body: object = None, password: str = SECRET) -> tuple[int, Any]:
    """Status and JSON value of a request by admin."""
    client = connection()
    word = base64.b64encode(f"admin:{password}".encode()).decode()
    client.request(method, path, None if body is None else json.dumps(body),
                   {"Authorization": f"Basic {word}", "Content-Type": "application/json"})
    answer = client.getresponse()
    return answer.status, json.load(answer)


@check
def the_master_makes_an_instance_without_roots_rights() -> None:
    shutil.copytree(EXAMPLES / "os", "/srv/ganeti/os")
    code, job = ask("POST", "/2/instances", {
        "__version__": 1, "mode": "create", "name": "web.example.com", "os_type": "noop",
        "disk_template": "file", "disks": [{"size": "1G"}], "nics": [{}]})
    assert code == 200, job
    until(lambda: get(connection(), f"/2/jobs/{job}")["end_ts"], "the job's end")
    view = get(connection(), f"/2/jobs/{job}")
    assert view["status"] == "success", view["opresult"]
    assert get(connection(), "/2/instances/web.example.com")["status"] == "running"
    disk, = Path("/srv/ganeti/file-storage/web.example.com").iterdir()
    assert owned(disk)[0] == "gnt-masterd" and int(owned(disk)[2], 8) & 0o7 == 0, owned(disk)


@check
def strangers_reach_neither_socket_nor_key_nor_users() -> None:
    for path in (RUN / "socket/ganeti-query", LIB / "rapi.pem", LIB / "rapi/users",
                 LIB / "master.db", LOG / "rapi-daemon.log"):
        done = subprocess.run(["test", "-r", str(path)], user="nobody", group="nogroup",
                              extra_groups=[])
        assert path.exists() and done.returncode != 0, path


@check
def sighup_changes_the_certificate_and_keeps_connections() -> None:
    kept, old = connection(), shown_certificate()
    get(kept, "/version")
    subprocess.run(["openssl", "req", "-x509", "-new", "-nodes", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-subj", "/CN=new", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", "/mnt/key", "-out", "/mnt/cert"],
                   check=True, capture_output=True)
    saved = (LIB / "rapi.pem").read_bytes()
    (LIB / "rapi.pem").write_bytes(Path("/mnt/key").read_bytes()
                                   + Path("/mnt/cert").read_bytes())
    os.kill(pid_of("ganeti-rapi"), signal.SIGHUP)
    until(lambda: shown_certificate() != old, "the new certificate")
    local = kept.sock.getsockname()
    assert get(kept, "/2/info") and kept.sock.getsockname() == local, "it was dropped"
    (LIB / "rapi.pem").write_text("nonsense")
    os.kill(pid_of("ganeti-rapi"), signal.SIGHUP)
    until(lambda: "Keeping the old certificate" in last_log(), "a word about the broken one")
    assert shown_certificate() != old
    (LIB / "rapi.pem").write_bytes(saved)
    os.kill(pid_of("ganeti-rapi"), signal.SIGHUP)
    until(lambda: shown_certificate() == old, "the first certificate")


@check
def sighup_goes_on_in_a_new_log() -> None:
    for program, name in (("ganeti-rapi", "rapi-daemon.log"),
                          ("ganeti-masterd", "master-daemon.log")):
        (LOG / name).rename(LOG / f"{name}.1")
        os.kill(pid_of(program), signal.SIGHUP)
        until((LOG / name).exists, f"a new {name}")
    get(connection(), "/version?after=rotation")
    assert "after=rotation" in last_log()


@check
def many_signals_at_once_do_no_harm() -> None:
    for _ in range(300):
        os.kill(pid_of("ganeti-rapi"), signal.SIGHUP)
        os.kill(pid_of("ganeti-masterd"), signal.SIGHUP)
    assert get(connection(), "/2/info")


@check
def sigterm_finishes_the_request_in_flight() -> None:
    client = connection()
    client.connect()
    body = b'["late"]'
    word = "Basic YWRtaW46c2l4IHdvcmRz"       # admin:six words
    client.sock.sendall(b"PUT /2/tags HTTP/1.1\r\nHost: x\r\nAuthorization: " + word.encode()
                        + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:3])
    until(lambda: get(connection(), "/version") == 2, "the loop to have read that")
    pid = pid_of("ganeti-rapi")
    os.kill(pid, signal.SIGTERM)
    until(lambda: not listens(5080), "the listener to close")
    client.sock.sendall(body[3:])
    answer = http.client.HTTPResponse(client.sock)
    answer.begin()
    assert answer.status == 200 and answer.getheader("Connection") == "close", answer.status
    until(lambda: not (RUN / "ganeti-rapi.pid").exists(), "the end")
    assert "stopped" in last_log().splitlines()[-1]


def listens(port: int) -> bool:
    """Does somebody accept connections there?"""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


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
    assert "WARNING Open to everybody" in last_log()


@check
def addresses_families_and_interfaces() -> None:
    for arguments, hosts in ((["-b", "::1"], ["::1"]), (["-b", "::"], ["::1", "127.0.0.1"]),
                             (["-i", "lo"], ["127.0.0.1"]), (["-b", "localhost"], ["localhost"]),
                             (["-b", "0.0.0.0", "--no-ssl"], ["127.0.0.1"])):
        with rapi("-p", "5080", *arguments):
            for host in hosts:
                client = (http.client.HTTPConnection(host, 5080) if "--no-ssl" in arguments
                          else connection(host))
                assert get(client, "/version") == 2, arguments


@check
def what_cannot_be_listened_on_is_said() -> None:
    with socket.create_server(("127.0.0.1", 5999)):
        said = run("ganeti-rapi", "-b", "127.0.0.1", "-p", "5999", code=1)
        assert "port 5999" in said and "in use" in said, said
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
            (["-C", "/nowhere.pem"], "/nowhere.pem"), (["-K", "/nokey.pem"], "/nokey.pem"),
            (["-C", "/mnt/empty.pem"], "/mnt/empty.pem"),
            (["-C", "/mnt/cert"], "/mnt/cert"),
            (["-K", "/mnt/key"], "does not belong")):
        said = run("ganeti-rapi", "-p", "5080", *arguments, code=1)
        assert words in said and "Traceback" not in said, said
    with rapi("-p", "5080", "-b", "127.0.0.1", "-C", "/mnt/cert", "-K", "/mnt/key"):
        assert shown_certificate() == ssl.DER_cert_to_PEM_cert(
            ssl.PEM_cert_to_DER_cert(Path("/mnt/cert").read_text()))


@check
def a_key_that_only_root_can_read_is_read_before_root_is_given_up() -> None:
    os.chmod("/mnt/key", 0o400)
    with rapi("-p", "5080", "-b", "127.0.0.1", "-C", "/mnt/cert", "-K", "/mnt/key"):
        assert shown_certificate()


@check
def old_versions_of_tls_are_refused() -> None:
    with rapi("-p", "5080", "-b", "127.0.0.1"):
        for version, good in (("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
            done = subprocess.run(["openssl", "s_client", version, "-connect", "127.0.0.1:5080"],
                                  stdin=subprocess.DEVNULL, capture_output=True)
            assert (done.returncode == 0) is good, (version, done.stderr)


@check
def the_limit_on_open_files_is_raised_as_root_can() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for ceiling, clients in ((hard, 3000), (256, 5000)):
        def lower(ceiling: int = ceiling) -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, ceiling))
        with rapi("-p", "5080", "-b", "127.0.0.1", f"--max-clients={clients}",
                  preexec_fn=lower) as pid:
            limits = Path(f"/proc/{pid}/limits").read_text()
        if ceiling == 256 and not may_raise_limits():
            # 128 are not clients', and for every second client there is a wait for jobs.
            assert "leaves room for 85 clients" in last_log()
        else:
            assert int(re.findall(r"Max open files +(\d+)", limits)[0]) > clients, limits


def may_raise_limits() -> bool:
    """Not every container's root has CAP_SYS_RESOURCE, which is bit 24."""
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
    with rapi("-p", "5080", "-b", "127.0.0.1", "--syslog=only"):
        assert get(connection(), "/version") == 2, "it waits for nobody on /dev/log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sink:
        sink.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        sink.settimeout(PATIENCE)
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
            sink.settimeout(PATIENCE)


@check
def on_another_node_it_ends_with_11() -> None:
    socket.sethostname("node2.example.com")
    said = run("ganeti-rapi", "-p", "5080", code=11)
    socket.sethostname(HOST)
    assert f"{HOST} is" in said, said


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
    done = subprocess.run(["sh", "-c", f"exec {PROGRAMS}/ganeti-rapi -p 5080 -b 127.0.0.1 "
                           "<&- >&- 2>&-"], timeout=PATIENCE)
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
        done = subprocess.run(["sh", str(script), word], text=True, timeout=PATIENCE * 3,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == code, (word, done.returncode, done.stdout)
        return done.stdout
    assert init("status", 3).count("does not run") == 2
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
    assert init("status", 3).count("does not run") == 2
    (RUN / "ganeti-rapi.pid").write_text("1\n")     # left by a crash, and somebody else's
    init("stop")
    assert init("status", 3)
    assert "Usage" in init("nonsense", 2)


@check
def the_systemd_units_and_manual_pages_are_clean() -> None:
    for path in EXAMPLES.iterdir():
        assert path.is_dir() or not re.search("@[a-z]+@", path.read_text()), path
    if shutil.which("systemd-analyze"):
        units = map(str, EXAMPLES.glob("*.service"))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], text=True,
                              capture_output=True)
        ours = [line for line in done.stderr.splitlines() if "ganeti-" in line
                and "Failed to create" not in line and "legacy directory" not in line]
        assert not ours, ours
    if shutil.which("groff"):
        for page in Path("/mnt/usr/share/man/man8").iterdir():
            done = subprocess.run(["groff", "-man", "-ww", "-z", str(page)], text=True,
                                  capture_output=True)
            assert not done.stderr, done.stderr


@check
def without_the_users_root_goes_on_and_says_so() -> None:
    text = Path("/mnt/passwd").read_text()
    Path("/mnt/passwd").write_text("".join(
        line for line in text.splitlines(keepends=True) if not line.startswith("gnt-")))
    with rapi("-p", "5080", "-b", "127.0.0.1") as pid:
        assert status(pid)["Uid"][0] == "0"
    assert "There is no user gnt-rapi" in last_log()


def main(build: str) -> int:
    """Run every check; what failed is told, and the others run all the same."""
    prepare(build)
    failed = 0
    for function in CHECKS:
        title = function.__name__.replace("_", " ")
        try:
            function()
        except (AssertionError, OSError, subprocess.SubprocessError,
                http.client.HTTPException) as err:
            failed += 1
            print(f"FAILED: {title}\n    {type(err).__name__}: {err}", flush=True)
        else:
            print(f"  {title}", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
