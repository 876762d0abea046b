"""Both daemons as processes: the life of an instance over HTTP, and crashes by SIGKILL."""

import json
import os
import socket
import ssl
import threading
import warnings
from pathlib import Path

import pytest

from ganeti import luxi
from support.daemon import HOST, TIMEOUT, DaemonCluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with DaemonCluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made.start()


def test_an_instance_lives_from_creation_to_removal(cluster):
    cluster.create("life.example.com")
    instance = cluster.get("/2/instances/life").json
    assert (instance["name"], instance["status"]) == ("life.example.com", "running")
    assert os.path.exists(cluster.paths.fake_guest("life.example.com"))

    cluster.do("PUT", "/2/instances/life.example.com/tags?tag=a&tag=b")
    assert sorted(cluster.get("/2/instances/life.example.com/tags").json) == ["a", "b"]
    cluster.do("DELETE", "/2/instances/life.example.com/tags?tag=a")
    cluster.do("PUT", "/2/instances/life.example.com/shutdown")
    assert cluster.get("/2/instances/life.example.com").json["status"] == "ADMIN_down"
    cluster.do("PUT", "/2/instances/life.example.com/startup")
    cluster.do("POST", "/2/instances/life.example.com/reboot?type=full")
    cluster.do("POST", "/2/instances/life.example.com/reinstall?os=noop")
    assert cluster.get("/2/instances/life.example.com").json["status"] == "running"

    os.unlink(cluster.paths.fake_guest("life.example.com"))
    assert cluster.get("/2/instances/life.example.com").json["status"] == "ERROR_down"
    cluster.do("DELETE", "/2/instances/life.example.com")
    assert cluster.get("/2/instances/life.example.com").status == 404


def test_changes_sent_right_after_a_creation_wait_for_it(cluster):
    body = {
        "__version__": 1,
        "mode": "create",
        "name": "quick.example.com",
        "os_type": "noop",
        "disk_template": "diskless",
        "disks": [],
        "nics": [{}],
        "ignore_ipolicy": True,
    }
    first = cluster.submit("POST", "/2/instances", body)
    second = cluster.submit("PUT", "/2/instances/quick.example.com/tags?tag=now")
    third = cluster.submit("PUT", "/2/instances/quick.example.com/shutdown")
    for job_id in (first, second, third):
        assert cluster.wait(job_id)["status"] == "success"
    instance = cluster.get("/2/instances/quick.example.com").json
    assert instance["tags"] == ["now"] and instance["status"] == "ADMIN_down"


def test_parallel_creations_have_different_addresses(cluster):
    body = {
        "__version__": 1,
        "mode": "create",
        "os_type": "noop",
        "disk_template": "diskless",
        "disks": [],
        "nics": [{}],
        "ignore_ipolicy": True,
    }
    ids = [
        cluster.submit("POST", "/2/instances", {**body, "name": f"many{number}.example.com"})
        for number in range(20)
    ]
    assert {cluster.wait(job_id)["status"] for job_id in ids} == {"success"}
    found = [
        one for one in cluster.get("/2/instances?bulk=1").json if one["name"].startswith("many")
    ]
    assert len({mac for one in found for mac in one["nic.macs"]}) == 20
    ports = [one["network_port"] for one in found if one["network_port"]]
    assert len(set(ports)) == len(ports)


def test_errors_are_told_in_ganetis_words(cluster):
    cluster.create("taken.example.com")
    body = {
        "__version__": 1,
        "mode": "create",
        "name": "taken.example.com",
        "os_type": "noop",
        "disk_template": "diskless",
        "disks": [],
        "nics": [],
    }
    job = cluster.wait(cluster.submit("POST", "/2/instances", body))
    assert job["status"] == "error"
    assert job["opresult"][0][0] == "OpPrereqError"
    assert job["opresult"][0][1][1] == "already_exists"
    assert cluster.get("/2/nodes/nosuch").json == {
        "code": 404,
        "message": "Not Found",
        "explain": "Nothing matches the given URI",
        "detail": cluster.get("/2/nodes/nosuch").json["detail"],
    }


