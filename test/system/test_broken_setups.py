"""Broken set-ups: each program says in one line what is wrong, and exits with the right code.

Every row breaks a cluster (or an empty machine) in one way and runs one program on it.
"""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ganeti.utils import io
from support.cluster import make_cluster, make_paths

HOST = "node1.example.com"
ROOT = os.geteuid() == 0


@pytest.fixture
def cluster(tmp_path):
    """Yield the paths of a cluster below a temporary root; end a daemon that starts anyway."""
    store, config, _ = make_cluster(tmp_path)
    config.ssconf.flush()
    store.close()
    paths = make_paths(tmp_path)
    yield paths
    end_daemon(paths)


@pytest.fixture
def nothing(tmp_path):
    """Return the paths of a machine without a cluster."""
    paths = make_paths(tmp_path)
    os.makedirs(paths.lib_dir)
    yield paths
    end_daemon(paths)


def end_daemon(paths):
    for name in ("ganeti-masterd", "ganeti-rapi"):
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            os.kill(int(Path(paths.pid_file(name)).read_text()), signal.SIGKILL)


def run(paths, module, *arguments, host=HOST, path=None):
    environment = {**os.environ, "GANETI_ROOTDIR": paths.root, "GANETI_HOSTNAME": host}
    if path is not None:
        environment["PATH"] = path
    done = subprocess.run(
        [sys.executable, "-P", "-m", f"ganeti.server.{module}", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=paths.root,
    )
    return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)


def assert_one_line(done, code, *words):
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done
    for word in words:
        assert word in done.err, done.err
    assert "[Errno" not in done.err and "Traceback" not in done.err


def touch(name):
    """Return a function that breaks a cluster by a file in lib/ganeti."""

    def spoil(paths):
        path = Path(paths.lib_dir, name)
        path.parent.mkdir(exist_ok=True)
        path.touch()

    return spoil


def link(name, target="/nonexistent"):
    return lambda paths: os.symlink(target, f"{paths.lib_dir}/{name}")


def remove(name):
    return lambda paths: os.unlink(getattr(paths, name))


def close(name):
    return lambda paths: os.chmod(f"{paths.lib_dir}/{name}", 0)


def in_the_way(name):
    """Return a function that puts a directory where a file should be, or the reverse."""

    def spoil(paths):
        path = Path(getattr(paths, name))
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            path.rename(f"{path}.old")
            path.touch()
        else:
            path.unlink(missing_ok=True)
            path.mkdir()

    return spoil


def damage(paths):
    Path(paths.master_db).write_bytes(b"rubbish" * 1000)


def lose_database(paths):
    os.rename(paths.master_db, paths.master_db + "-wal")


def new_schema(paths):
    with contextlib.closing(sqlite3.connect(paths.master_db)) as connection:
        connection.execute("PRAGMA user_version=99")


def another_master(paths):
    path = Path(paths.ssconf("master_node"))
    path.unlink()
    path.write_text("node2.example.com\n")


def chain(paths):
    """Write two certificates into one file, as an authority issues them."""
    run(paths, "cluster", "renew-certificate")
    path = Path(paths.rapi_cert)
    path.write_bytes(path.read_bytes() * 2)


GANETI = "belongs to a Ganeti cluster"
MASTERD, FRONT = ["masterd"], ["rapi", "-p", "1", "-b", "127.0.0.1", "--no-ssl"]
INIT, RESTORE, BACKUP = (
    ["cluster", "init", "c"],
    ["cluster", "restore", "saved"],
    ["cluster", "backup", "copy"],
)
RENEW, ENSURE = ["cluster", "renew-certificate"], ["cluster", "ensure-dirs"]

#: How a cluster is broken, which command runs then, its exit code, words of its message.
ROWS = [
    (touch("config.data"), MASTERD, 1, [GANETI, "config.data exists"]),
    (touch("queue/serial"), MASTERD, 1, [GANETI, "queue/serial exists"]),
    (link("server.pem"), MASTERD, 1, [GANETI, "server.pem exists"]),
    (touch("hmac.key"), INIT, 1, [GANETI, "hmac.key"]),
    (touch("config.data"), RESTORE, 1, [GANETI]),
    (touch("config.data"), RENEW, 1, ["gnt-cluster renew-crypto"]),
    (lose_database, MASTERD, 1, ["is gone, but not its log", "ganeti-cluster restore FILE"]),
    (lose_database, INIT, 1, ["the log of a cluster"]),
    (damage, MASTERD, 1, ["is damaged", "nothing was changed"]),
    (new_schema, MASTERD, 1, ["schema 99"]),
    (in_the_way("master_db"), MASTERD, 1, ["master.db"]),
    (in_the_way("master_lock"), MASTERD, 1, ["master.lock: Is a directory"]),
    (link("master.lock"), MASTERD, 1, ["master.lock: a symbolic link, which is not followed"]),
    (in_the_way("query_socket"), MASTERD, 1, ["ganeti-query is not a socket; move it away"]),
    (lambda paths: None, INIT, 1, ["there is a cluster already"]),
    (in_the_way("rapi_cert"), RENEW, 1, ["not a regular file"]),
    (link("rapi.pem.new"), ["cluster", "restore", "nofile"], 1, ["there is no file nofile"]),
    (chain, RENEW, 1, ["issued by an authority", "--force"]),
    (remove("master_db"), RENEW, 1, ["there is no cluster on this machine"]),
    (remove("master_db"), BACKUP, 1, ["there is no cluster on this machine"]),
    (damage, BACKUP, 1, ["master.db"]),
    (lambda paths: None, ["cluster", "backup", "no/folder/copy"], 1, ["No such file or dir"]),
    (lambda paths: None, ["cluster", "restore", "var"], 1, ["there is no file var"]),
    (touch("saved"), ["cluster", "restore", "var/lib/ganeti/saved"], 1, ["saved"]),
    (remove("master_db"), MASTERD, 12, ["there is no cluster", "ganeti-cluster init NAME"]),
    (another_master, FRONT, 1, ["is called node1.example.com", "GANETI_HOSTNAME=node2"]),
    (
        lambda paths: (another_master(paths), touch("config.data")(paths)),
        FRONT,
        11,
        ["node2.example.com is", "node1.example.com"],
    ),
    (lambda paths: os.unlink(paths.ssconf("master_node")), FRONT, 12, ["init NAME"]),
]


