"""An installation as root: the cluster, both daemons, signals."""

import grp
import http.client
import os
import pwd
import re
import shutil
import signal
import subprocess
from pathlib import Path

from machine import (
    CLUSTER,
    EXAMPLES,
    HOST,
    LIB,
    LOG,
    RUN,
    SECRET,
    ask,
    check,
    connection,
    get,
    last_log,
    listens,
    owned,
    pid_of,
    run,
    shown_certificate,
    status,
    until,
)

LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: ganeti-\w+ pid=\d+ "
    r"(DEBUG|INFO|WARNING|ERROR) .*"
)


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
    wrong = {
        str(path): (found[path], expected[path])
        for path in expected
        if found[path] != expected[path]
    }
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
    shutil.rmtree("/run/ganeti")  # As after a reboot.
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


@check
def the_master_makes_an_instance_without_roots_rights() -> None:
    shutil.copytree(EXAMPLES / "os", "/srv/ganeti/os")
    code, job = ask(
        "POST",
        "/2/instances",
        {
            "__version__": 1,
            "mode": "create",
            "name": "web.example.com",
            "os_type": "noop",
            "disk_template": "file",
            "disks": [{"size": "1G"}],
            "nics": [{}],
        },
    )
    assert code == 200, job
    until(lambda: get(connection(), f"/2/jobs/{job}")["end_ts"], "the job's end")
    view = get(connection(), f"/2/jobs/{job}")
    assert view["status"] == "success", view["opresult"]
    assert get(connection(), "/2/instances/web.example.com")["status"] == "running"
    (disk,) = Path("/srv/ganeti/file-storage/web.example.com").iterdir()
    assert owned(disk)[0] == "gnt-masterd" and int(owned(disk)[2], 8) & 0o7 == 0, owned(disk)


@check
def strangers_reach_neither_socket_nor_key_nor_users() -> None:
    for path in (
        RUN / "socket/ganeti-query",
        LIB / "rapi.pem",
        LIB / "rapi/users",
        LIB / "master.db",
        LOG / "rapi-daemon.log",
    ):
        done = subprocess.run(
            ["test", "-r", str(path)], user="nobody", group="nogroup", extra_groups=[]
        )
        assert path.exists() and done.returncode != 0, path


@check
def sighup_changes_the_certificate_and_keeps_connections() -> None:
    kept, old = connection(), shown_certificate()
    get(kept, "/version")
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-new",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-subj",
            "/CN=new",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            "/mnt/key",
            "-out",
            "/mnt/cert",
        ],
        check=True,
        capture_output=True,
    )
    saved = (LIB / "rapi.pem").read_bytes()
    (LIB / "rapi.pem").write_bytes(Path("/mnt/key").read_bytes() + Path("/mnt/cert").read_bytes())
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
    for program, name in (
        ("ganeti-rapi", "rapi-daemon.log"),
        ("ganeti-masterd", "master-daemon.log"),
    ):
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
    word = "Basic YWRtaW46c2l4IHdvcmRz"  # admin:six words
    client.sock.sendall(
        b"PUT /2/tags HTTP/1.1\r\nHost: x\r\nAuthorization: "
        + word.encode()
        + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
        + body[:3]
    )
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
