"""The configuration: finding and changing objects, refused changes, restarts."""

import sqlite3
from concurrent.futures import Future

import pytest

from ganeti import errors
from ganeti.config.config import Config
from ganeti.db import schema
from ganeti.db.store import DatabaseDamaged
from ganeti.objects import Disk, Nic, copy_of
from support.cluster import make_cluster, make_instance, save

NODE1, NODE2 = "node1.example.com", "node2.example.com"


@pytest.fixture
def config(tmp_path):
    store, made, _ = make_cluster(tmp_path)
    yield made
    made.ssconf.flush()
    store.close()


def reopened(config):
    """Return the configuration as a master that starts now would read it."""
    return Config(config.store, config.paths)


# -- finding -----------------------------------------------------------------------


def test_objects_are_listed_in_the_order_of_their_names(config):
    save(config, *(make_instance(config, f"web{number}.example.com") for number in (10, 9, 1)))
    assert [instance.name for instance in config.instances()] == [
        "web1.example.com",
        "web9.example.com",
        "web10.example.com",
    ]


@pytest.mark.parametrize(
    "name", ["web.example.com", "web", "web.example", "WEB", "Web.Example.com"]
)
def test_an_instance_is_found_by_its_short_name(config, name):
    save(
        config, make_instance(config, "web.example.com"), make_instance(config, "web2.example.com")
    )
    assert config.instance(name).name == "web.example.com"


def test_an_instance_is_found_by_its_uuid(config):
    assert config.node(config.master.uuid) is config.master


def test_an_ambiguous_short_name_finds_nothing(config):
    save(config, make_instance(config, "web.a.example"), make_instance(config, "web.b.example"))
    assert config.find_instance("web") is None
    assert config.instance("web.a").name == "web.a.example"


@pytest.mark.parametrize(
    "find, words",
    [
        (Config.instance, "Instance 'x' not known"),
        (Config.node, "Node 'x' not known"),
        (Config.group, "Group 'x' not known"),
        (Config.node_by_uuid, "Node 'x' not known"),
        (Config.group_by_uuid, "Group 'x' not known"),
    ],
)
def test_an_unknown_name_is_an_unknown_entity(config, find, words):
    with pytest.raises(errors.OpPrereqError, match=words) as caught:
        find(config, "x")
    assert caught.value.code == "unknown_entity"


def test_nodes_know_their_instances_and_groups_their_nodes(config):
    node1, node2 = config.node(NODE1), config.node(NODE2)
    save(
        config,
        make_instance(config, "b", secondary_nodes=[node2.uuid]),
        make_instance(config, "a"),
        make_instance(config, "c", NODE2),
    )
    assert [i.name for i in config.primary_instances(node1.uuid)] == ["a", "b"]
    assert [i.name for i in config.secondary_instances(node2.uuid)] == ["b"]
    assert [n.name for n in config.group_nodes(node1.group)] == [
        node.name for node in config.nodes()
    ]


def test_a_moved_instance_is_found_on_its_new_node_only(config):
    save(config, make_instance(config, "a"))
    moved = copy_of(config.instance("a"))
    moved.primary_node = config.node(NODE2).uuid
    save(config, moved)
    assert config.primary_instances(config.node(NODE1).uuid) == []
    assert config.primary_instances(config.node(NODE2).uuid) == [moved]


# -- changing ------------------------------------------------------------------------


def test_a_new_object_gets_its_times_and_serial_number(config):
    config.clock = lambda: 1000.5
    save(config, make_instance(config, "web"))
    web = config.instance("web")
    assert (web.serial_no, web.ctime, web.mtime) == (1, 1000.5, 1000.5)


def test_a_change_raises_the_serial_number_and_keeps_the_creation_time(config):
    config.clock = lambda: 1000.0
    save(config, make_instance(config, "web"))
    config.clock = lambda: 2000.0
    changed = copy_of(config.instance("web"))
    changed.admin_state = "up"
    save(config, changed)
    web = config.instance("web")
    assert (web.serial_no, web.ctime, web.mtime, web.admin_state) == (2, 1000.0, 2000.0, "up")


def test_an_object_saved_twice_in_one_transaction_is_one_change(config):
    transaction = config.begin()
    web = make_instance(config, "web")
    transaction.save(web)
    transaction.save(web)
    transaction.commit()
    assert config.instance("web").serial_no == 1


def test_a_transaction_may_be_used_on_after_a_commit(config):
    transaction = config.begin()
    transaction.save(make_instance(config, "web"))
    transaction.commit()
    assert transaction.empty
    changed = copy_of(config.instance("web"))
    transaction.save(changed)
    transaction.commit()
    assert reopened(config).instance("web").serial_no == 2


