"""Datagrams to the service manager."""

import array
import os
import socket
import threading
import time

import pytest

from ganeti.daemon import sd_notify


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """Yield a listening socket like a service manager's."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@ganeti-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name if name.startswith("/") else "\0" + name[1:])
        sock.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield sock


def said(manager):
    return dict(line.split("=") for line in manager.recv(4096).decode().splitlines())


def test_the_manager_is_told_a_daemons_states(manager):
    assert sd_notify.is_listening()
    before = time.monotonic_ns() // 1000
    for tell in (sd_notify.ready, sd_notify.reloading, sd_notify.stopping):
        tell()
    assert said(manager) == {"READY": "1"}
    reload = said(manager)
    assert reload.pop("RELOADING") == "1" and int(reload["MONOTONIC_USEC"]) >= before
    assert said(manager) == {"STOPPING": "1"}


def test_a_new_main_process_is_told_and_the_manager_waited_for(manager):
    sd_notify.main_pid(1234)
    assert said(manager) == {"MAINPID": "1234"}
    told = threading.Thread(target=sd_notify.barrier)
    told.start()
    message, ancillary, _, _ = manager.recvmsg(100, socket.CMSG_SPACE(4))
    assert message == b"BARRIER=1" and told.is_alive()
    ((_, _, data),) = ancillary
    os.close(array.array("i", data)[0])  # as the manager does after reading
    told.join(30)
    assert not told.is_alive()


def test_a_manager_that_does_not_read_holds_nobody_up(manager, monkeypatch):
    monkeypatch.setattr(sd_notify, "BARRIER_TIMEOUT", 0.01)
    sd_notify.barrier()


@pytest.mark.parametrize("name", ["", "vsock:2:1", "relative/path"])
def test_nothing_is_sent_where_nobody_listens(monkeypatch, name):
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    assert not sd_notify.is_listening()
    sd_notify.ready()
    sd_notify.barrier()


def test_a_socket_that_is_gone_is_no_reason_to_fail(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    sd_notify.ready()
    assert "READY=1" in caplog.text
