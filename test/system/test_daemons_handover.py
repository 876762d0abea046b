"""The front as a process: successors, service managers, a second front."""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import sys
from pathlib import Path

import pytest

from ganeti.utils import procfs
from support.daemon import HOST, TIMEOUT, DaemonCluster, free_port


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with DaemonCluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made.start()


def pid_of(cluster):
    """Return the process id in the front's pid file."""
    return int(Path(cluster.paths.pid_file("ganeti-rapi")).read_text())


def version(connection):
    """Request /version; return whether the connection ends after that."""
    connection.request("GET", "/version")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"2\n")
    return response.getheader("Connection") == "close"


def test_a_successor_takes_over_and_no_client_notices(cluster):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", cluster.port)) as kept:
        assert not version(kept)
        first = pid_of(cluster)
        for _ in range(2):  # a successor can have a successor, too
            before = pid_of(cluster)
            os.kill(before, signal.SIGUSR2)
            cluster.until(lambda: pid_of(cluster) != before)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", cluster.port)) as new:
            assert not version(new)
        assert version(kept)  # the last request that the old process serves
    assert first != before
    # A service manager watches the first process, so it stays as long as the service.
    assert cluster.stop("rapi") == 0
    assert not Path(cluster.paths.pid_file("ganeti-rapi")).exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", cluster.port), 5)
    cluster.start_front()


def hand_over(cluster):
    """Hand the front over to a successor; return the pids before and after."""
    cluster.get("/version")  # no hand-over is possible before it serves
    before = pid_of(cluster)
    os.kill(before, signal.SIGUSR2)
    cluster.until(lambda: pid_of(cluster) != before)
    return before, pid_of(cluster)


def test_a_process_that_stays_passes_on_signals(cluster):
    stays, second = hand_over(cluster)
    front_said(
        cluster, f"it is the one that was started, and passes on signals to process {second}"
    )
    os.kill(stays, signal.SIGUSR2)
    cluster.until(lambda: pid_of(cluster) != second)
    third = pid_of(cluster)
    cluster.until(lambda: not Path(f"/proc/{second}").exists())
    assert cluster.get("/2/info").status == 200 and third != stays
    os.kill(stays, signal.SIGUSR1)  # means nothing to the one that stays, either
    front_said(cluster, f"pid={stays} WARNING Ignoring SIGUSR1, which has no meaning")
    os.kill(stays, signal.SIGHUP)
    assert cluster.get("/2/info").status == 200
    assert cluster.stop("rapi") == 0
    assert procfs.name_of(third) is None
    cluster.start_front()


def test_a_process_that_stays_fails_with_a_successor_that_crashed(cluster):
    stays, second = hand_over(cluster)
    child = cluster.processes.pop("rapi")
    assert child.pid == stays
    os.kill(second, signal.SIGKILL)
    assert child.wait(TIMEOUT) == 1
    cluster.start_front()  # leftovers do not prevent a start


def test_a_signal_that_comes_too_late_is_meant_for_the_successor(cluster):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", cluster.port)) as kept:
        assert not version(kept)  # the connection keeps the old process alive
        before, after = hand_over(cluster)
        front_said(cluster, f"Process {after} has taken over")
        os.kill(before, signal.SIGTERM)
        cluster.until(lambda: not Path(cluster.paths.pid_file("ganeti-rapi")).exists())
    assert cluster.processes.pop("rapi").wait(TIMEOUT) == 0
    cluster.start_front()


