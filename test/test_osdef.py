"""OS definitions: what is one, what its scripts see, how a run ends."""

import os
import threading
from pathlib import Path

import pytest
from testutils import make_cluster, make_instance

from ganeti import errors, osdef
from ganeti.jqueue.run import JobRun
from ganeti.objects import Disk, Nic

EXAMPLE = Path(__file__).resolve().parent.parent / "doc/examples/os/noop"


def make_os(folder, create="exit 0", **files):
    """An OS definition of version 20 but for the files named; None leaves one out."""
    folder.mkdir(parents=True)
    texts = {"ganeti_api_version": "20\n", "parameters_list": "", "create": create,
             **dict.fromkeys(("import", "export", "rename", "verify"), "exit 0"), **files}
    for name, text in texts.items():
        if text is not None:
            path = folder / name.replace("_list", ".list")
            path.write_text(text if "." in path.name or "_" in name else f"#!/bin/sh\n{text}\n")
            path.chmod(0o644 if "." in path.name or "_" in name else 0o755)
    return osdef.load(folder.name, str(folder))


# -- reading ---------------------------------------------------------------------------

def test_the_example_is_valid():
    found = osdef.load("noop", str(EXAMPLE))
    assert (found.problem, found.full_names, found.parameters) == ("", ["noop"], ())


def test_variants_make_full_names(tmp_path):
    found = make_os(tmp_path / "debian", variants_list="# all\n\nbuster\n big \n")
    assert found.full_names == ["debian+buster", "debian+big"]


def test_parameters_have_names_and_descriptions(tmp_path):
    found = make_os(tmp_path / "debian", parameters_list="DHCP\tuse dhcp or not\nsize\n")
    assert found.parameters == (("dhcp", "use dhcp or not"), ("size", ""))


@pytest.mark.parametrize("versions, newest", [("20\n15\n10\n", 20), ("10\n", 10), ("15\n99\n", 15)])
def test_the_newest_version_that_both_know_is_used(tmp_path, versions, newest):
    assert make_os(tmp_path / "os", ganeti_api_version=versions).api_version == newest


def test_an_old_definition_needs_no_new_files(tmp_path):
    found = make_os(tmp_path / "old", ganeti_api_version="10\n", parameters_list=None,
                    verify=None, variants_list="ignored\n")
    assert found.valid and found.variants == ()


@pytest.mark.parametrize("files, words", [
    ({"ganeti_api_version": None}, "ganeti_api_version is missing"),
    ({"ganeti_api_version": "new\n"}, "something else than numbers"),
    ({"ganeti_api_version": ""}, "something else than numbers"),
    ({"ganeti_api_version": "5\n99\n"}, r"API versions \(5, 99\)"),
    ({"verify": None}, "the script verify is missing"),
    ({"export": None}, "the script export is missing"),
    ({"parameters_list": None}, "parameters.list is missing"),
])
def test_a_defect_is_told(tmp_path, files, words):
    found = make_os(tmp_path / "os", **files)
    assert not found.valid
    with pytest.raises(AssertionError, match=words):
        assert not found.problem, found.problem


def test_a_script_must_be_executable_and_a_list_readable(tmp_path):
    make_os(tmp_path / "os")
    (tmp_path / "os/create").chmod(0o644)
    assert "create is not executable" in osdef.load("os", str(tmp_path / "os")).problem
    (tmp_path / "os/ganeti_api_version").write_bytes(b"\xff")
    assert "cannot be read" in osdef.load("os", str(tmp_path / "os")).problem


