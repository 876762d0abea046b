"""OS definitions: valid and broken ones, the environment of scripts, the end of a run."""

import os
import threading
from pathlib import Path

import pytest

from ganeti import errors
from ganeti.jqueue.live import JobContext
from ganeti.node import osdef
from ganeti.objects import Disk, Nic
from support import TOP
from support.cluster import make_cluster, make_instance

EXAMPLE = TOP / "doc/examples/os/noop"


def make_os(folder, create="exit 0", **files):
    """Write an OS definition of version 20 with other content in some files; None omits one."""
    folder.mkdir(parents=True)
    texts = {
        "ganeti_api_version": "20\n",
        "parameters_list": "",
        "create": create,
        **dict.fromkeys(("import", "export", "rename", "verify"), "exit 0"),
        **files,
    }
    for name, text in texts.items():
        if text is not None:
            path = folder / name.replace("_list", ".list")
            is_script = "." not in path.name and name != "ganeti_api_version"
            path.write_text(f"#!/bin/sh\n{text}\n" if is_script else text)
            path.chmod(0o755 if is_script else 0o644)
    return osdef.load(folder.name, str(folder))


# -- reading ---------------------------------------------------------------------------


def test_the_example_is_valid():
    found = osdef.load("noop", str(EXAMPLE))
    assert (found.problem, found.full_names, found.parameters) == ("", ["noop"], ())
    assert (EXAMPLE / "parameters.list").read_text() == "", "Ganeti knows no comments in it"


def test_variants_make_full_names(tmp_path):
    found = make_os(tmp_path / "debian", variants_list="# all\n\nbuster\n big \n")
    assert found.full_names == ["debian+buster", "debian+big"]


def test_parameters_have_names_and_descriptions(tmp_path):
    found = make_os(tmp_path / "debian", parameters_list="DHCP\tuse dhcp or not\nsize\n")
    assert found.parameters == (("DHCP", "use dhcp or not"), ("size", ""))


@pytest.mark.parametrize("versions, newest", [("20\n15\n10\n", 20), ("10\n", 10), ("15\n99\n", 15)])
def test_the_newest_version_that_both_know_is_used(tmp_path, versions, newest):
    assert make_os(tmp_path / "os", ganeti_api_version=versions).api_version == newest


def test_an_old_definition_needs_no_new_files(tmp_path):
    found = make_os(
        tmp_path / "old",
        ganeti_api_version="10\n",
        parameters_list=None,
        verify=None,
        variants_list="ignored\n",
    )
    assert found.valid and found.variants == ()


@pytest.mark.parametrize(
    "files, words",
    [
        ({"ganeti_api_version": None}, "ganeti_api_version is missing"),
        ({"ganeti_api_version": "new\n"}, "must contain only numbers"),
        ({"ganeti_api_version": ""}, "must contain only numbers"),
        ({"ganeti_api_version": "5\n99\n"}, r"API versions \(5, 99\)"),
        ({"verify": None}, "the script verify is missing"),
        ({"export": None}, "the script export is missing"),
        ({"parameters_list": None}, "parameters.list is missing"),
        ({"create": None, "create_untrusted": "exit 0"}, "create_untrusted .* does not support"),
        ({"create_untrusted": "exit 0"}, "create_untrusted .* does not support"),
    ],
)
def test_a_defect_makes_a_definition_invalid(tmp_path, files, words):
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


def test_an_earlier_directory_on_the_path_hides_later_ones(tmp_path):
    make_os(tmp_path / "a/noop", variants_list="first\n")
    make_os(tmp_path / "b/noop")
    make_os(tmp_path / "b/os10")
    make_os(tmp_path / "b/os9", create="exit 0", verify=None)
    (tmp_path / "b/.hidden").mkdir()
    (tmp_path / "b/file").write_text("")
    path = [str(tmp_path / name) for name in ("none", "a", "b")]
    assert [name for found in osdef.scan(path) for name in found.full_names] == [
        "noop+first",
        "os9",
        "os10",
    ]
    assert [found.valid for found in osdef.scan(path)] == [True, False, True]
    assert osdef.find(path, "noop+first").variants == ("first",)
    assert osdef.find(path, "os10").path == str(tmp_path / "b/os10")