def test_nothing_is_seen_before_it_is_durable(config):
    transaction = config.begin()
    transaction.save(make_instance(config, "web"))
    future: Future[None] = config.store.write(transaction.apply)
    future.result()
    assert config.find_instance("web") is None
    transaction.publish()
    assert config.instance("web").serial_no == 1


def test_a_change_survives_a_restart(config):
    disk = Disk(uuid="d1", dev_type="file", size=1024, logical_id=["loop", "/srv/disk0"])
    nic = Nic(uuid="n1", mac="aa:00:00:00:00:01", nicparams={"link": "br1"})
    save(config, make_instance(config, "web", disks=[disk], nics=[nic], tags=["a"]))
    assert reopened(config).instance("web") == config.instance("web")


def test_a_removed_object_is_gone_and_its_name_free(config):
    save(config, make_instance(config, "web"))
    transaction = config.begin()
    transaction.remove(config.instance("web"))
    transaction.commit()
    assert config.find_instance("web") is None
    assert reopened(config).instances() == []
    save(config, make_instance(config, "web"))


def test_a_new_object_that_is_removed_was_never_there(config):
    transaction = config.begin()
    web = make_instance(config, "web")
    transaction.save(web)
    transaction.remove(web)
    assert transaction.empty


def test_renaming_frees_the_old_name(config):
    save(config, make_instance(config, "old"), make_instance(config, "other"))
    renamed = copy_of(config.instance("old"))
    renamed.name = "new"
    save(config, renamed)
    assert config.find_instance("old") is None
    assert [instance.name for instance in config.instances()] == ["new", "other"]
    assert reopened(config).instance("new").uuid == renamed.uuid


def test_a_name_that_exists_already_is_refused(config):
    save(config, make_instance(config, "web"))
    with pytest.raises(errors.OpPrereqError, match="'web' already exists") as caught:
        save(config, make_instance(config, "web"))
    assert caught.value.code == "already_exists"


def test_of_two_changes_of_one_state_the_second_is_refused(config):
    save(config, make_instance(config, "web"))
    first, second = copy_of(config.instance("web")), copy_of(config.instance("web"))
    first.tags, second.tags = ["first"], ["second"]
    transaction = config.begin()
    transaction.save(second)
    save(config, first)
    with pytest.raises(errors.ProgrammerError, match="changed after it was copied"):
        transaction.commit()
    assert config.instance("web").tags == reopened(config).instance("web").tags == ["first"]


def test_a_transaction_that_fails_in_part_writes_nothing(config):
    save(config, make_instance(config, "web"))
    with pytest.raises(errors.OpPrereqError):
        save(config, make_instance(config, "db"), make_instance(config, "web"))
    assert config.find_instance("db") is None
    assert [instance.name for instance in reopened(config).instances()] == ["web"]


# -- reading what is wrong -------------------------------------------------------------


def spoil(config, statement, *values):
    """Change the database as a program would that also updates the checksums."""
    config.store.write(lambda connection: connection.execute(statement, values)).result()
    config.store.write(
        lambda connection: connection.execute(schema.update_sums("cluster_object", "1"))
    ).result()


def test_a_record_with_a_wrong_checksum_is_refused(config):
    config.store.write(
        lambda connection: connection.execute(
            "UPDATE cluster_object SET data = json_set(data, '$.serial_no', 77) WHERE kind = 'node'"
        )
    ).result()
    with pytest.raises(DatabaseDamaged, match="the record of the node node"):
        reopened(config)


@pytest.mark.parametrize(
    "statement, words",
    [
        ("DELETE FROM cluster_object WHERE kind = 'cluster'", "there is no cluster"),
        ("UPDATE cluster_object SET data = '{' WHERE kind = 'node'", "cannot read the node"),
        (
            "UPDATE cluster_object SET data = json_set(data, '$.x', 1) WHERE kind = 'group'",
            "cannot read the group default.*'x'",
        ),
        ("UPDATE cluster_object SET kind = 'tape' WHERE kind = 'group'", "cannot read the tape"),
        ("DELETE FROM cluster_object WHERE name = 'node1.example.com'", "master node is not known"),
        (
            "DELETE FROM cluster_object WHERE kind = 'group'",
            "node1.example.com is in no known group",
        ),
        (
            "UPDATE cluster_object SET data = json_set(data, '$.primary_node', 'x') "
            "WHERE kind = 'instance'",
            "instance web is on no known node",
        ),
    ],
)
def test_a_contradicting_configuration_is_refused_in_clear_words(config, statement, words):
    save(config, make_instance(config, "web"))
    spoil(config, statement)
    with pytest.raises(errors.ConfigurationError, match=words):
        reopened(config)


