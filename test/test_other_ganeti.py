"""Signs of a real Ganeti: each of them counts, and none of our files does."""

import contextlib
import fcntl
import os
import signal
import socket
from pathlib import Path

import pytest

from ganeti import other_ganeti, pathutils
from ganeti.utils import procfs
from support.cluster import make_cluster, make_paths
from support.daemon import DaemonCluster


@pytest.fixture
def paths(tmp_path):
    found = make_paths(tmp_path)
    for path in (found.lib_dir, found.socket_dir, found.ganeti_queue_dir):
        os.makedirs(path)
    return found


def write(path, text=""):
    Path(path).write_text(text)


def evidence(paths):
    """Return the words of the sign that is found; '' without one."""
    sign = other_ganeti.find(paths)
    return "" if sign is None else sign.words


@contextlib.contextmanager
def serving(path):
    """Serve a socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        directory = os.open(os.path.dirname(path), os.O_RDONLY)
        sock.bind(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
        os.close(directory)
        sock.listen(5)
        yield


# -- nothing ------------------------------------------------------------------------------


def test_an_empty_machine_and_an_installed_package_are_no_sign(paths, tmp_path):
    assert evidence(paths) == evidence(make_paths(tmp_path / "missing")) == ""


def test_a_cluster_of_ours_is_no_sign(tmp_path):
    store, config, _ = make_cluster(tmp_path)
    config.ssconf.flush()
    store.close()
    assert evidence(make_paths(tmp_path)) == ""


def test_a_cluster_of_ours_without_its_database_is_no_sign(tmp_path):
    store, config, _ = make_cluster(tmp_path)
    config.ssconf.flush()
    store.close()
    os.unlink(make_paths(tmp_path).master_db)
    assert evidence(make_paths(tmp_path)) == ""


def test_a_creation_of_ours_that_broke_off_is_no_sign(paths):
    for path in (paths.unfinished_db, paths.ssconf("cluster_name"), paths.rapi_cert):
        write(path)
    assert evidence(paths) == ""


def test_our_own_master_at_work_is_no_sign(tmp_path):
    with DaemonCluster(tmp_path) as cluster:
        cluster.start_master()
        assert evidence(cluster.paths) == ""
        os.unlink(cluster.paths.pid_file("ganeti-masterd"))
        assert evidence(cluster.paths) == "", "it is known by the lock file that it holds"


# -- files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [*other_ganeti.FILES, *(f"queue/{name}" for name in other_ganeti.QUEUE_FILES)]
)
def test_a_file_of_ganeti_is_a_sign(paths, name):
    write(f"{paths.lib_dir}/{name}")
    assert evidence(paths) == f"{paths.lib_dir}/{name} exists"


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/nonexistent"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to(path),
        os.mkfifo,
    ],
)
def test_a_name_of_ganeti_is_a_sign_whatever_has_it(paths, make):
    make(Path(paths.lib_dir, "config.data"))
    assert "config.data exists" in evidence(paths)


def test_it_counts_beside_a_cluster_of_ours_too(paths):
    for name in ("master.db", "server.pem"):
        write(f"{paths.lib_dir}/{name}")
    assert "server.pem exists" in evidence(paths)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_what_may_not_be_looked_at_is_a_sign(paths):
    for path in (paths.ganeti_queue_dir, paths.socket_dir):
        os.chmod(path, 0)
    sign = other_ganeti.find(paths)
    assert isinstance(sign.error, PermissionError) and sign.error.filename in sign.words
    assert "cannot be examined: Permission denied" in sign.words
    assert sign.refusal("") == (
        f"cannot tell whether this machine belongs to a Ganeti cluster "
        f"({sign.words}), so nothing was changed: run it as root"
    )
    write(paths.pid_file("ganeti-mond"), "1\n")
    write(paths.ssconf("cluster_name"), "c\n")
    assert "ssconf_cluster_name exists" in evidence(paths), "what is certain comes first"


@pytest.mark.parametrize(
    "files, sign",
    [
        ({"cluster_name": "c\n"}, "ssconf_cluster_name exists"),
        ({"master_node": "n\n", "release_version": "2.0.6\n"}, "ssconf_master_node exists"),
        ({"cluster_name": "c\n", "master_candidates_certs": "x=y\n"}, "certs names nodes"),
        ({"cluster_name": "c\n", "master_candidates_certs": ""}, ""),
    ],
)
def test_ssconf_files_that_ours_did_not_write_are_a_sign(paths, files, sign):
    for key, text in files.items():
        write(paths.ssconf(key), text)
    found = evidence(paths)
    assert sign in found and bool(sign) == bool(found)


# -- processes ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*other_ganeti.SOCKETS])
def test_a_socket_that_somebody_serves_is_a_sign(paths, name):
    with serving(f"{paths.socket_dir}/{name}"):
        assert f"(pid {os.getpid()}) serves {paths.socket_dir}/{name}" in evidence(paths)
    assert evidence(paths) == "", "what a dead process left is none"


def test_a_stranger_on_the_socket_of_our_cluster_is_a_sign(paths):
    write(paths.master_db)
    with serving(paths.query_socket):
        assert "serves" in evidence(paths)


@pytest.mark.parametrize("name", other_ganeti.DAEMONS)
def test_a_daemon_of_ganeti_that_holds_its_lock_is_a_sign(paths, name):
    path = paths.pid_file(name)
    write(path, "1234567\n")
    assert evidence(paths) == "", "it is dead"
    ready, child = os.pipe(), os.fork()
    if child == 0:  # locks are a process's own
        fcntl.lockf(os.open(path, os.O_RDWR), fcntl.LOCK_EX)
        os.write(ready[1], b"x")
        signal.pause()
    os.read(ready[0], 1)
    found = evidence(paths)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert found == f"{name} (pid 1234567) runs"


def test_a_daemon_that_has_its_name_is_a_sign(paths, monkeypatch):
    write(paths.pid_file("ganeti-noded"), "54\n")
    monkeypatch.setattr(procfs, "name_of", {54: "ganeti-noded"}.__getitem__)
    assert evidence(paths) == "ganeti-noded (pid 54) runs"
    monkeypatch.setattr(procfs, "name_of", {54: "bash"}.__getitem__)
    assert evidence(paths) == ""


@pytest.mark.parametrize("name", ["ganeti-rapi", "ganeti-masterd"])
def test_names_that_are_ours_too_are_no_sign(paths, name):
    write(paths.pid_file(name), f"{os.getpid()}\n")
    assert evidence(paths) == ""


# -- places -------------------------------------------------------------------------------


def test_the_usual_places_count_wherever_ours_is_configured(tmp_path, monkeypatch):
    usual = tmp_path / "usual"
    monkeypatch.setattr(other_ganeti, "USUAL_STATE_DIRS", (str(usual),))
    here = pathutils.Paths("", str(tmp_path / "here"))
    assert other_ganeti.find(here) is None
    (usual / "lib/ganeti").mkdir(parents=True)
    write(usual / "lib/ganeti/config.data")
    sign = other_ganeti.find(here)
    assert sign is not None and sign.location.localstatedir == str(usual)


def test_below_a_root_only_that_counts(paths, monkeypatch, tmp_path):
    monkeypatch.setattr(other_ganeti, "USUAL_STATE_DIRS", (str(tmp_path / "usual"),))
    (tmp_path / "usual/lib/ganeti").mkdir(parents=True)
    write(tmp_path / "usual/lib/ganeti/config.data")
    assert evidence(paths) == ""


def test_looking_changes_nothing(paths):
    for name in other_ganeti.DAEMONS:
        write(paths.pid_file(name), "1\n")
    os.chmod(paths.socket_dir, 0o770)
    before = {path: path.lstat() for path in Path(paths.root).rglob("*")}
    evidence(paths)
    after = {path: path.lstat() for path in Path(paths.root).rglob("*")}
    assert {path: (found.st_mtime_ns, found.st_mode) for path, found in before.items()} == {
        path: (found.st_mtime_ns, found.st_mode) for path, found in after.items()
    }


def test_a_refusal_is_one_line(paths):
    assert (
        other_ganeti.Sign(paths, "X exists").refusal("do Y")
        == "this machine belongs to a Ganeti cluster (X exists), so nothing was changed: do Y"
    )