def test_a_service_manager_is_told_of_the_new_main_process(tmp_path):
    with (
        DaemonCluster(tmp_path, nodes=(HOST,)) as made,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(TIMEOUT)
        made.start_master()
        made.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        made.start_front()
        assert manager.recv(100) == b"READY=1"
        _, after = hand_over(made)
        assert manager.recv(100) == f"MAINPID={after}".encode()
        message, ancillary, _, _ = manager.recvmsg(100, socket.CMSG_SPACE(4))
        assert message == b"BARRIER=1"
        os.close(int.from_bytes(ancillary[0][2], sys.byteorder))
        assert made.processes.pop("rapi").wait(TIMEOUT) == 0, "the old one may go"
        assert made.get("/version").json == 2
        os.kill(after, signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        made.until(lambda: not Path(made.paths.pid_file("ganeti-rapi")).exists())


def test_a_second_front_is_refused_and_serves_with_files_of_its_own(cluster, tmp_path):
    first, port = pid_of(cluster), str(free_port())
    for words in ([], ["--log-file", f"{tmp_path}/log"]):
        done = cluster.run("rapi", "--no-ssl", "-b", "127.0.0.1", "-p", port, *words)
        assert done.returncode == 1 and f"already running with pid {first} " in done.stdout
    done = cluster.run(
        "rapi", "--no-ssl", "-b", "127.0.0.1", "-p", port, "--pid-file", f"{tmp_path}/pid"
    )
    assert done.returncode == 1 and f"runs already with pid {first} " in done.stdout
    done = cluster.run(
        "rapi",
        "--no-ssl",
        "-b",
        "127.0.0.1",
        "-p",
        port,
        "--pid-file",
        f"{tmp_path}/pid",
        "--log-file",
        f"{tmp_path}/log",
    )
    assert done.returncode == 0 and "warning: " in done.stdout, done.stdout
    second = int((tmp_path / "pid").read_text())
    for asked in (int(port), cluster.port):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", asked)) as client:
            version(client)
    assert pid_of(cluster) == first and f"pid={second} " in (tmp_path / "log").read_text()
    os.kill(second, signal.SIGTERM)
    cluster.until(lambda: not (tmp_path / "pid").exists())
    assert pid_of(cluster) == first


def test_a_port_that_is_taken_is_refused_with_who_has_it(cluster, tmp_path):
    done = cluster.run(
        "rapi",
        "--no-ssl",
        "-b",
        "127.0.0.1",
        "-p",
        str(cluster.port),
        "--pid-file",
        f"{tmp_path}/pid",
        "--log-file",
        f"{tmp_path}/log",
    )
    assert done.returncode == 1 and f"(pid {pid_of(cluster)}) already does" in done.stdout
    assert not (tmp_path / "pid").exists() and pid_of(cluster)


@pytest.fixture
def changing(tmp_path):
    """Yield a cluster whose front uses another certificate file, and the path of that file."""
    with DaemonCluster(tmp_path, nodes=(HOST,), tls=True) as made:
        own = tmp_path / "own.pem"
        own.write_bytes(Path(made.paths.rapi_cert).read_bytes())
        made.start(f"--ssl-cert={own}")
        made.get("/version")  # it takes no signals before it serves
        yield made, own


def front_said(cluster, words):
    """Wait for a line with these words in the front's log, and return it."""
    log = Path(cluster.paths.rapi_log)
    cluster.until(lambda: words in log.read_text())
    return next(line for line in log.read_text().splitlines() if words in line)


def test_a_successor_that_cannot_start_changes_nothing(changing):
    cluster, own = changing
    context = ssl.create_default_context(cafile=cluster.paths.rapi_cert)
    with contextlib.closing(
        http.client.HTTPSConnection("localhost", cluster.port, context=context)
    ) as kept:
        assert not version(kept)
        first, good = pid_of(cluster), own.read_bytes()
        own.write_bytes(b"no certificate")
        os.kill(first, signal.SIGUSR2)
        assert str(own) in front_said(cluster, "Going on, as the successor did not start: ")
        assert not version(kept) and pid_of(cluster) == first
    assert cluster.get("/2/info").status == 200
    own.write_bytes(good)  # the next successor can start
    os.kill(first, signal.SIGUSR2)
    cluster.until(lambda: pid_of(cluster) != first)
    os.kill(pid_of(cluster), signal.SIGTERM)
    cluster.until(lambda: not Path(cluster.paths.pid_file("ganeti-rapi")).exists())


def test_a_front_that_is_stopped_ends_its_unready_successor(changing):
    cluster, own = changing
    own.unlink()
    os.mkfifo(own)  # reading it blocks forever
    os.kill(pid_of(cluster), signal.SIGUSR2)
    successor = int(front_said(cluster, " will take over").split()[-4])
    assert cluster.stop("rapi") == 0
    assert procfs.name_of(successor) is None
    assert not Path(cluster.paths.pid_file("ganeti-rapi")).exists()
