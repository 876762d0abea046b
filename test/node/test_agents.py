"""Nodes: this machine and simulated ones, their resources, disks, guests and failures."""

import os
import threading
from pathlib import Path

import pytest

from ganeti import errors
from ganeti.hypervisor import Guest
from ganeti.jqueue.live import JobContext
from ganeti.objects import Disk, copy_of
from ganeti.utils import host
from support.cluster import make_cluster, make_instance, save

LOCAL, SIMULATED, OTHER = (f"node{number}.example.com" for number in (1, 2, 3))


@pytest.fixture
def cluster(tmp_path):
    store, config, nodes = make_cluster(
        tmp_path, [f"{LOCAL}:4096:100G:4", f"{SIMULATED}:4096:100G:4", f"{OTHER}:4096:100G:4"]
    )
    yield config, nodes
    config.ssconf.flush()
    store.close()


@pytest.fixture
def config(cluster):
    return cluster[0]


@pytest.fixture
def agent(cluster):
    """Return a function that finds the agent of a node by name."""
    config, nodes = cluster
    return lambda name: nodes.agent(config.node(name))


def disk(config, template, uuid="d0", size=1024, nodes=(SIMULATED, OTHER)):
    places = {
        "file": ["loop", f"{config.cluster.file_storage_dir}/web/{uuid}"],
        "plain": ["xenvg", uuid],
        "drbd": [*(config.node(name).uuid for name in nodes), 11000, 0, 0, "secret"],
    }
    return Disk(uuid=uuid, dev_type=template, size=size, logical_id=places[template])


def web(config, node=LOCAL, template="diskless", sizes=(), **values):
    disks = [disk(config, template, f"d{index}", size) for index, size in enumerate(sizes)]
    return make_instance(config, "web", node, disk_template=template, disks=disks, **values)


def set_offline(config, name):
    node = copy_of(config.node(name))
    node.offline = True
    save(config, node)


def set_failed(config, name, fails=True):
    path = Path(config.paths.simulated_failure(name))
    path.touch() if fails else path.unlink()


both = pytest.mark.parametrize("name", [LOCAL, SIMULATED])


# -- resources -----------------------------------------------------------------------------


@both
def test_given_resources_are_reported(agent, name):
    resources = agent(name).resources()
    assert (resources.memory_total, resources.memory_free, resources.memory_node) == (4096, 4096, 0)
    assert (resources.disk_total, resources.disk_free) == (102400, 102400)
    assert (resources.cpu_total, resources.cpu_node) == (4, 4)
    assert len(resources.bootid) == 36


def test_this_machine_reports_its_own_resources_where_none_are_given(tmp_path):
    store, config, nodes = make_cluster(tmp_path, [LOCAL])
    resources = nodes.agent(config.master).resources()
    assert resources.memory_total == host.memory().total
    assert 0 < resources.memory_free <= resources.memory_total
    assert resources.memory_node + resources.memory_free <= resources.memory_total
    assert resources.disk_total == host.disk(str(tmp_path))[0]
    assert resources.cpu_total == os.cpu_count()
    store.close()


def test_a_simulated_node_has_default_resources_where_none_are_given(tmp_path):
    store, config, nodes = make_cluster(tmp_path, [LOCAL, SIMULATED])
    resources = nodes.agent(config.node(SIMULATED)).resources()
    assert (resources.memory_total, resources.disk_total, resources.cpu_total) == (16384, 524288, 8)
    store.close()


@both
def test_running_guests_take_memory(config, agent, name):
    instance = web(config, name, beparams={"minmem": 512, "maxmem": 1024})
    agent(name).start(instance)
    assert agent(name).resources().memory_free == 4096 - 1024
    agent(name).stop(instance, timeout=0, force=False)
    assert agent(name).resources().memory_free == 4096


def test_free_memory_is_never_less_than_nothing(config, agent):
    agent(LOCAL).start(web(config, beparams={"minmem": 5000, "maxmem": 9000}))
    assert agent(LOCAL).resources().memory_free == 0
    assert agent(LOCAL).guest("web").memory == 5000


@pytest.mark.parametrize(
    "name, template, used",
    [
        (LOCAL, "file", 3072),
        (SIMULATED, "file", 3072),
        (SIMULATED, "plain", 3072),
        (SIMULATED, "drbd", 3072 + 2 * 128),
    ],
)
def test_disks_take_space(config, agent, name, template, used):
    instance = web(config, name, template, [1024, 2048])
    agent(name).create_disks(instance, lambda text: None)
    assert agent(name).resources().disk_free == 102400 - used
    agent(name).remove_disks(instance)
    assert agent(name).resources().disk_free == 102400


