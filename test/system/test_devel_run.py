"""devel/run from a copy of the checkout, whose path is long and has a space."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from support import TOP
from support.daemon import DaemonCluster

TIMEOUT = 60

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="no openssl here, which makes the certificate"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Copy what devel/run needs to a folder whose path is longer than a socket's may be."""
    folder = tmp_path_factory.mktemp("checkout") / ("a space and " + 10 * "a long path ") / "x"
    for part in ("lib", "devel", "doc/examples/os"):
        shutil.copytree(TOP / part, folder / part)
    for path, _, _ in os.walk(folder):  # a packager's sources can be read-only
        os.chmod(path, 0o755)
    assert len(str(folder)) > 120
    return folder


def start(checkout, *arguments):
    """Start devel/run in a process group of its own, as a shell does."""
    return subprocess.Popen(
        [sys.executable, str(checkout / "devel/run"), *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )


def fails(checkout, *arguments):
    """Return the standard error of a run that must fail."""
    done = start(checkout, *arguments)
    errors = done.communicate(timeout=TIMEOUT)[1]
    assert done.returncode in (1, 2), errors
    return errors


@contextlib.contextmanager
def running(checkout, *arguments):
    """Run a cluster; yield the process and the facts of its ready line."""
    process = start(checkout, *([] if "--port" in arguments else ["--port", "0"]), *arguments)
    try:
        line = process.stdout.readline()
        assert line.startswith("ready "), line + process.communicate(timeout=TIMEOUT)[1]
        yield process, dict(word.split("=", 1) for word in shlex.split(line)[1:])
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT)


def get(facts, path, password=None):
    """Return the JSON value of a GET over verified TLS."""
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if password is not None:
        manager.add_password(None, facts["RAPI_URL"], facts["RAPI_USER"], password)
    context = ssl.create_default_context(cafile=facts["CACERT"])
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPBasicAuthHandler(manager),
    )
    with opener.open(facts["RAPI_URL"] + path, timeout=TIMEOUT) as answer:
        return json.load(answer)


def daemon_pid(facts, name):
    return int(Path(facts["GANETI_ROOTDIR"], f"var/run/ganeti/{name}.pid").read_text())


def test_it_creates_a_cluster_and_later_goes_on_with_it(checkout):
    arguments = [
        "--name",
        "c.example.com",
        "--node",
        "m.example.com",
        "--node",
        "n.example.com:64G:2T:16",
        "--instances",
        "6",
    ]
    with running(checkout, *arguments) as (process, first):
        assert get(first, "/2/info")["name"] == "c.example.com"
        assert get(first, "/2/nodes/n.example.com")["mtotal"] == 64 * 1024
        states = {entry["status"] for entry in get(first, "/2/instances?bulk=1")}
        assert states == {"running", "ADMIN_down", "ERROR_down"}
        assert "another devel/run" in fails(checkout)
        process.terminate()
        assert process.wait(TIMEOUT) == 0
    with running(checkout, "--", "--require-authentication") as (_, second):
        assert second["RAPI_PASSWORD"] == first["RAPI_PASSWORD"]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(second, "/2/instances")
        assert len(get(second, "/2/instances", second["RAPI_PASSWORD"])) == 6
    assert "c.example.com already" in fails(checkout, "--name", "other.example.com")


@pytest.mark.parametrize(
    "name, other", [("ganeti-masterd", "ganeti-rapi"), ("ganeti-rapi", "ganeti-masterd")]
)
def test_when_one_daemon_ends_so_does_the_other(checkout, tmp_path, name, other):
    with running(checkout, "--state", str(tmp_path)) as (process, facts):
        pid = daemon_pid(facts, other)
        os.kill(daemon_pid(facts, name), signal.SIGKILL)
        assert f"{name} ended (status -9)" in process.communicate(timeout=TIMEOUT)[1]
        assert process.returncode == 1
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("kill", [os.kill, os.killpg])
def test_the_next_one_starts_after_one_that_was_killed(checkout, tmp_path, kill):
    with running(checkout, "--state", str(tmp_path)) as (process, facts):
        pids = [daemon_pid(facts, name) for name in ("ganeti-masterd", "ganeti-rapi")]
        kill(process.pid, signal.SIGKILL)
        assert process.wait(TIMEOUT) == -signal.SIGKILL
    port = facts["RAPI_URL"].rpartition(":")[2]
    with running(checkout, "--state", str(tmp_path), "--port", port) as (_, again):
        assert again == facts
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        assert get(again, "/version") == 2


def test_a_daemon_does_not_outlive_what_holds_it(checkout, tmp_path):
    with running(checkout, "--state", str(tmp_path)) as (process, facts):
        pid = daemon_pid(facts, "ganeti-masterd")
        status = Path(f"/proc/{pid}/status").read_text()
        os.kill(int(status.partition("PPid:")[2].split()[0]), signal.SIGKILL)
        assert "ganeti-masterd ended" in process.communicate(timeout=TIMEOUT)[1]
        DaemonCluster.until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_stop_ends_it_without_an_error(checkout, tmp_path, number):
    with running(checkout, "--state", str(tmp_path), "--no-ssl") as (process, facts):
        assert facts["RAPI_URL"].startswith("http://") and facts["CACERT"] == ""
        process.send_signal(number)
        assert process.communicate(timeout=TIMEOUT)[1] == "" and process.returncode == 0


def test_a_password_of_ones_own_leaves_other_users_alone(checkout, tmp_path):
    with running(checkout, "--state", str(tmp_path)) as (_, facts):
        users = Path(facts["GANETI_ROOTDIR"], "var/lib/ganeti/rapi/users")
    users.write_text("reader words read\n" + users.read_text())
    with running(checkout, "--state", str(tmp_path), "--password", "w'$x") as (_, facts):
        assert facts["RAPI_PASSWORD"] == "w'$x"
    assert users.read_text().splitlines()[::2] == ["reader words read", "admin w'$x write"]
    assert "one word" in fails(checkout, "--password", "two words")


def test_what_goes_wrong_is_said_in_a_line(checkout, tmp_path):
    state = ["--state", str(tmp_path / "s")]
    assert "cannot be the name of a node" in fails(checkout, *state, "--node", "!")
    assert not (tmp_path / "s/!").exists()
    assert "--bogus" in fails(checkout, *state, "--", "--bogus")
    (tmp_path / "s/devel-run.json").unlink()
    assert "node1.example.com exists, but" in fails(checkout, *state)
    assert (tmp_path / "s/node1.example.com/var/lib/ganeti/master.db").exists()
