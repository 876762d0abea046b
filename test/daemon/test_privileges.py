"""A daemon's user, the directories that it creates, and its message about a permission."""

import errno
import os
import stat
from types import SimpleNamespace

import pytest

from ganeti.daemon import DaemonError, privileges
from support.cluster import make_paths

MASTER, RAPI, GROUP = "gnt-masterd", "gnt-rapi", "gnt-daemons"
UIDS = {MASTER: 101, RAPI: 102}


@pytest.fixture
def machine(monkeypatch):
    """Act as root on a machine that has these users and groups only."""

    def make(*names, me=0):
        def look(table):
            return lambda name: table[name]

        monkeypatch.setattr(
            privileges.pwd,
            "getpwnam",
            look(
                {name: SimpleNamespace(pw_uid=uid) for name, uid in UIDS.items() if name in names}
            ),
        )
        monkeypatch.setattr(
            privileges.grp,
            "getgrnam",
            look({GROUP: SimpleNamespace(gr_gid=103)} if GROUP in names else {}),
        )
        monkeypatch.setattr(os, "geteuid", lambda: me)

    return make


def test_only_root_changes_user(machine):
    machine(MASTER, RAPI, GROUP, me=1000)
    privileges.become_user(MASTER, GROUP)
    assert not privileges.stays_root(MASTER)


def test_root_takes_the_users_groups(machine, monkeypatch):
    calls = []
    for name in ("initgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda *args, name=name: calls.append((name, args[-1])))
    machine(MASTER, RAPI, GROUP)
    privileges.become_user(MASTER, GROUP)
    assert calls == [("initgroups", 103), ("setgid", 103), ("setuid", 101)]


def test_log_and_pid_file_are_the_daemons_before_anything_can_fail(machine, monkeypatch):
    calls = []
    machine(MASTER, RAPI, GROUP)
    monkeypatch.setattr(privileges.log, "own_files", lambda *ids: calls.append(("log", ids)))
    monkeypatch.setattr(os, "fchown", lambda fd, *ids: calls.append((fd, ids)))
    privileges.give_files(MASTER, GROUP, [7])
    assert calls == [("log", (101, 103)), (7, (101, 103))]


def test_without_any_of_the_accounts_root_stays_root(machine, caplog):
    machine()
    privileges.become_user(MASTER, GROUP)
    assert "continuing as root" in caplog.text and privileges.stays_root(MASTER)
    assert privileges.find_accounts([MASTER, RAPI]) is None


@pytest.mark.parametrize(
    "names, wanted, lacking",
    [
        ((MASTER, GROUP), [MASTER, RAPI], f"user {RAPI}"),
        ((MASTER, GROUP), [RAPI], f"user {RAPI}"),
        ((RAPI, GROUP), [MASTER], f"user {MASTER}"),
        ((GROUP,), [MASTER, RAPI], f"user {MASTER} and user {RAPI}"),
        ((MASTER, RAPI), [MASTER, RAPI], f"group {GROUP}"),
        ((MASTER,), [RAPI], f"user {RAPI} and group {GROUP}"),
    ],
)
def test_half_of_the_accounts_is_an_error_with_its_cure(machine, names, wanted, lacking):
    machine(*names)
    with pytest.raises(DaemonError) as caught:
        privileges.find_accounts(wanted)
    words, _, commands = str(caught.value).partition("; as root: ")
    assert f"but not the {lacking}" in words and "\n" not in str(caught.value)
    assert [
        f"useradd --system --user-group --groups {GROUP} {user}" in commands for user in wanted
    ] == [user not in names for user in wanted]
    assert (f"groupadd --system {GROUP}" in commands) == (GROUP not in names)
    assert not privileges.stays_root(wanted[0])


@pytest.mark.parametrize("user", [MASTER, RAPI])
def test_a_daemon_needs_its_own_user_only(machine, user):
    machine(user, GROUP)
    assert privileges.find_accounts([user]) == ((UIDS[user],), 103)


def test_below_a_root_of_its_own_root_stays_root(machine):
    machine(MASTER, RAPI, GROUP)
    privileges.become_user("", GROUP)
    assert privileges.stays_root("")


# -- permissions -----------------------------------------------------------------------------


def denied(path):
    return PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def explain(monkeypatch, path, *, me, user):
    monkeypatch.setattr(os, "geteuid", lambda: me)
    names = {0: "root", 1000: "joe", **{uid: name for name, uid in UIDS.items()}}
    monkeypatch.setattr(privileges.pwd, "getpwuid", lambda uid: SimpleNamespace(pw_name=names[uid]))
    return privileges.explain_permission(denied(path), user)


def test_a_daemon_started_by_somebody_else_says_by_whom(monkeypatch):
    assert explain(monkeypatch, "/x/y", me=1000, user=MASTER) == (
        "must be started by root or gnt-masterd, not by joe (/x/y: Permission denied)"
    )


def test_files_of_another_user_have_a_cure(monkeypatch, tmp_path):
    os.chmod(tmp_path, 0o700)
    found = explain(monkeypatch, tmp_path / "master.lock", me=101, user=MASTER)
    assert found.startswith(f"{tmp_path}/master.lock: Permission denied for gnt-masterd")
    assert f"({tmp_path} belongs to " in found and "mode 0700" in found
    assert found.endswith("; as root: ganeti-cluster ensure-dirs")


def test_below_a_root_of_its_own_its_maker_is_meant(monkeypatch, tmp_path):
    found = explain(monkeypatch, tmp_path, me=1000, user="")
    assert "ensure-dirs" not in found and found.endswith("the user who created the cluster")


def test_root_is_stopped_by_something_else(monkeypatch):
    assert "although this is root" in explain(monkeypatch, "/x", me=0, user=MASTER)


def test_an_error_without_a_file_is_told_too(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() or 1)
    found = privileges.explain_permission(PermissionError(errno.EPERM, "Not permitted"), "")
    assert found.startswith("Not permitted for ") and "[Errno" not in found


# -- directories -----------------------------------------------------------------------------


def test_directories_that_a_reboot_took_are_made_again(tmp_path):
    paths = make_paths(tmp_path)
    privileges.make_directories(paths)
    os.chmod(paths.socket_dir, 0o700)
    privileges.make_directories(paths)
    assert stat.S_IMODE(os.stat(paths.run_dir).st_mode) == 0o775
    assert stat.S_IMODE(os.stat(paths.socket_dir).st_mode) == 0o700, "it was there already"