def test_the_database_has_a_row_for_each_object(config):
    with config.store.read() as connection:
        assert isinstance(connection, sqlite3.Connection)
        kinds = connection.execute("SELECT kind, count(*) FROM cluster_object GROUP BY kind")
        assert dict(kinds.fetchall()) == {"cluster": 1, "group": 1, "node": 3}


# -- what is in use, and filled parameters -----------------------------------------------


def test_macs_and_ports_of_instances_are_in_use(config):
    mirrored = Disk(
        uuid="d",
        dev_type="drbd",
        size=1,
        logical_id=[config.node(NODE1).uuid, config.node(NODE2).uuid, 11001, 0, 3, "secret"],
    )
    save(
        config,
        make_instance(
            config,
            "web",
            network_port=11000,
            disks=[mirrored],
            nics=[Nic(uuid="n", mac="aa:00:00:00:00:01")],
        ),
    )
    assert config.mac_in_use("aa:00:00:00:00:01") and not config.mac_in_use("aa:00:00:00:00:02")
    assert [port for port in range(11000, 11004) if config.port_in_use(port)] == [11000, 11001]
    assert config.minors_in_use(config.node(NODE1).uuid) == {0}


def test_minors_are_counted_on_each_of_the_two_nodes(config):
    one, two = config.node(NODE1).uuid, config.node(NODE2).uuid
    mirrored = Disk(uuid="d", dev_type="drbd", size=1, logical_id=[one, two, 11001, 4, 7, "s"])
    save(config, make_instance(config, "web", disks=[mirrored], secondary_nodes=[two]))
    assert (config.minors_in_use(one), config.minors_in_use(two)) == ({4}, {7})


def test_parameters_of_an_instance_override_the_clusters(config):
    web = make_instance(
        config,
        "web",
        beparams={"maxmem": 512},
        nics=[Nic(uuid="n", mac="m", nicparams={"link": "br7"})],
    )
    assert config.beparams(web) == {**config.default_beparams(), "maxmem": 512}
    assert config.nicparams(web.nics[0]) == {"mode": "bridged", "link": "br7", "vlan": ""}
    assert config.hvparams(web) == {"migration_mode": "live"}


def test_parameters_of_an_os_override_the_clusters_and_yield_to_the_instances(config):
    cluster = copy_of(config.cluster)
    cluster.os_hvp = {"noop": {"kvm": {"acpi": False, "kernel_args": "os"}}}
    save(config, cluster)
    web = make_instance(
        config, "web", hypervisor="kvm", os="noop+big", hvparams={"kernel_args": "own"}
    )
    filled = config.hvparams(web)
    assert (filled["acpi"], filled["kernel_args"], filled["boot_order"]) == (False, "own", "disk")


def test_nodes_take_parameters_from_group_and_cluster(config):
    group = copy_of(config.groups()[0])
    group.ndparams = {"ssh_port": 2222, "spindle_count": 2}
    node = copy_of(config.node(NODE1))
    node.ndparams = {"spindle_count": 3}
    save(config, group, node)
    filled = config.ndparams(config.node(NODE1))
    assert (filled["ssh_port"], filled["spindle_count"], filled["cpu_speed"]) == (2222, 3, 1)
    assert config.ssh_port(config.node(NODE2)) == 2222


def test_groups_take_policy_and_disk_parameters_from_the_cluster(config):
    group = copy_of(config.groups()[0])
    group.ipolicy = {"std": {"cpu-count": 2}}
    group.diskparams = {"drbd": {"protocol": "A"}}
    save(config, group)
    assert config.ipolicy(group)["std"]["cpu-count"] == 2
    assert config.diskparams(group)["drbd"]["protocol"] == "A"
    assert config.diskparams(group)["drbd"]["metavg"] == "xenvg"
    assert config.diskparams(group)["plain"] == {"stripes": 1}


# -- what running jobs have reserved ---------------------------------------------------------


def test_reserved_resources_add_up_over_jobs_and_end_with_them(config):
    config.reserve_resources(1, "a", 128, 1024)
    config.reserve_resources(1, "a", 128, -1000)
    config.reserve_resources(2, "a", 64, 1)
    config.reserve_resources(2, "b", 32, 2)
    assert config.reserved_resources("a") == (320, 25)
    config.release_reservations(2)
    config.release_reservations(3)
    assert (config.reserved_resources("a"), config.reserved_resources("b")) == ((256, 24), (0, 0))


def test_a_job_that_has_ended_has_reserved_nothing(config):
    config.reservations.reserve_mac(1, "aa:00:00:00:00:02")
    config.release_reservations(1)
    config.reservations.reserve_mac(2, "aa:00:00:00:00:02")