def test_what_stands_earlier_on_the_path_hides_the_rest(tmp_path):
    make_os(tmp_path / "a/noop", variants_list="first\n")
    make_os(tmp_path / "b/noop")
    make_os(tmp_path / "b/os10")
    make_os(tmp_path / "b/os9", create="exit 0", verify=None)
    (tmp_path / "b/.hidden").mkdir()
    (tmp_path / "b/file").write_text("")
    path = [str(tmp_path / name) for name in ("none", "a", "b")]
    assert [name for found in osdef.scan(path) for name in found.full_names] \
        == ["noop+first", "os9", "os10"]
    assert [found.valid for found in osdef.scan(path)] == [True, False, True]
    assert osdef.find(path, "noop+first").variants == ("first",)
    assert osdef.find(path, "os10").path == str(tmp_path / "b/os10")


@pytest.mark.parametrize("name", ["none", "../noop", "", ".", "a/b", "no op"])
def test_no_other_name_finds_anything(tmp_path, name):
    make_os(tmp_path / "os/noop")
    assert osdef.find([str(tmp_path / "os")], name) is None


# -- may it be used ----------------------------------------------------------------------

@pytest.mark.parametrize("name, force", [("debian+big", False), ("debian+other", True)])
def test_a_known_variant_or_a_forced_one_fits(tmp_path, name, force):
    osdef.check_variant(make_os(tmp_path / "debian", variants_list="big\n"), name, force=force)


@pytest.mark.parametrize("variants, name, words", [
    ("big\n", "debian", "must include a variant, one of debian.big"),
    ("big\n", "debian+other", "Unknown variant 'other'"),
    ("", "debian+big", "has no variants"),
])
def test_a_variant_that_does_not_fit_is_wrong_input(tmp_path, variants, name, words):
    with pytest.raises(errors.OpPrereqError, match=words) as caught:
        osdef.check_variant(make_os(tmp_path / "debian", variants_list=variants), name)
    assert caught.value.code == "wrong_input"


def test_an_unknown_parameter_is_wrong_input(tmp_path):
    found = make_os(tmp_path / "os", parameters_list="dhcp x\n")
    osdef.check_parameters(found, {"DHCP": "yes"})
    with pytest.raises(errors.OpPrereqError, match="no parameter named disk, ram"):
        osdef.check_parameters(found, {"ram": 1, "disk": 2, "dhcp": "no"})


# -- what scripts see ----------------------------------------------------------------------

@pytest.fixture
def config(tmp_path):
    store, made, _ = make_cluster(tmp_path / "cluster")
    yield made
    made.ssconf.flush()
    store.close()


def web(config):
    disks = [Disk(uuid="d0", dev_type="file", size=1024, name="root", logical_id=["loop", "/x"]),
             Disk(uuid="d1", dev_type="plain", size=10, mode="ro", logical_id=["vg", "lv"])]
    nics = [Nic(uuid="n0", mac="aa:00:00:00:00:01", ip="192.0.2.9"),
            Nic(uuid="n1", mac="aa:00:00:00:00:02", name="lan", nicparams={"mode": "routed"})]
    return make_instance(config, "web.example.com", os="debian+big", disks=disks, nics=nics,
                         hypervisor="kvm", ctime=5.0, uuid="u")


def environment(config, definition, **values):
    instance = web(config)
    return osdef.environment(definition, osdef.Subject(**{
        "instance": instance, "primary_node": "node1", "secondary_nodes": ["node2", "node3"],
        "beparams": config.beparams(instance), "hvparams": config.hvparams(instance),
        "disk_paths": ["/x", "/dev/vg/lv"], "nicparams": [*map(config.nicparams, instance.nics)],
        **values}))


