"""Claims of running jobs: no two jobs get the same thing, and released claims are gone."""

import pytest

from ganeti import errors
from ganeti.config.reservations import Reservations, read_mac


def make(macs=(), ports=(), minors=()):
    """Return reservations beside a configuration that uses these."""
    return Reservations(
        "aa:00:00",
        mac_in_use=lambda mac: mac in macs,
        port_in_use=lambda port: port in ports,
        minors_in_use=lambda node_uuid: minors,
    )


def test_generated_addresses_are_well_formed_and_different():
    reservations = make()
    macs = {reservations.generate_mac(1) for _ in range(50)}
    assert len(macs) == 50
    assert all(read_mac(mac) == mac and mac.startswith("aa:00:00:") for mac in macs)
    assert reservations.generate_mac(1, "02:11:22").startswith("02:11:22:")


def test_an_address_that_is_taken_is_refused():
    reservations = make(macs=["aa:00:00:00:00:01"])
    reservations.reserve_mac(1, "aa:00:00:00:00:02")
    for job, mac in ((2, "aa:00:00:00:00:01"), (2, "aa:00:00:00:00:02"), (1, "aa:00:00:00:00:02")):
        with pytest.raises(errors.OpPrereqError, match=mac) as caught:
            reservations.reserve_mac(job, mac)
        assert caught.value.code == "resource_not_unique"


def test_when_every_address_is_taken_the_search_ends():
    class Everything:
        def __contains__(self, mac):
            return True

    reservations = make(macs=Everything())
    with pytest.raises(errors.OpPrereqError) as caught:
        reservations.generate_mac(1)
    assert caught.value.code == "insufficient_resources"


def test_a_port_is_not_given_twice():
    reservations = make(ports=[11001])
    assert [reservations.reserve_port(job) for job in (1, 2, 1)] == [11000, 11002, 11003]


def test_ports_end_and_a_released_one_is_found_again():
    reservations = make(ports=set(range(11000, 15000)) - {11007})
    assert reservations.reserve_port(1) == 11007
    with pytest.raises(errors.OpPrereqError) as caught:
        reservations.reserve_port(2)
    assert caught.value.code == "insufficient_resources"
    reservations.release(1)
    assert reservations.reserve_port(2) == 11007


def test_minors_are_the_lowest_free_ones_of_each_node():
    reservations = make(minors=[0, 2])
    assert [reservations.reserve_minor(1, "a") for _ in range(3)] == [1, 3, 4]
    assert reservations.reserve_minor(2, "b") == 1


def test_a_released_address_is_free_again():
    reservations = make()
    reservations.reserve_mac(1, "aa:00:00:00:00:02")
    reservations.release(1)
    reservations.reserve_mac(2, "aa:00:00:00:00:02")


def test_addresses_are_stored_in_lower_case():
    assert read_mac("AA:00:00:0B:0c:0D") == "aa:00:00:0b:0c:0d"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aa:00:00",
        "aa-00-00-00-00-01",
        "aa:00:00:00:00:0g",
        5,
        None,
        "01:00:00:00:00:01",
        "aa:00:00:00:00:01 ",
        "\n",
    ],
)
def test_an_invalid_mac_address_is_refused(text):
    with pytest.raises(errors.OpPrereqError) as caught:
        read_mac(text)
    assert caught.value.code == "wrong_input"


def test_a_name_that_is_expected_is_found_by_its_beginning():
    reservations = make()
    reservations.expect_name(1, "c4.example.com", incomplete=False)
    for name in ("c4.example.com", "c4", "c4.example"):
        assert reservations.expected_name(name) == "c4.example.com"
    for name in ("c", "c4.example.com.x", "example.com"):
        assert reservations.expected_name(name) is None
    reservations.expect_name(2, "c4.example.org", incomplete=False)
    assert reservations.expected_name("c4") is None  # which of the two?
    reservations.release(1)
    assert reservations.expected_name("c4") == "c4.example.org"


def test_a_name_that_the_resolver_completes_is_expected_as_any_completion():
    reservations = make()
    reservations.expect_name(1, "web", incomplete=True)
    assert reservations.expected_name("web.example.com") == "web"
    assert reservations.expected_name("website") is None
