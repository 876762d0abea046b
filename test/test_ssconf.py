"""The ssconf files: names, formats, and that they follow the configuration."""

import logging
import os
import threading
from pathlib import Path

import pytest

from ganeti import ssconf
from ganeti.objects import copy_of
from support.cluster import CLUSTER, make_cluster, make_instance, save

#: Files of a Ganeti 3.0.2 with the hypervisor fake (its ssconf_hvparams_* aside).
NAMES = """cluster_name cluster_tags enabled_user_shutdown file_storage_dir gluster_storage_dir
hypervisor_list instance_list maintain_node_health master_candidates master_candidates_certs
master_candidates_ips master_ip master_netdev master_netmask master_node networks node_list
node_primary_ips node_secondary_ips node_vm_capable nodegroups offline_nodes online_nodes
primary_ip_family release_version shared_file_storage_dir ssh_ports uid_pool""".split()


@pytest.fixture
def config(tmp_path):
    store, made, _ = make_cluster(tmp_path, ["node1", "node2", "node10"])
    yield made
    made.ssconf.flush()
    store.close()


def read(config, name):
    config.ssconf.flush()
    return Path(config.paths.ssconf(name)).read_text()


def test_every_file_of_ganeti_is_there_and_read_only(config):
    config.ssconf.flush()
    for name in [*NAMES, "hvparams_fake"]:
        assert os.stat(config.paths.ssconf(name)).st_mode & 0o777 == 0o444, name


@pytest.mark.parametrize(
    "name, content",
    [
        ("cluster_name", f"{CLUSTER}\n"),
        ("master_node", "node1\n"),
        ("node_list", "node1\nnode2\nnode10\n"),
        ("offline_nodes", ""),
        ("node_primary_ips", "node1 127.0.0.1\nnode2 192.0.2.2\nnode10 192.0.2.3\n"),
        ("node_vm_capable", "node1=True\nnode2=True\nnode10=True\n"),
        ("ssh_ports", "node1=22\nnode2=22\nnode10=22\n"),
        ("primary_ip_family", "2\n"),
        ("maintain_node_health", "False\n"),
        ("hypervisor_list", "fake\n"),
        ("uid_pool", ""),
        ("hvparams_fake", "migration_mode=live\n"),
        ("instance_list", ""),
    ],
)
def test_formats_are_those_of_ganeti(config, name, content):
    assert read(config, name) == content


def test_a_new_instance_is_listed(config):
    save(config, make_instance(config, "web10", "node1"), make_instance(config, "web9", "node1"))
    assert read(config, "instance_list") == "web9\nweb10\n"


def test_an_offline_node_is_listed(config):
    node = copy_of(config.node("node2"))
    node.offline = True
    save(config, node)
    assert read(config, "offline_nodes") == "node2\n"
    assert read(config, "online_nodes") == "node1\nnode10\n"


def test_tags_and_groups_are_listed(config):
    cluster, group = copy_of(config.cluster), copy_of(config.groups()[0])
    cluster.tags, group.name = ["b", "a"], "main"
    save(config, cluster, group)
    assert read(config, "cluster_tags") == "a\nb\n"
    assert read(config, "nodegroups") == f"{group.uuid} main\n"


def test_files_follow_without_being_asked(config):
    written = threading.Event()
    real = ssconf.io.write_file

    class Seen:
        @staticmethod
        def write_file(path, content, **values):
            real(path, content, **values)
            if path.endswith("instance_list") and content:
                written.set()

    original, ssconf.io = ssconf.io, Seen
    try:
        save(config, make_instance(config, "web", "node1"))
        assert written.wait(30)
    finally:
        ssconf.io = original


def test_a_change_that_no_file_shows_writes_none(config):
    save(config, make_instance(config, "web", "node1"))
    config.ssconf.flush()
    before = os.stat(config.paths.ssconf("instance_list")).st_ino
    changed = copy_of(config.instance("web"))
    changed.admin_state = "up"
    save(config, changed)
    config.ssconf.mark("instance")
    config.ssconf.flush()
    assert os.stat(config.paths.ssconf("instance_list")).st_ino == before


def test_the_writer_survives_an_unexpected_error(config, caplog, monkeypatch):
    config.ssconf.flush()
    failed, written = threading.Event(), threading.Event()

    class Broken:
        @staticmethod
        def write_file(path, content, **values):
            failed.set()
            raise ValueError("an accident")

    class Sound:
        @staticmethod
        def write_file(path, content, **values):
            if content == "web\nweb2\n":
                written.set()

    monkeypatch.setattr(ssconf, "io", Broken)
    save(config, make_instance(config, "web", "node1"))
    assert failed.wait(30)
    monkeypatch.setattr(ssconf, "io", Sound)
    save(config, make_instance(config, "web2", "node1"))
    assert written.wait(30) and "an accident" in caplog.text


def test_a_file_that_cannot_be_written_is_tried_again(config, caplog):
    config.ssconf.flush()
    path = config.paths.ssconf("instance_list")
    os.unlink(path)
    os.mkdir(path)
    with caplog.at_level(logging.WARNING):
        save(config, make_instance(config, "web", "node1"))
        config.ssconf.flush()
    assert "instance_list" in caplog.text
    os.rmdir(path)
    save(config, make_instance(config, "web2", "node1"))
    assert read(config, "instance_list") == "web\nweb2\n"


def test_the_thread_rests_after_each_time(config):
    rests, done = [], threading.Event()

    def rest(seconds):
        rests.append(seconds)
        done.set()

    writer = ssconf.SsconfWriter(config.ssconf_facts, config.paths, rest=rest)
    writer.mark("instance")
    assert done.wait(30) and 0 < rests[0] <= ssconf.MAX_REST