def test_the_environment_is_the_documented_one(config, tmp_path):
    found = environment(config, make_os(tmp_path / "debian", variants_list="big\n"),
                        osparams={"dhcp": "yes", "root-size": 8})
    expected = {
        "OS_API_VERSION": "20", "OS_NAME": "debian", "OS_VARIANT": "big", "DEBUG_LEVEL": "0",
        "INSTANCE_NAME": "web.example.com", "INSTANCE_OS": "debian+big", "INSTANCE_UUID": "u",
        "INSTANCE_PRIMARY_NODE": "node1", "INSTANCE_SECONDARY_NODES": "node2 node3",
        "HYPERVISOR": "kvm", "DISK_COUNT": "2", "NIC_COUNT": "2",
        "DISK_0_PATH": "/x", "DISK_0_SIZE": "1024", "DISK_0_ACCESS": "rw", "DISK_0_UUID": "d0",
        "DISK_0_NAME": "root", "DISK_0_BACKEND_TYPE": "file:loop",
        "DISK_0_FRONTEND_TYPE": "paravirtual", "DISK_1_ACCESS": "ro",
        "DISK_1_PATH": "/dev/vg/lv", "DISK_1_BACKEND_TYPE": "block",
        "NIC_0_MAC": "aa:00:00:00:00:01", "NIC_0_IP": "192.0.2.9", "NIC_0_MODE": "bridged",
        "NIC_0_LINK": "br0", "NIC_0_BRIDGE": "br0", "NIC_1_MODE": "routed", "NIC_1_NAME": "lan",
        "NIC_1_FRONTEND_TYPE": "paravirtual", "INSTANCE_BE_vcpus": "1",
        "INSTANCE_HV_acpi": "True", "OSP_DHCP": "yes", "OSP_ROOT_SIZE": "8"}
    assert {name: found.get(name) for name in expected} == expected
    assert not {"NIC_1_BRIDGE", "NIC_1_IP", "DISK_1_NAME", "INSTANCE_REINSTALL"} & found.keys()


def test_old_scripts_are_told_no_variant(config, tmp_path):
    found = environment(config, make_os(tmp_path / "old", ganeti_api_version="10\n"))
    assert found["OS_API_VERSION"] == "10" and "OS_VARIANT" not in found


# -- running ---------------------------------------------------------------------------------

@pytest.fixture
def run_create(config, tmp_path):
    """Runs a create script of one line for an instance without disks; answers its log."""
    def run(line, cancel=None, reinstall=False, hidden=None):
        definition = make_os(tmp_path / "os/noop", line)
        instance = make_instance(config, "web")
        job = JobRun(7, cancel or threading.Event(), begin=lambda: None,
                     log=lambda kind, text: None)
        osdef.run_create(definition, osdef.Subject(instance, "node1", osparams=hidden or {}),
                         config.paths, job, reinstall=reinstall, hidden=hidden or {})
        name, = os.listdir(config.paths.os_log_dir)
        return name, Path(f"{config.paths.os_log_dir}/{name}").read_text()
    return run


def test_the_output_is_in_a_log_of_its_own(run_create):
    name, text = run_create("echo for $INSTANCE_NAME in $(pwd), ${INSTANCE_REINSTALL:-new}")
    assert name.startswith("add-noop-web-") and name.endswith("-job7.log")
    assert text.startswith("for web in /") and text.endswith("/os/noop, new\n")


def test_a_script_knows_that_it_reinstalls(run_create):
    name, text = run_create("echo $INSTANCE_REINSTALL", reinstall=True)
    assert (name.startswith("reinstall-noop-web-"), text) == (True, "1\n")


def test_a_failure_quotes_the_end_of_the_log(run_create):
    with pytest.raises(errors.OpExecError, match=r"(?s)'noop' failed for 'web' \(exit code 4\).*"
                                                 r"add-noop-web-.*last lines:\nno disk$"):
        run_create("echo no disk; exit 4")


def test_a_silent_failure_says_so(run_create):
    with pytest.raises(errors.OpExecError, match=r"\(empty\)$"):
        run_create("exit 1")


def test_a_secret_is_not_quoted(run_create):
    with pytest.raises(errors.OpExecError) as caught:
        run_create("echo pass $OSP_PASSWORD; exit 1", hidden={"password": "hunter2"})
    assert "hunter2" not in str(caught.value) and "pass <redacted>" in str(caught.value)


def test_a_canceled_job_ends_its_script(run_create):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(errors.JobCanceled):
        run_create("sleep 1000", cancel=cancel)
