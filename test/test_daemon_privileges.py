"""Whom a daemon runs as, and the directories that it makes."""

import os
import stat

from testutils import make_paths

from ganeti.daemon import privileges


def test_only_root_changes_user(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    privileges.become_user("nosuchuser", "nosuchgroup")


def test_root_takes_the_users_groups(monkeypatch):
    calls = []
    for name in ("initgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda *args, name=name: calls.append((name, args[-1])))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(privileges.log, "own_files", lambda *ids: calls.append(("log", ids)))
    privileges.become_user("daemon", "daemon")
    assert [name for name, _ in calls] == ["log", "initgroups", "setgid", "setuid"]


def test_directories_that_a_reboot_took_are_made_again(tmp_path):
    paths = make_paths(tmp_path)
    privileges.make_directories(paths)
    os.chmod(paths.socket_dir, 0o700)
    privileges.make_directories(paths)
    assert stat.S_IMODE(os.stat(paths.run_dir).st_mode) == 0o775
    assert stat.S_IMODE(os.stat(paths.socket_dir).st_mode) == 0o700, "it was there already"
