"""Every key that an object has in Ganeti 2.0.6 or 3.x, and the types of the 2.0 page."""

import pytest

from support.daemon import HOST, DaemonCluster

NONE = type(None)

#: URI -> keys of 2.0.6, and those that 3.x (or, of jobs, only ours) has besides.
KEYS = {
    "/2/info": (
        """software_version protocol_version config_version os_api_version
        export_version architecture name master default_hypervisor enabled_hypervisors hvparams
        beparams candidate_pool_size default_bridge master_netdev volume_group_name
        file_storage_dir tags""",
        """vcs_version os_hvp osparams ipolicy nicparams ndparams diskparams max_running_jobs
        max_tracked_jobs mac_prefix master_netmask use_external_mip_script drbd_usermode_helper
        shared_file_storage_dir gluster_storage_dir maintain_node_health ctime mtime uuid uid_pool
        default_iallocator default_iallocator_params reserved_lvs primary_ip_version
        prealloc_wipe_disks hidden_os blacklisted_os enabled_disk_templates install_image
        instance_communication_network zeroing_image compression_tools enabled_user_shutdown
        enabled_data_collectors data_collector_interval modify_ssh_setup ssh_key_type
        ssh_key_bits vg_name drbd_helper""",
    ),
    "/2/instances": (
        """name admin_state os pnode snodes disk_template nic.ips nic.macs
        nic.bridges network_port disk.sizes disk_usage beparams hvparams oper_state oper_ram
        status tags""",
        """nic.modes nic.uuids nic.names nic.links nic.networks nic.networks.names disk.spindles
        disk.uuids disk.names oper_vcpus custom_hvparams custom_beparams custom_nicparams
        custom_osparams hypervisor ctime mtime uuid serial_no""",
    ),
    "/2/nodes": (
        """name offline master_candidate drained dtotal dfree mtotal mnode mfree
        pinst_cnt sinst_cnt tags ctotal cnodes csockets pip sip serial_no role pinst_list
        sinst_list""",
        """sptotal spfree cnos master_capable vm_capable ndparams group.uuid ctime mtime uuid
        secondary_ip""",
    ),
    "/2/groups": (
        "",
        """alloc_policy name node_cnt node_list ipolicy custom_ipolicy diskparams
        custom_diskparams ndparams custom_ndparams ctime mtime uuid serial_no tags""",
    ),
    "/2/jobs": (
        "id ops status summary opstatus received_ts start_ts end_ts",
        "priority archived waiting_for user request_id",
    ),
}
#: Keys that parameters have, by the key of the object that holds them.
INNER = {
    ("/2/info", "beparams", "default"): "auto_balance vcpus memory minmem maxmem always_failover "
    "spindle_use",
    ("/2/instances", "beparams"): "auto_balance vcpus memory minmem maxmem always_failover "
    "spindle_use",
    ("/2/info", "ipolicy"): "minmax std disk-templates vcpu-ratio spindle-ratio",
    ("/2/info", "nicparams", "default"): "mode link vlan",
}
#: What the examples of the 2.0 page show, and the types that they show it in.
TYPES = {
    "/2/info": {
        "config_version": int,
        "name": str,
        "software_version": str,
        "os_api_version": int,
        "export_version": int,
        "candidate_pool_size": int,
        "enabled_hypervisors": list,
        "hvparams": dict,
        "default_hypervisor": str,
        "master": str,
        "architecture": list,
        "protocol_version": int,
        "beparams": dict,
    },
    "/2/instances": {
        "status": str,
        "disk_usage": int,
        "nic.bridges": list,
        "name": str,
        "tags": list,
        "beparams": dict,
        "disk.sizes": list,
        "pnode": str,
        "nic.macs": list,
        "snodes": list,
        "disk_template": str,
        "admin_state": str,
        "os": str,
        "oper_state": bool,
    },
    "/2/nodes": {
        "pinst_cnt": int,
        "mfree": int,
        "mtotal": int,
        "name": str,
        "tags": list,
        "mnode": int,
        "dtotal": int,
        "sinst_cnt": int,
        "dfree": int,
        "offline": bool,
    },
    "/2/groups": {"name": str, "node_list": list, "ipolicy": dict, "alloc_policy": str},
    "/2/jobs": {
        "id": int,
        "status": str,
        "ops": list,
        "opstatus": list,
        "received_ts": list,
        "start_ts": list,
        "end_ts": list,
        "summary": list,
    },
}
NAMES = {"/2/instances": "web", "/2/nodes": "node1", "/2/groups": "default", "/2/jobs": "1"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with DaemonCluster(tmp_path_factory.mktemp("contract")) as made:
        made.start()
        made.create(tags=["tag1"])
        yield made


def objects(cluster, uri):
    """Return the keys of a resource's objects, in the bulk list and alone."""
    if uri == "/2/info":
        return [cluster.get(uri).json]
    return [*cluster.get(f"{uri}?bulk=true").json, cluster.get(f"{uri}/{NAMES[uri]}").json]


@pytest.mark.parametrize("uri", KEYS)
def test_keys_are_those_of_all_versions(cluster, uri):
    expected = {key for version in KEYS[uri] for key in version.split()}
    *bulk, last = found = objects(cluster, uri)
    assert [expected ^ set(each) for each in bulk] == [set()] * len(bulk)
    assert set(last) - expected == ({"oplog", "opresult"} if uri == "/2/jobs" else set())
    assert expected <= set(found[-1])


@pytest.mark.parametrize("path", INNER, ids="-".join)
def test_parameters_are_filled(cluster, path):
    value = objects(cluster, path[0])[-1]
    for key in path[1:]:
        value = value[key]
    assert set(value) == set(INNER[path].split())


@pytest.mark.parametrize("uri", TYPES)
def test_types_are_those_of_the_page(cluster, uri):
    for found in objects(cluster, uri):
        assert {key: type(found[key]) for key in TYPES[uri]} == TYPES[uri]


@pytest.mark.parametrize("uri", ["/2/instances", "/2/nodes", "/2/groups", "/2/jobs"])
def test_lists_have_both_keys_for_what_identifies(cluster, uri):
    for entry in cluster.get(uri).json:
        assert entry["uri"] == f"{uri}/{entry['id']}"
        assert entry.get("name", entry["id"]) == entry["id"]
        assert cluster.get(entry["uri"]).status == 200


def test_a_job_has_an_entry_for_each_opcode(cluster):
    job = cluster.wait(cluster.submit("POST", "/2/instances/web/reinstall"))
    assert [len(job[key]) for key in ("ops", "opstatus", "opresult", "oplog")] == [3] * 4
    assert [op["OP_ID"] for op in job["ops"]] == [
        "OP_INSTANCE_SHUTDOWN",
        "OP_INSTANCE_REINSTALL",
        "OP_INSTANCE_STARTUP",
    ]
    for line in [line for log in job["oplog"] for line in log]:
        assert [type(part) for part in line] == [int, list, str, str]
    assert all(
        type(part) is int for key in ("received_ts", "start_ts", "end_ts") for part in job[key]
    )


def test_types_that_go_clients_stop_at(cluster):
    instance = cluster.get("/2/instances/web").json
    assert type(instance["ctime"]) is float
    assert len(instance["custom_nicparams"]) == len(instance["nic.macs"]) == 1
    for found in (instance, *cluster.get("/2/nodes?bulk=1").json):
        for key in ("disk_usage", "oper_ram", "mtotal", "mfree", "dtotal", "dfree", "ctotal"):
            assert type(found.get(key)) in (int, NONE), key


@pytest.mark.parametrize("uri", ["/info", "/instances", "/instances/web", "/nodes", "/nodes/node1"])
def test_what_the_page_asks_without_a_version(cluster, uri):
    assert cluster.get(uri).json.__class__ is cluster.get(f"/2{uri}").json.__class__
    assert cluster.get(uri).status == 200


def test_the_root_lists_what_there_is(cluster):
    assert {"name": "2", "uri": "/2"} in cluster.get("/").json
    for entry in [*cluster.get("/").json, *cluster.get("/2").json]:
        assert cluster.get(entry["uri"]).status == 200


def test_as_the_page_prints_it(tmp_path):
    """Check what ``--compat=2.0`` changes: the keys that today's clients expect in another form."""
    with DaemonCluster(tmp_path, nodes=(HOST,)) as made:
        made.start("--compat=2.0")
        made.create()
        assert made.get("/2/instances/web").json["admin_state"] is True
        made.do("PUT", "/2/instances/web/shutdown")
        assert made.get("/2/instances?bulk=1").json[0]["admin_state"] is False
        info = made.get("/2/info").json
        assert (
            info["architecture"][0],
            info["config_version"],
            info["protocol_version"],
            info["os_api_version"],
        ) == ("64bit", 2000000, 20, 10)