@pytest.mark.parametrize("spoil, command, code, words", ROWS)
def test_a_broken_cluster_is_told_in_one_line(cluster, spoil, command, code, words):
    spoil(cluster)
    assert_one_line(run(cluster, *command), code, *words)


@pytest.mark.skipif(ROOT, reason="root may open everything")
@pytest.mark.parametrize(
    "spoil, command, words",
    [
        (lambda paths: os.chmod(paths.socket_dir, 0), MASTERD, ["ganeti-query: Permission denied"]),
        (close("master.db"), MASTERD, ["master.db: Permission denied for"]),
        (close(""), INIT, ["Permission denied"]),
        (close("master.db"), BACKUP, ["master.db: Permission denied"]),
        (close("ssconf_master_node"), FRONT, ["cannot tell which node is the master"]),
        (lambda paths: None, ENSURE, ["run it as root"]),
    ],
)
def test_a_missing_permission_is_told_in_one_line(cluster, spoil, command, words):
    spoil(cluster)
    done = run(cluster, *command)
    for path in (cluster.lib_dir, cluster.socket_dir):
        os.chmod(path, 0o755)
    assert_one_line(done, 1, *words)


@pytest.mark.parametrize(
    "spoil, command, code, words",
    [
        (touch("known_hosts"), FRONT, 12, ["gnt-cluster redist-conf"]),
        (touch("ssconf_node_list"), INIT, 1, [GANETI, "ssconf_node_list"]),
        (lambda paths: os.mkdir(paths.ssconf("master_node")), FRONT, 1, ["Is a directory"]),
        (touch("ssconf_master_node"), FRONT, 1, ["is empty"]),
        (in_the_way("lib_dir"), INIT, 1, ["lib/ganeti/rapi: Not a directory"]),
        (touch("rapi"), INIT, 1, ["rapi: not a directory"]),
        (
            lambda paths: None,
            [*INIT, "--file-storage-dir", "/etc"],
            1,
            ["cannot be used for file storage"],
        ),
        (lambda paths: None, FRONT, 12, ["there is no cluster on this machine"]),
        (lambda paths: None, RENEW, 1, ["there is no cluster on this machine"]),
    ],
)
def test_a_machine_without_a_cluster_is_told_in_one_line(nothing, spoil, command, code, words):
    spoil(nothing)
    done = run(nothing, *command)
    assert_one_line(done, code, *words)
    assert not os.path.exists(nothing.master_db)


@pytest.mark.parametrize("command", [INIT, RENEW])
def test_without_openssl_one_line_says_so(cluster, command):
    if command is INIT:
        for path in (cluster.master_db, cluster.rapi_cert):
            os.unlink(path)
    assert_one_line(run(cluster, *command, path="/nonexistent"), 1, "openssl is missing")


def test_a_socket_that_somebody_serves_is_told_in_one_line(cluster):
    with socket.socket(socket.AF_UNIX) as sock, io.short_socket_path(cluster.query_socket) as path:
        sock.bind(path)
        sock.listen(5)
        assert_one_line(run(cluster, *MASTERD), 1, GANETI, f"(pid {os.getpid()}) serves")
        assert os.path.exists(cluster.query_socket)


@pytest.mark.parametrize(
    "command, words",
    [(MASTERD, "another process works on"), (RESTORE, "ganeti-masterd is running; stop it first")],
)
def test_a_database_at_work_is_told_in_one_line(cluster, command, words):
    Path(cluster.root, "saved").touch()
    fd = io.lock_file(cluster.master_lock)
    assert_one_line(run(cluster, *command), 1, words)
    os.close(fd)


def test_a_renamed_machine_is_told_in_one_line(cluster):
    assert_one_line(
        run(cluster, *MASTERD, host="new.example.com"),
        1,
        "is called new.example.com",
        f"GANETI_HOSTNAME={HOST}",
    )
