"""QueryClusterInfo and QueryConfigValues."""

import pytest

from ganeti.query import cluster
from support.query import QueryScene

#: Keys that gnt-cluster info, gnt-cluster version and the remote API read (Ganeti 3.0).
KEYS = """
    architecture beparams blacklisted_os candidate_pool_size compression_tools config_version
    ctime data_collector_interval default_hypervisor default_iallocator
    default_iallocator_params diskparams drbd_usermode_helper enabled_data_collectors
    enabled_disk_templates enabled_hypervisors enabled_user_shutdown export_version
    file_storage_dir gluster_storage_dir hidden_os hvparams install_image
    instance_communication_network ipolicy mac_prefix maintain_node_health master
    master_netdev master_netmask max_running_jobs max_tracked_jobs modify_ssh_setup mtime name
    ndparams nicparams os_api_version os_hvp osparams prealloc_wipe_disks primary_ip_version
    protocol_version reserved_lvs shared_file_storage_dir software_version ssh_key_bits
    ssh_key_type tags uid_pool use_external_mip_script uuid vcs_version volume_group_name
    zeroing_image""".split()


@pytest.fixture
def scene(tmp_path):
    made = QueryScene(tmp_path)
    yield made
    made.close()


def test_the_info_has_the_keys_of_ganeti_and_no_others(scene):
    assert len(KEYS) == 55 and sorted(cluster.info(scene.sources)) == KEYS


def test_values_that_tools_need_are_not_null(scene):
    info = cluster.info(scene.sources)
    assert {key for key, value in info.items() if value is None} <= {
        "drbd_usermode_helper",
        "volume_group_name",
    }
    assert [type(word) for word in info["architecture"]] == [str, str]
    assert {"minmax", "std", "disk-templates", "vcpu-ratio", "spindle-ratio"} <= set(
        info["ipolicy"]
    )
    assert set(info["data_collector_interval"]) >= set(info["enabled_data_collectors"])


def test_the_info_shows_what_was_set(scene):
    scene.change(
        scene.config.cluster,
        tags=["c"],
        enabled_hypervisors=["kvm", "fake"],
        beparams={"default": {"vcpus": 2}},
        nicparams={"default": {"link": "br7"}},
        ndparams={"ssh_port": 23},
        hvparams={"kvm": {"acpi": False}},
    )
    info = cluster.info(scene.sources)
    assert (info["name"], info["master"]) == ("cluster.example.com", "node1.example.com")
    assert (info["tags"], info["default_hypervisor"]) == (["c"], "kvm")
    assert info["beparams"]["default"]["vcpus"] == 2
    assert info["nicparams"]["default"] == {"mode": "bridged", "link": "br7", "vlan": ""}
    assert (info["ndparams"]["ssh_port"], info["ndparams"]["spindle_count"]) == (23, 1)
    assert info["hvparams"]["kvm"]["acpi"] is False and "fake" in info["hvparams"]


def test_the_info_follows_a_change(scene):
    assert cluster.info(scene.sources)["tags"] == []
    scene.change(scene.config.cluster, tags=["x"])
    assert cluster.info(scene.sources)["tags"] == ["x"]


def values(scene, *names):
    return cluster.config_values(scene.sources, names)


def test_single_values_are_read_by_name(scene):
    assert values(
        scene,
        "cluster_name",
        "bogus",
        "master_node",
        "drain_flag",
        "modify_ssh_setup",
        "ssh_key_type",
        "ssh_key_bits",
    ) == ["cluster.example.com", None, "node1.example.com", False, False, "rsa", 2048]
    assert values(scene) == []


def test_the_watcher_pause_is_shown_until_it_is_over(scene):
    assert values(scene, "watcher_pause") == [None]
    now = scene.config.clock()
    scene.sources.queue.watcher_pause = now + 1000.5
    assert values(scene, "watcher_pause") == [int(now + 1000.5)]
    scene.sources.queue.watcher_pause = now - 1000
    assert values(scene, "watcher_pause") == [None]
