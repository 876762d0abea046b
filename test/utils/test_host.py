"""Facts about this machine, from files like the kernel's."""

import os
from unittest import mock

from ganeti.utils import host


def test_memory_is_told_in_mib(tmp_path):
    (tmp_path / "meminfo").write_text(
        "MemTotal:  2048000 kB\nMemFree: 1 kB\nMemAvailable:   1024000 kB\nHugePages_Total:  0\n"
    )
    assert host.memory(str(tmp_path / "meminfo")) == host.Memory(2000, 1000)


def test_this_machine_has_memory_cpus_and_a_boot_id():
    assert 0 < host.memory().available <= host.memory().total
    cpus = host.cpus()
    assert cpus.total >= cpus.sockets >= 1 and cpus.nodes >= 1
    assert len(host.boot_id()) == 36


def test_nodes_and_sockets_are_counted(tmp_path):
    for cpu, socket in enumerate("0011"):
        topology = tmp_path / f"cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{socket}\n")
    for name in ("node0", "node1", "power"):
        (tmp_path / "node" / name).mkdir(parents=True)
    found = host.cpus(str(tmp_path))
    assert (found.nodes, found.sockets) == (2, 2)


def test_what_the_kernel_does_not_tell_counts_as_one(tmp_path):
    found = host.cpus(str(tmp_path / "nothing"))
    assert (found.total, found.nodes, found.sockets) == (os.cpu_count(), 1, 1)
    assert host.boot_id(str(tmp_path / "nothing")) == ""


def test_a_directory_to_be_is_on_the_disk_of_its_parent(tmp_path):
    total, free = host.disk(str(tmp_path / "a/b/c"))
    assert (total, total >= free > 0) == (host.disk(str(tmp_path))[0], True)


def test_own_addresses_are_found_without_asking_anybody(tmp_path):
    (tmp_path / "fib").write_text(
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n"
        "     |-- 192.0.2.7\n        /32 host LOCAL\n     |-- 192.0.2.0\n        /24 link UNICAST\n"
        "     |-- 169.254.1.1\n        /32 host LOCAL\n"
    )
    (tmp_path / "inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "20010db8000000000000000000000005 02 40 00 80     eth0\n"
        "fe80000000000000b3a5fffe2d51b1e0 02 40 20 80     eth0\n"
    )
    assert host.addresses(str(tmp_path / "fib"), str(tmp_path / "inet6")) == [
        "192.0.2.7",
        "2001:0db8:0000:0000:0000:0000:0000:0005",
    ]
    assert host.addresses(str(tmp_path / "x"), str(tmp_path / "x")) == []


def test_the_name_is_the_kernels_unless_it_is_given():
    assert host.name({}) == os.uname().nodename
    assert host.name({"GANETI_HOSTNAME": "other"}) == "other"


def test_a_short_name_may_have_a_long_one(monkeypatch):
    monkeypatch.delenv("GANETI_HOSTNAME", raising=False)
    with (
        mock.patch("socket.gethostname", return_value="n"),
        mock.patch("socket.getfqdn", return_value="n.example.com"),
    ):
        assert host.own_names() == {"n", "n.example.com"}
    assert host.renamed("old", {"b", "a"}).startswith("this machine is called a or b now")
