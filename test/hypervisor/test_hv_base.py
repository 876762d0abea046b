"""Behaviour that every hypervisor driver must have."""

import pytest

from ganeti import errors
from ganeti.hypervisor import DRIVERS
from ganeti.hypervisor.hv_base import Guest, StartParameters
from support.cluster import make_cluster, make_instance


@pytest.fixture(params=sorted(DRIVERS))
def driver(request, tmp_path):
    return DRIVERS[request.param](str(tmp_path / "state"))


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a guest with the driver of the test."""
    store, config, _ = make_cluster(tmp_path / "cluster")

    def started(driver, name="web.example.com", memory=256):
        instance = make_instance(config, name, hypervisor=driver.NAME)
        driver.start(
            StartParameters(instance, memory, config.beparams(instance), config.hvparams(instance))
        )
        return name

    yield started
    store.close()


def test_a_new_node_has_no_guests(driver):
    assert driver.guests() == {}
    assert driver.guest("web.example.com") is None
    assert driver.problems() == []


def test_a_started_guest_is_seen(driver, start):
    name = start(driver)
    assert driver.guests() == {name: Guest(name, 256, 1)}
    assert driver.guest(name) == Guest(name, 256, 1)


def test_a_running_guest_is_not_started_again(driver, start):
    name = start(driver)
    with pytest.raises(errors.HypervisorError, match=name):
        start(driver)


@pytest.mark.parametrize("force", [True, False])
def test_a_stopped_guest_is_gone_and_stopping_again_harmless(driver, start, force):
    name = start(driver)
    driver.stop(name, timeout=0, force=force)
    driver.stop(name, timeout=0, force=force)
    assert driver.guest(name) is None and driver.guests() == {}


def test_a_rebooted_guest_is_the_same(driver, start):
    name = start(driver)
    driver.reboot(name)
    assert driver.guest(name) == Guest(name, 256, 1)


def test_a_guest_that_is_off_is_not_rebooted(driver):
    with pytest.raises(errors.HypervisorError, match="web"):
        driver.reboot("web")
    assert driver.guest("web") is None


def test_guests_do_not_disturb_each_other(driver, start):
    start(driver, "a", 100)
    start(driver, "b", 200)
    driver.stop("a", timeout=0, force=True)
    assert driver.guests() == {"b": Guest("b", 200, 1)}