def test_a_mirrored_disk_takes_space_on_both_nodes(config, agent):
    agent(SIMULATED).create_disks(web(config, SIMULATED, "drbd", [1024]), lambda text: None)
    assert agent(OTHER).resources().disk_free == 102400 - 1024 - 128


# -- guests --------------------------------------------------------------------------------


@both
def test_a_guest_lives_and_dies_on_its_node_alone(config, agent, name):
    instance = web(config, name, beparams={"vcpus": 2})
    agent(name).start(instance)
    assert agent(name).guests() == {"web": Guest("web", 128, 2)}
    assert [agent(other).guest("web") for other in (LOCAL, SIMULATED, OTHER) if other != name] == [
        None,
        None,
    ]
    agent(name).stop(instance, timeout=0, force=True)
    assert agent(name).guests() == {}


@both
def test_starting_a_running_guest_and_stopping_one_that_is_off_do_no_harm(config, agent, name):
    instance = web(config, name)
    agent(name).stop(instance, timeout=0, force=False)
    agent(name).start(instance)
    agent(name).start(instance, paused=True)
    assert agent(name).guest("web") == Guest("web", 128, 1)


def test_a_guest_whose_disk_leads_elsewhere_does_not_start(config, agent, tmp_path):
    instance = web(config, template="file", sizes=[1024])
    os.symlink(tmp_path, f"{config.cluster.file_storage_dir}/web")
    with pytest.raises(errors.FileStoragePathError):
        agent(LOCAL).start(instance)
    assert agent(LOCAL).guest("web") is None


@pytest.mark.parametrize("reboot_type, memory", [("soft", 128), ("hard", 128), ("full", 256)])
def test_only_a_full_reboot_takes_new_parameters(config, agent, reboot_type, memory):
    instance = web(config)
    agent(LOCAL).start(instance)
    instance.beparams = {"minmem": 256, "maxmem": 256}
    agent(LOCAL).reboot(instance, reboot_type)
    assert agent(LOCAL).guest("web").memory == memory


def test_a_missing_hypervisor_is_an_error(config, agent):
    with pytest.raises(errors.HypervisorError, match="no hypervisor 'kvm'"):
        agent(LOCAL).start(web(config, hypervisor="kvm"))


def test_the_state_file_of_this_machine_is_where_ganeti_has_it(config, agent):
    agent(LOCAL).start(web(config))
    os.unlink(config.paths.fake_guest("web"))
    assert agent(LOCAL).guest("web") is None


# -- disks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, template",
    [(LOCAL, "file"), (SIMULATED, "file"), (SIMULATED, "plain"), (SIMULATED, "drbd")],
)
def test_disks_have_their_size_and_are_logged(config, agent, name, template):
    instance, log = web(config, name, template, [1, 2]), []
    agent(name).create_disks(instance, log.append)
    assert [os.stat(agent(name).disk_path(made)).st_size >> 20 for made in instance.disks] == [1, 2]
    assert ["disk 0" in log[0], "disk 1" in log[1]] == [True, True]


def test_files_of_every_node_are_where_the_configuration_says(config, agent):
    instance = web(config, SIMULATED, "file", [1])
    agent(SIMULATED).create_disks(instance, lambda text: None)
    assert os.path.exists(instance.disks[0].logical_id[1])


@pytest.mark.parametrize("name, template", [(LOCAL, "file"), (SIMULATED, "drbd")])
def test_disks_are_removed_again_when_a_later_one_fails(config, agent, name, template):
    instance = web(config, name, template, [1, 1])
    instance.disks[1].uuid = instance.disks[0].uuid  # the same place twice
    instance.disks[1].logical_id = instance.disks[0].logical_id
    with pytest.raises(errors.BlockDeviceError, match="already"):
        agent(name).create_disks(instance, lambda text: None)
    assert agent(name).resources().disk_free == 102400


def test_volumes_cannot_be_on_this_machine(config, agent):
    with pytest.raises(errors.BlockDeviceError, match="template 'plain'"):
        agent(LOCAL).create_disks(web(config, LOCAL, "plain", [1]), lambda text: None)


def test_a_mirror_is_not_made_in_half(config, agent):
    set_failed(config, OTHER)
    with pytest.raises(errors.HypervisorError, match=OTHER):
        agent(SIMULATED).create_disks(web(config, SIMULATED, "drbd", [1]), lambda text: None)
    assert agent(SIMULATED).resources().disk_free == 102400


# -- nodes that do not answer ----------------------------------------------------------------


