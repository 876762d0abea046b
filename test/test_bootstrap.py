"""Creating a cluster: its files and objects, and refusals."""

import os
import stat
from pathlib import Path

import pytest

from ganeti import bootstrap, errors, layout
from ganeti.bootstrap import BootstrapError, NodeSpec, Owners, Settings
from ganeti.config.config import Config
from ganeti.db.store import Store
from ganeti.utils import ownership
from support.cluster import CLUSTER, make_paths


@pytest.fixture
def paths(tmp_path):
    return make_paths(tmp_path)


def create(paths, *nodes, name=CLUSTER, certificate=False, owners=Owners(), **settings):
    if not certificate:
        os.makedirs(paths.lib_dir, exist_ok=True)
        Path(paths.rapi_cert).write_text("kept\n")
    bootstrap.create(
        paths,
        name,
        [NodeSpec.parse(node) for node in nodes or ("node1",)],
        Settings(**settings),
        owners,
    )


def opened(paths):
    """Return the configuration as a master that starts would read it."""
    store = Store.open(paths.master_db)
    try:
        config = Config(store, paths)
        config.ssconf.flush()
        return config
    finally:
        store.close()


# -- nodes on the command line -----------------------------------------------------------


@pytest.mark.parametrize(
    "text, spec",
    [
        ("node1.example.com", NodeSpec("node1.example.com")),
        ("n:1024:2048:4", NodeSpec("n", {"memory": 1024, "disk": 2048, "cpus": 4})),
        ("n:64G:2T:16", NodeSpec("n", {"memory": 65536, "disk": 2097152, "cpus": 16})),
    ],
)
def test_a_node_has_a_name_and_perhaps_figures(text, spec):
    assert NodeSpec.parse(text) == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        "n:1G",
        "n:1G:1G:1:1",
        "n:x:1G:1",
        "n:1G:1G:1.5",
        "n:0:1:1",
        "n:1:1:-1",
        "a b",
        "../x",
        "n:1G:1G:",
    ],
)
def test_a_node_that_cannot_be_read_is_refused(text):
    with pytest.raises(BootstrapError):
        NodeSpec.parse(text)


# -- the configuration ----------------------------------------------------------------------


def test_a_cluster_has_its_nodes_and_one_group(paths):
    create(paths, "node1:1G:2G:3", "node2")
    config = opened(paths)
    assert (config.cluster.name, config.master.name) == (CLUSTER, "node1")
    assert [
        (node.name, node.simulated, node.primary_ip, node.capacity) for node in config.nodes()
    ] == [
        ("node1", False, "127.0.0.1", {"memory": 1024, "disk": 2048, "cpus": 3}),
        ("node2", True, "192.0.2.2", {}),
    ]
    assert [group.name for group in config.groups()] == ["default"]
    assert config.cluster.ctime > 0 and config.cluster.serial_no == 1


def test_defaults_are_those_of_ganeti(paths):
    create(paths)
    cluster = opened(paths).cluster
    assert (
        cluster.enabled_disk_templates == cluster.ipolicy["disk-templates"] == ["file", "diskless"]
    )
    assert cluster.beparams["default"]["maxmem"] == 128
    assert cluster.ndparams["ssh_port"] == 22
    assert (cluster.mac_prefix, cluster.master_netdev) == ("aa:00:00", "lo")
    assert (cluster.volume_group_name, cluster.default_iallocator) == (None, "hail")


def test_simulated_nodes_bring_volumes_along(paths):
    create(paths, "node1", "node2")
    cluster = opened(paths).cluster
    assert cluster.enabled_disk_templates == ["file", "diskless", "plain", "drbd"]
    assert cluster.volume_group_name == "xenvg"