@pytest.mark.parametrize("name", ["none", "../noop", "", ".", "a/b", "no op"])
def test_an_unknown_name_finds_nothing(tmp_path, name):
    make_os(tmp_path / "os/noop")
    assert osdef.find([str(tmp_path / "os")], name) is None


# -- may it be used ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "variants, name, force",
    [
        ("big\n", "debian+big", False),
        ("big\n", "debian+other", True),
        ("big\n", "debian", True),
        ("", "debian", False),
        ("", "debian+", False),
        ("", "debian+big", True),
    ],
)
def test_a_known_variant_fits_and_a_forced_one_or_none_passes(tmp_path, variants, name, force):
    osdef.check_variant(make_os(tmp_path / "debian", variants_list=variants), name, force=force)


@pytest.mark.parametrize(
    "variants, name, force, words",
    [
        ("big\n", "debian", False, "must include a variant, one of debian.big"),
        ("big\n", "debian+", False, "must include a variant"),
        ("big\n", "debian+other", False, "Unknown variant 'other'"),
        ("", "debian+big", False, "has no variants"),
        *[
            ("big\n", f"debian+{odd}", True, "Invalid variant")
            for odd in ("a/b", "../x", "a b", "a\0b", "x" * 200, "é")
        ],
    ],
)
def test_a_variant_that_does_not_fit_is_wrong_input(tmp_path, variants, name, force, words):
    definition = make_os(tmp_path / "debian", variants_list=variants)
    with pytest.raises(errors.OpPrereqError, match=words) as caught:
        osdef.check_variant(definition, name, force=force)
    assert caught.value.code == "wrong_input"


def test_an_unknown_parameter_is_wrong_input(tmp_path):
    found = make_os(tmp_path / "os", parameters_list="dhcp x\n")
    osdef.check_parameters(found, {"dhcp": "yes"})
    with pytest.raises(errors.OpPrereqError, match="no parameter named DHCP, disk, ram"):
        osdef.check_parameters(found, {"ram": 1, "disk": 2, "DHCP": "no"})


@pytest.mark.parametrize("version", ["10\n", "15\n10\n"])
def test_older_definitions_take_any_parameter(tmp_path, version):
    osdef.check_parameters(make_os(tmp_path / "os", ganeti_api_version=version), {"any": "1"})


@pytest.mark.parametrize(
    "kinds, words",
    [
        (["P", "p"], "'P' and 'p' cannot be used together.* OSP_P$"),
        (["a-b", "A_B"], "'a-b' and 'A_B' cannot be used together.* OSP_A_B$"),
        ([["x"], ["x"], []], "'x' is given more than once"),
        ([[], ["dhcp"], ["DHCP"]], "'dhcp' and 'DHCP' cannot be used together"),
        ([["a_b"], [], ["a-b"]], "'a_b' and 'a-b' cannot be used together"),
    ],
)
def test_two_parameters_of_one_variable_are_wrong_input(kinds, words):
    kinds = [kinds] if isinstance(kinds[0], str) else kinds
    with pytest.raises(errors.OpPrereqError, match=words) as caught:
        osdef.check_variables(*kinds)
    assert caught.value.code == "wrong_input"
    osdef.check_variables(["a", "b"], ["a-c"], ["a_d"])


@pytest.mark.parametrize("value", [None, True, 1.5, ["a"], {"a": 1}, "a\0b", "\ud800"])
def test_only_texts_and_whole_numbers_are_values(value):
    assert (osdef.text_of("x", 8), osdef.text_of("x", "é")) == ("8", "é")
    with pytest.raises(errors.OpPrereqError, match="'x' must be a string"):
        osdef.text_of("x", value)


# -- what scripts see ----------------------------------------------------------------------


@pytest.fixture
def config(tmp_path):
    store, made, _ = make_cluster(tmp_path / "cluster")
    yield made
    made.ssconf.flush()
    store.close()


