"""Finding the master, and redirecting clients to it."""

import http.client
import os
from pathlib import Path
from unittest import mock

import pytest

from ganeti import constants
from ganeti.daemon import DaemonError
from ganeti.http.errors import ServiceUnavailable, TemporaryRedirect
from ganeti.http.message import Request
from ganeti.other_ganeti import Sign
from ganeti.pathutils import Paths
from ganeti.server import master_redirect
from ganeti.server.master_redirect import CACHE_SECONDS, MasterRedirect
from support.daemon import DaemonCluster

HERE = "node1.example.com"


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("GANETI_HOSTNAME", HERE)
    found = Paths.from_environment({"GANETI_ROOTDIR": str(tmp_path)})
    os.makedirs(found.lib_dir)
    return found


def write_master(paths, name):
    """Replace the file, as Ganeti does; the present one is read-only."""
    path = Path(paths.ssconf("master_node"))
    path.unlink(missing_ok=True)
    path.write_text(f"{name}\n")


def exit_code(paths, **options):
    with pytest.raises(DaemonError) as caught:
        master_redirect.check_master(paths, **options)
    return caught.value.exit_code


def test_the_master_passes_the_check(paths):
    write_master(paths, HERE)
    master_redirect.check_master(paths)


def test_another_node_is_not_the_master(paths):
    write_master(paths, "node2.example.com")
    assert exit_code(paths) == constants.EXIT_NOTMASTER
    assert exit_code(paths, socket_given=True) == constants.EXIT_NOTMASTER


def test_a_machine_without_a_cluster_is_refused_unless_a_socket_is_given(paths):
    assert exit_code(paths) == constants.EXIT_NODESETUP_ERROR
    master_redirect.check_master(paths, socket_given=True)


def message(paths):
    with pytest.raises(DaemonError) as caught:
        master_redirect.check_master(paths)
    return str(caught.value)


def test_a_master_under_another_name_is_told_both(paths):
    Path(paths.master_db).touch()
    write_master(paths, "old.example.com")
    assert exit_code(paths) == constants.EXIT_FAILURE
    for words in (HERE, "old.example.com", "GANETI_HOSTNAME=old.example.com"):
        assert words in message(paths)


def test_a_node_of_a_real_ganeti_is_just_not_the_master(paths):
    for path in (paths.master_db, f"{paths.lib_dir}/config.data"):
        Path(path).touch()
    write_master(paths, "node2.example.com")
    assert exit_code(paths) == constants.EXIT_NOTMASTER
    assert "node2.example.com" in message(paths) and HERE in message(paths)


def test_beside_a_real_ganeti_nothing_proposes_init(paths):
    Path(paths.lib_dir, "config.data").touch()
    assert "init" not in message(paths) and "redist-conf" in message(paths)
    assert exit_code(paths) == constants.EXIT_NODESETUP_ERROR


def test_a_ganeti_elsewhere_is_pointed_at(paths, monkeypatch):
    sign = Sign(Paths("", "/elsewhere"), "/elsewhere/lib/ganeti/config.data exists")
    monkeypatch.setattr(master_redirect.other_ganeti, "find", lambda _: sign)
    assert exit_code(paths) == constants.EXIT_FAILURE
    assert "--localstatedir=/elsewhere" in message(paths) and "init" not in message(paths)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.mkdir(),
        lambda path: path.write_text("\n"),
        lambda path: path.symlink_to(path),
    ],
)
def test_a_file_that_names_nobody_is_told(paths, spoil):
    spoil(Path(paths.ssconf("master_node")))
    assert "cannot tell which node is the master" in message(paths)
    assert "[Errno" not in message(paths)


def test_the_names_of_this_machine_are_given_or_resolved(monkeypatch):
    monkeypatch.setenv("GANETI_HOSTNAME", HERE)
    assert master_redirect.own_names() == {HERE}
    monkeypatch.delenv("GANETI_HOSTNAME")
    with (
        mock.patch("socket.gethostname", return_value="n"),
        mock.patch("socket.getfqdn", return_value="n.example.com"),
    ):
        assert master_redirect.own_names() == {"n", "n.example.com"}


class FrontNode:
    """One with ``--redirect``, and its clock."""

    def __init__(self, paths):
        self.paths, self.now = paths, 0.0
        self.post = MasterRedirect(
            paths.ssconf("master_node"), "https://{}:5080", names={HERE}, clock=lambda: self.now
        )

    def ask(self, target="/2/info"):
        """Return where a client is redirected to; None if it is served here."""
        try:
            self.post.check(Request("PUT", target))
        except TemporaryRedirect as err:
            return dict(err.headers)["Location"]
        return None

    def becomes_master(self, name):
        write_master(self.paths, name)
        self.now += CACHE_SECONDS


@pytest.fixture
def node(paths):
    return FrontNode(paths)


def test_clients_are_sent_to_the_master(node):
    node.becomes_master("node2.example.com")
    for target in ("/2/instances/a%2Fb/tags?tag=x%20y&tag=z", "/", "/?"):
        assert node.ask(target) == f"https://node2.example.com:5080{target}"


@pytest.mark.parametrize(
    ("target", "rest"),
    [
        ("http://node1:5080/2/info?x=1", "/2/info?x=1"),
        ("HTTPS://node1", "/"),
        ("https://node1?x", "/?x"),
    ],
)
def test_absolute_targets_lose_their_authority(node, target, rest):
    node.becomes_master("node2.example.com")
    assert node.ask(target) == f"https://node2.example.com:5080{rest}"


def test_a_failover_is_noticed(node, caplog):
    caplog.set_level("INFO")
    for name, expected in ((HERE, None), ("node2", "https://node2:5080/2/info"), (HERE, None)):
        node.becomes_master(name)
        assert node.ask() == node.ask() == expected
    assert [record.message for record in caplog.records] == [
        "This node is the master",
        "The master is node2; clients are sent there",
        "This node is the master",
    ]


def test_the_file_is_read_once_a_second(node):
    node.becomes_master("node2")
    assert node.ask() is not None
    write_master(node.paths, HERE)
    assert node.ask() is not None
    node.now += CACHE_SECONDS
    assert node.ask() is None


@pytest.mark.parametrize("text", [None, "", "a b", "x\r\nSet-Cookie: y", "node2/evil", "-x"])
def test_without_a_master_clients_are_told_to_retry(node, text):
    if text is not None:
        write_master(node.paths, text)
    with pytest.raises(ServiceUnavailable) as caught:
        node.ask()
    assert ("Retry-After", "10") in caught.value.headers


def test_a_node_that_becomes_the_master_serves_clients(tmp_path):
    with DaemonCluster(tmp_path) as cluster:
        write_master(cluster.paths, "node2.example.com")
        cluster.start_front("--redirect")
        connection = http.client.HTTPConnection("127.0.0.1", cluster.port, timeout=60)

        def ask():
            connection.request("GET", "/version?x=y")
            response = connection.getresponse()
            return response.status, response.headers["Location"], len(response.read()) > 0

        away = (307, f"http://node2.example.com:{cluster.port}/version?x=y", True)
        assert ask() == away
        write_master(cluster.paths, HERE)
        cluster.until(lambda: ask() == (200, None, True))
        os.unlink(cluster.paths.ssconf("master_node"))
        cluster.until(lambda: ask() == (503, None, True))
        connection.close()