@pytest.mark.parametrize(
    "user, password, status",
    [
        (None, "", 401),
        ("admin", "wrong", 401),
        ("reader", "secret", 403),
        ("nobody", "secret", 403),
        ("stranger", "secret", 401),
        ("admin", "secret", 200),
    ],
)
def test_a_write_is_answered_by_who_asks(cluster, user, password, status):
    answer = cluster.request("PUT", "/2/tags?tag=x", user=user, password=password)
    assert answer.status == status
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="Ganeti Remote API"'


def test_a_job_is_canceled_over_http(cluster):
    with_delay = {"OP_ID": "OP_TEST_DELAY", "duration": 3600.0, "reason": [], "interruptible": True}
    job_id = cluster.master(luxi.SubmitJob([with_delay]))
    waiting = cluster.master(luxi.SubmitJob([{**with_delay, "depends": [[job_id, []]]}]))
    assert cluster.request("DELETE", f"/2/jobs/{waiting}").json[0] is True
    assert cluster.get(f"/2/jobs/{waiting}").json["status"] == "canceled"
    assert cluster.request("DELETE", f"/2/jobs/{job_id}").json[0] is True
    assert cluster.wait(job_id)["status"] == "canceled"
    assert cluster.request("DELETE", "/2/jobs/999999").json[0] is False


def test_bad_requests_change_nothing(cluster):
    before = len(cluster.get("/2/jobs").json)
    for path, body in (
        ("/2/instances", b"{"),
        ("/2/instances", [1]),
        ("/2/instances", {}),
        ("/2/instances", {"__version__": 7}),
    ):
        answer = cluster.request("POST", path, body)
        assert answer.status == 400 and answer.json["code"] == 400, answer.text
    assert cluster.request("PATCH", "/2/info").status == 501
    assert cluster.get("/2/instances?bulk=maybe").status == 400
    assert len(cluster.get("/2/jobs").json) == before


def test_a_second_start_fails_on_the_lock(cluster):
    for module, options in (("masterd", ["-f"]), ("rapi", ["-f", "--no-ssl", "-p", "1"])):
        done = cluster.run(module, *options)
        assert done.returncode == 1 and "already running" in done.stdout


def test_ssconf_names_the_master_node(cluster):
    with open(cluster.paths.ssconf("master_node"), encoding="ascii") as file:
        assert file.read() == f"{HOST}\n"


def test_an_unknown_luxi_method_is_answered_with_an_error(cluster):
    connection = luxi.connect(cluster.paths.query_socket, TIMEOUT)
    connection.sendall(b'{"method": "NoSuch", "args": []}\x03')
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    assert b"NoSuch" in answer and answer.endswith(luxi.EOM)
    connection.close()


def test_a_detached_front_returns_when_it_listens(tmp_path):
    with DaemonCluster(tmp_path, nodes=(HOST,)) as made:
        made.start_master()
        done = made.run("rapi", "-b", "127.0.0.1", "-p", str(made.port), "--no-ssl")
        assert done.returncode == 0, done.stdout
        try:
            assert made.get("/version").json == 2
        finally:
            with open(made.paths.pid_file("ganeti-rapi"), encoding="ascii") as file:
                pid = int(file.read())
            os.kill(pid, 15)
            with_end = threading.Event()
            for _ in range(int(TIMEOUT / 0.02)):
                if not os.path.exists(made.paths.pid_file("ganeti-rapi")):
                    break
                with_end.wait(0.02)
        assert not os.path.exists(made.paths.pid_file("ganeti-rapi"))