def web(config):
    disks = [
        Disk(uuid="d0", dev_type="file", size=1024, name="root", logical_id=["loop", "/x"]),
        Disk(uuid="d1", dev_type="plain", size=10, mode="ro", logical_id=["vg", "lv"]),
    ]
    nics = [
        Nic(uuid="n0", mac="aa:00:00:00:00:01", ip="192.0.2.9"),
        Nic(uuid="n1", mac="aa:00:00:00:00:02", name="lan", nicparams={"mode": "routed"}),
    ]
    return make_instance(
        config,
        "web.example.com",
        os="debian+big",
        disks=disks,
        nics=nics,
        hypervisor="kvm",
        secondary_nodes=["n2", "n3"],
    )


def environment(config, definition, **values):
    instance = web(config)
    return osdef.environment(
        definition,
        osdef.ScriptInput(
            **{
                "instance": instance,
                "beparams": config.beparams(instance),
                "hvparams": config.hvparams(instance),
                "disk_paths": ["/x", "/dev/vg/lv"],
                "nicparams": [*map(config.nicparams, instance.nics)],
                **values,
            }
        ),
    )


def test_the_environment_has_what_the_recordings_lack(config, tmp_path):
    """Check what ``test_osdef_recorded``, which compares with Ganeti, does not."""
    found = environment(
        config,
        make_os(tmp_path / "debian", variants_list="big\n"),
        osparams={"dhcp": "yes", "root-size": 8},
        debug_level=3,
    )
    expected = {
        "OS_VARIANT": "big",
        "DEBUG_LEVEL": "3",
        "INSTANCE_SECONDARY_NODES": "n2 n3",
        "HYPERVISOR": "kvm",
        "DISK_1_ACCESS": "ro",
        "DISK_1_PATH": "/dev/vg/lv",
        "DISK_1_BACKEND_TYPE": "block",
        "OSP_DHCP": "yes",
        "OSP_ROOT_SIZE": "8",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert not {"NIC_1_BRIDGE", "NIC_1_IP", "DISK_1_NAME", "INSTANCE_REINSTALL"} & found.keys()


# -- running ---------------------------------------------------------------------------------


def job(cancel=None):
    return JobContext(
        7, cancel or threading.Event(), begin=lambda: None, log=lambda kind, text: None
    )


def canceled():
    cancel = threading.Event()
    cancel.set()
    return job(cancel)


@pytest.fixture
def run_create(config, tmp_path):
    """Run a create script of one line for an instance without disks, and return its log."""

    def run(line, of=None, reinstall=False, hidden=None):
        definition = make_os(tmp_path / "os/noop", line)
        instance = make_instance(config, "web")
        osdef.run_create(
            definition,
            osdef.ScriptInput(instance, osparams=hidden or {}),
            config.paths,
            of or job(),
            reinstall=reinstall,
            hidden=hidden or {},
        )
        (name,) = os.listdir(config.paths.os_log_dir)
        return name, Path(f"{config.paths.os_log_dir}/{name}").read_text()

    return run


def test_each_run_has_its_own_log(run_create):
    name, text = run_create("echo for $INSTANCE_NAME in $(pwd), ${INSTANCE_REINSTALL:-new}")
    assert name.startswith("add-noop-web-") and name.endswith("-job7.log")
    assert text.startswith("for web in /") and text.endswith("/os/noop, new\n")


def test_a_script_knows_that_it_reinstalls(run_create):
    name, text = run_create("echo $INSTANCE_REINSTALL", reinstall=True)
    assert (name.startswith("reinstall-noop-web-"), text) == (True, "1\n")


def test_a_failure_quotes_the_end_of_the_log(run_create):
    with pytest.raises(
        errors.OpExecError,
        match=r"(?s)'noop' failed for 'web' \(exit code 4\).*"
        r"add-noop-web-.*last lines:\nno disk$",
    ):
        run_create("echo no disk; exit 4")


def test_a_silent_failure_says_so(run_create):
    with pytest.raises(errors.OpExecError, match=r"\(empty\)$"):
        run_create("exit 1")


@pytest.mark.parametrize("secret", ["hunter2", "7", "k", "two\nlines of it", "it's"])
def test_a_secret_is_not_quoted(run_create, secret):
    with pytest.raises(errors.OpExecError) as caught:
        run_create('echo pass "$OSP_PASSWORD"; exit 1', hidden={"password": secret})
    assert str(caught.value).endswith("last lines:\npass <redacted>")


def test_a_script_that_cannot_be_run_is_an_error_of_the_execution(run_create, config):
    os.rmdir(config.paths.os_log_dir)
    with pytest.raises(errors.OpExecError, match="cannot write .*No such file"):
        run_create("exit 0")


def test_a_canceled_job_ends_its_script(run_create):
    with pytest.raises(errors.JobCanceled):
        run_create("sleep 1000", of=canceled())


def test_children_of_a_script_that_failed_end_wherever_they_hide(run_create, tmp_path):
    os.mkfifo(tmp_path / "alive")
    reader = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(errors.OpExecError):
        run_create(
            f"exec 9>{tmp_path}/alive; setsid sleep 1000 >/dev/null 2>&1 & "
            f"echo >{tmp_path}/alive; exit 1"
        )
    assert (os.read(reader, 2), os.read(reader, 1)) == (b"\n", b""), "it still holds its end"
    os.close(reader)


# -- the names of logs -------------------------------------------------------------------------


@pytest.mark.parametrize("os_name", ["noop", "o" * 128 + "+" + "v" * 128])
def test_the_name_of_a_log_fits_the_limit_of_file_names(config, os_name):
    logs = {
        osdef.log_of("reinstall", os_name, name, config.paths, 10**18)
        for name in ("a" * 253, "a" * 252 + "b", "web")
    }
    assert len(logs) == 3
    for log in logs:
        Path(log).touch()


def test_short_names_are_whole_in_the_name_of_a_log(config):
    name = "a" * 100 + ".example.com"
    assert f"/add-debian+big-{name}-2" in osdef.log_of("add", "debian+big", name, config.paths, 7)


# -- checking values ---------------------------------------------------------------------------


def verify(tmp_path, line, parameters=None, hidden=None, of=None, version="20\n"):
    definition = make_os(
        tmp_path / "os/linux", verify=line, variants_list="big\n", ganeti_api_version=version
    )
    osdef.run_verify(
        definition, "linux+big", {**(parameters or {}), **(hidden or {})}, of, hidden=hidden or {}
    )


def test_verify_sees_parameters_and_no_instance(tmp_path):
    verify(
        tmp_path,
        f"{{ echo $#$1; pwd; env -u PWD -u _ -u SHLVL -u OLDPWD; }} >{tmp_path}/out",
        {"dhcp": "yes"},
        {"pw": "x"},
        job(),
    )
    assert sorted((tmp_path / "out").read_text().splitlines()) == sorted(
        [
            "1parameters",
            f"{tmp_path}/os/linux",
            "PATH=/sbin:/bin:/usr/sbin:/usr/bin",
            "OS_API_VERSION=20",
            "OS_NAME=linux",
            "OS_VARIANT=big",
            "DEBUG_LEVEL=0",
            "OSP_DHCP=yes",
            "OSP_PW=x",
        ]
    )


@pytest.mark.parametrize(
    "line, words",
    [
        (
            "echo first; echo no such image >&2; exit 3",
            r"'linux\+big', which checks .*\(exit code 3\), last lines:\nfirst\nno such image$",
        ),
        ("exit 1", r"\(exit code 1\) without any output$"),
        ("kill -9 $$", "killed by signal 9"),
        ("echo with $OSP_PW; exit 1", "with <redacted>$"),
    ],
)
def test_what_verify_says_is_in_the_error(tmp_path, line, words):
    with pytest.raises(errors.OpExecError, match=words):
        verify(tmp_path, line, hidden={"pw": "hush"}, of=job())


def test_verify_ends_after_its_time_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(osdef, "VERIFY_SECONDS", 0.0)
    with pytest.raises(errors.OpExecError, match="not done after 0 seconds"):
        verify(tmp_path, "exec sleep 1000")


def test_a_canceled_job_ends_verify(tmp_path):
    with pytest.raises(errors.JobCanceled):
        verify(tmp_path, "exec sleep 1000", of=canceled())


@pytest.mark.parametrize("version", ["10\n", "15\n"])
def test_older_definitions_are_not_verified(tmp_path, version):
    verify(tmp_path, "exit 1", version=version)