def test_settings_are_kept(paths, tmp_path):
    create(
        paths,
        enabled_disk_templates=["diskless"],
        mac_prefix="02:AB:00",
        master_netdev="eth0",
        file_storage_dir=str(tmp_path / "disks"),
    )
    cluster = opened(paths).cluster
    assert (cluster.enabled_disk_templates, cluster.mac_prefix) == (["diskless"], "02:ab:00")
    assert (cluster.master_netdev, cluster.file_storage_dir) == ("eth0", str(tmp_path / "disks"))
    assert (tmp_path / "disks").is_dir()


def test_names_are_in_small_letters(paths):
    create(paths, "Node1.Example.COM", "node2")
    assert [node.name for node in opened(paths).nodes()] == ["node1.example.com", "node2"]


def test_two_spellings_of_a_name_are_one_node(paths):
    with pytest.raises(BootstrapError, match="two nodes have the same name"):
        create(paths, "node1", "NODE1")


@pytest.mark.parametrize("cpus", ["65537", "1" * 23])
def test_a_node_has_no_more_cpus_than_can_be(cpus):
    with pytest.raises(BootstrapError, match="at most 65536 CPUs"):
        bootstrap.NodeSpec.parse(f"node2:1G:1G:{cpus}")


def test_three_hundred_nodes_have_different_addresses(paths):
    create(paths, *(f"node{number}" for number in range(300)))
    addresses = {node.primary_ip for node in opened(paths).nodes()}
    assert len(addresses) == 300 and "198.51.100.46" in addresses


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"enabled_hypervisors": ["xen-pvm"]}, "no such hypervisor here: xen-pvm"),
        ({"enabled_hypervisors": []}, "at least one hypervisor"),
        ({"enabled_hypervisors": ["fake", "fake"]}, "fake is named twice"),
        ({"enabled_disk_templates": ["file", "diskless", "file"]}, "file is named twice"),
        ({"enabled_disk_templates": ["drbd"]}, "need more simulated nodes"),
        ({"enabled_disk_templates": ["plain", "drbd"]}, "need more simulated nodes"),
        ({"enabled_disk_templates": ["tape"]}, "no such disk template here: tape"),
        ({"enabled_disk_templates": []}, "at least one disk template"),
        ({"mac_prefix": "aa:00"}, "cannot begin a MAC"),
        ({"mac_prefix": "01:00:00"}, "cannot begin a MAC"),
        ({"master_netdev": "a b"}, "network device"),
        ({"file_storage_dir": "/etc"}, "cannot be used for file storage"),
        ({"file_storage_dir": "disks"}, "absolute"),
        ({"name": "a b"}, "name of a cluster"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_made(paths, settings, words):
    with pytest.raises(BootstrapError, match=words):
        create(paths, certificate=True, **settings)
    assert not os.path.exists(paths.root + "/var")


@pytest.mark.parametrize(
    "nodes, words",
    [
        (["a", "a"], "the same name"),
        ([f"n{number}" for number in range(800)], "at most 762 nodes"),
    ],
)
def test_nodes_that_do_not_fit_are_refused(paths, nodes, words):
    with pytest.raises(BootstrapError, match=words):
        create(paths, *nodes)


# -- files ----------------------------------------------------------------------------------


def test_a_second_cluster_is_refused_and_the_first_left_alone(paths):
    create(paths)
    uuid = opened(paths).cluster.uuid
    with pytest.raises(BootstrapError, match="already"):
        create(paths, name="other")
    assert opened(paths).cluster.uuid == uuid


def test_an_orphaned_log_keeps_a_new_cluster_from_being_made(paths):
    os.makedirs(paths.lib_dir)
    Path(paths.master_db + "-wal").write_text("log")
    with pytest.raises(BootstrapError, match="the log of a cluster"):
        create(paths)


def test_an_unfinished_creation_can_be_repeated(paths):
    os.makedirs(paths.lib_dir)
    for suffix in (".new", ".new-wal"):
        Path(paths.master_db + suffix).write_text("half of one")
    create(paths)
    assert opened(paths).cluster.name == CLUSTER
    assert not os.path.exists(paths.master_db + ".new")


@pytest.mark.parametrize(
    "name, mode",
    [
        ("lib_dir", 0o755),
        ("rapi_dir", 0o750),
        ("log_dir", 0o770),
        ("os_log_dir", 0o750),
        ("run_dir", 0o775),
        ("socket_dir", 0o750),
        ("fake_hypervisor_dir", 0o750),
        ("file_storage_dir", 0o750),
        ("master_db", 0o600),
    ],
)
def test_modes_are_closed_to_strangers(paths, name, mode):
    create(paths)
    assert stat.S_IMODE(os.stat(getattr(paths, name)).st_mode) == mode


def test_a_storage_directory_that_is_there_keeps_its_mode(paths, tmp_path):
    (tmp_path / "disks").mkdir()
    (tmp_path / "disks").chmod(0o711)  # whatever the umask is
    create(paths, file_storage_dir=str(tmp_path / "disks"))
    assert stat.S_IMODE(os.stat(tmp_path / "disks").st_mode) == 0o711


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_belong_to_the_daemons(paths):
    create(paths, certificate=True, owners=Owners(1001, 1002, 1003))
    owners = {
        name: (os.stat(getattr(paths, name)).st_uid, os.stat(getattr(paths, name)).st_gid)
        for name in ("master_db", "lib_dir", "rapi_dir", "rapi_cert")
    }
    assert owners == {
        "master_db": (1001, 1003),
        "lib_dir": (1001, 1003),
        "rapi_dir": (1002, 1003),
        "rapi_cert": (1002, 1003),
    }


def test_ssconf_files_are_there_at_once(paths):
    create(paths)
    assert Path(paths.ssconf("master_node")).read_text() == "node1\n"


def test_a_failure_of_the_system_is_an_error_in_words(paths):
    os.makedirs(paths.lib_dir)
    Path(paths.rapi_dir).write_text("")
    with pytest.raises(BootstrapError, match="cannot create the cluster.*rapi"):
        create(paths)
    assert not os.path.exists(paths.master_db)


def test_parents_are_open_whatever_the_umask_is(paths):
    before = os.umask(0o077)
    try:
        create(paths)
    finally:
        os.umask(before)
    for path in (Path(paths.file_storage_dir).parent, Path(paths.lib_dir)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o755, path


def test_ensuring_the_directories_afterwards_finds_nothing_to_do(paths):
    create(paths, certificate=True)
    entries = [
        *layout.directories(paths, Owners(), paths.file_storage_dir),
        *layout.files(paths, Owners()),
    ]
    assert ownership.apply(entries) == ownership.OwnershipReport()


@pytest.mark.parametrize("name", ["config.data", "server.pem", "queue/serial"])
def test_a_machine_of_a_real_ganeti_is_left_alone(paths, name):
    sign = Path(paths.lib_dir, name)
    sign.parent.mkdir(parents=True)
    sign.parent.chmod(0o711)  # whatever the umask is
    sign.touch()
    before = sorted(Path(paths.root).rglob("*"))
    with pytest.raises(BootstrapError, match=f"belongs to a Ganeti cluster .*{name} exists"):
        bootstrap.create(paths, CLUSTER, [NodeSpec("node1")])
    assert sorted(Path(paths.root).rglob("*")) == before
    assert stat.S_IMODE(sign.parent.stat().st_mode) == 0o711


def test_a_certificate_that_is_there_is_kept(paths):
    create(paths)
    assert Path(paths.rapi_cert).read_text() == "kept\n"


def test_a_missing_openssl_is_named(paths, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BootstrapError, match="openssl is missing"):
        create(paths, certificate=True)
    assert not os.path.exists(paths.master_db)


def test_a_bootstrap_error_is_no_generic_error():
    assert issubclass(BootstrapError, errors.Error)
    assert not issubclass(BootstrapError, errors.GenericError)