def every_question(config, agent, name):
    """Return a call of everything that an agent can do."""
    instance = web(config, name, "file", [1])
    return [
        agent.resources,
        agent.guests,
        lambda: agent.guest("web"),
        agent.os_definitions,
        lambda: agent.start(instance),
        lambda: agent.reboot(instance, "hard"),
        lambda: agent.stop(instance, timeout=0, force=True),
        lambda: agent.create_disks(instance, lambda text: None),
        lambda: agent.remove_disks(instance),
        lambda: agent.os_definition("noop"),
    ]


@pytest.mark.parametrize(
    "make, words", [(set_failed, "does not answer"), (set_offline, "is offline")]
)
def test_nothing_is_done_on_a_node_that_does_not_answer(config, agent, make, words):
    make(config, SIMULATED)
    for question in every_question(config, agent(SIMULATED), SIMULATED):
        with pytest.raises(errors.HypervisorError, match=f"'{SIMULATED}' {words}"):
            question()
    assert not agent(SIMULATED).alive() and agent(LOCAL).alive()
    assert words in agent(SIMULATED).problems()[0]


def test_an_offline_node_has_no_disk_paths(config, agent):
    set_offline(config, SIMULATED)
    with pytest.raises(errors.HypervisorError, match="offline"):
        agent(SIMULATED).disk_path(disk(config, "plain"))


def test_a_mirror_on_an_offline_node_is_not_removed_silently(config, agent):
    instance = web(config, SIMULATED, "drbd", [1])
    agent(SIMULATED).create_disks(instance, lambda text: None)
    set_offline(config, OTHER)
    with pytest.raises(errors.HypervisorError, match=f"'{OTHER}' is offline"):
        agent(SIMULATED).remove_disks(instance)


def test_a_node_that_recovers_has_what_it_had(config, agent):
    agent(SIMULATED).start(web(config, SIMULATED))
    set_failed(config, SIMULATED)
    set_failed(config, SIMULATED, fails=False)
    assert list(agent(SIMULATED).guests()) == ["web"]
    assert agent(SIMULATED).alive() and agent(SIMULATED).problems() == []


# -- operating systems -----------------------------------------------------------------------


def make_os(config, name, create="exit 0", version="20\n"):
    folder = Path(config.paths.os_search_path[0]) / name
    folder.mkdir(parents=True)
    for script in ("create", "import", "export", "rename", "verify"):
        (folder / script).write_text(f"#!/bin/sh\n{create}\n")
        (folder / script).chmod(0o755)
    (folder / "ganeti_api_version").write_text(version)
    (folder / "parameters.list").write_text("word x\ncolour x\nkey x\npin x\n")


@both
def test_all_definitions_are_listed_with_the_broken_ones(config, agent, name):
    make_os(config, "noop")
    make_os(config, "broken", version="1\n")
    assert [(found.name, found.valid) for found in agent(name).os_definitions()] == [
        ("broken", False),
        ("noop", True),
    ]


@pytest.mark.parametrize("os_name, code", [("none", "unknown_entity"), ("broken", "wrong_input")])
def test_an_os_that_cannot_be_used_is_refused(config, agent, os_name, code):
    make_os(config, "broken", version="1\n")
    with pytest.raises(errors.OpPrereqError, match=f"'{os_name}'") as caught:
        agent(LOCAL).os_definition(os_name)
    assert caught.value.code == code


@pytest.mark.parametrize("name, template", [(LOCAL, "file"), (SIMULATED, "drbd")])
def test_a_create_script_finds_disks_and_parameters(config, agent, name, template, tmp_path):
    cluster = copy_of(config.cluster)
    cluster.osparams = {"noop": {"word": "cluster", "colour": "cluster"}}
    save(config, cluster)
    make_os(
        config,
        "noop",
        f"echo $OSP_WORD $OSP_COLOUR $OSP_KEY $OSP_PIN >{tmp_path}/out\n"
        "echo data >$DISK_0_PATH\n"
        f"echo $INSTANCE_SECONDARY_NODES >>{tmp_path}/out",
    )
    instance = web(
        config,
        name,
        template,
        [1],
        osparams={"colour": "own"},
        osparams_private={"key": "private"},
        secondary_nodes=[config.node(OTHER).uuid] if template == "drbd" else [],
    )
    agent(name).create_disks(instance, lambda text: None)
    run = JobContext(1, threading.Event(), begin=lambda: None, log=lambda text, kind: None)
    agent(name).run_os_create(instance, reinstall=False, run=run, secrets={"pin": "1234"})
    words = (tmp_path / "out").read_text().splitlines()
    assert words == ["cluster own private 1234", " ".join(instance.secondary_nodes)]
    assert Path(agent(name).disk_path(instance.disks[0])).read_text().startswith("data")