def test_a_request_is_known_everywhere_by_the_id_that_its_client_gave(tmp_path):
    with DaemonCluster(tmp_path, nodes=(HOST,)) as made:
        made.start("--log-format=json")
        answer = made.request("PUT", "/2/tags?tag=x", headers=[("X-Request-Id", "mine:7.a-B")])
        assert answer.headers["X-Request-Id"] == "mine:7.a-B"
        reason = made.wait(answer.json)["ops"][0]["reason"][0][1]
        assert reason == "user=admin;request=mine:7.a-B"
        assert "request mine:7.a-B" in Path(made.paths.master_log).read_text()
        assert made.stop("rapi") == 0  # all lines are written once it has stopped
    records = map(json.loads, Path(made.paths.rapi_log).read_text().splitlines())
    found = [one for one in records if one.get("request_id") == "mine:7.a-B"]
    assert [(one["job"], one["user"], one["method"]) for one in found] == [
        (answer.json, "admin", "PUT")
    ]


def test_exit_codes_tell_why_a_daemon_does_not_start(tmp_path):
    made = DaemonCluster(tmp_path, nodes=(HOST,))
    elsewhere = {**made.environment, "GANETI_HOSTNAME": "other.example.com"}
    made.environment, before = elsewhere, made.environment
    for program in (["rapi", "-f", "--no-ssl"], ["masterd", "-f"]):  # the machine was renamed
        done = made.run(*program)
        assert done.returncode == 1 and f"GANETI_HOSTNAME={HOST}" in done.stdout
    os.unlink(made.paths.master_db)
    assert made.run("rapi", "-f", "--no-ssl").returncode == 11
    made.environment = {**before, "GANETI_ROOTDIR": str(tmp_path / "empty")}
    assert made.run("rapi", "-f", "--no-ssl").returncode == 12
    done = made.run("masterd", "-f")
    assert done.returncode == 12 and "ganeti-cluster init" in done.stdout
    made.environment = before
    assert made.run("rapi", "-f", "-K", "/nonexistent").returncode == 1


def test_tls_shows_our_certificate_and_refuses_old_versions(tmp_path):
    with DaemonCluster(tmp_path, nodes=(HOST,), tls=True) as made:
        made.start()
        assert made.get("/2/info").json["name"] == "cluster.example.com"
        context = ssl._create_unverified_context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is deprecated
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with socket.create_connection(("127.0.0.1", made.port), TIMEOUT) as plain:
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                context.wrap_socket(plain)


def test_ten_jobs_killed_in_the_middle_fail_and_leave_nothing(tmp_path):
    """Check by files that OS scripts append to: nothing acknowledged is lost or runs twice."""
    with DaemonCluster(tmp_path, nodes=(HOST,)) as made:
        trace, gate = tmp_path / "trace", tmp_path / "gate"
        made.add_os(
            "slow",
            create=f'echo "$INSTANCE_NAME" >> {trace}\nwhile ! test -e {gate}; do sleep 0.05; done',
        )
        made.start()
        body = {
            "__version__": 1,
            "mode": "create",
            "os_type": "slow",
            "disk_template": "file",
            "disks": [{"size": 1024}],
            "nics": [{}],
        }
        names = [f"slow{number}.example.com" for number in range(10)]
        ids = [made.submit("POST", "/2/instances", {**body, "name": name}) for name in names]
        queued = made.master(
            luxi.SubmitJob(
                [
                    {
                        "OP_ID": "OP_TEST_DELAY",
                        "duration": 0.01,
                        "reason": [],
                        "depends": [[ids[0], []]],
                    }
                ]
            )
        )
        tick = threading.Event()
        for _ in range(int(TIMEOUT / 0.02)):
            if trace.exists() and len(trace.read_text().split()) == 10:
                break
            tick.wait(0.02)
        made.kill("rapi")
        made.kill("masterd")
        gate.touch()
        made.start()
        jobs = [made.wait(job_id) for job_id in ids]
        assert {job["status"] for job in jobs} == {"error"}
        assert "stopped while this job was running" in jobs[0]["opresult"][0][1][0]
        assert made.wait(queued)["status"] == "success"
        assert sorted(trace.read_text().split()) == sorted(names)
        assert made.get("/2/instances").json == []
        storage = made.get("/2/info").json["file_storage_dir"]
        assert not os.path.exists(storage) or os.listdir(storage) == []
        made.do("POST", "/2/instances", {**body, "name": names[0]})
