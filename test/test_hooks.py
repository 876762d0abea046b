"""The warning about hooks, which are not run."""

from pathlib import Path

import pytest

from ganeti import hooks
from support.cluster import make_paths


@pytest.fixture
def folder(tmp_path):
    made = Path(make_paths(tmp_path).conf_dir) / "hooks"
    made.mkdir(parents=True)
    return made


def make(path, mode=0o755):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)


def test_without_hooks_nothing_is_said(tmp_path, folder):
    assert hooks.notice(make_paths(tmp_path)) is None
    folder.rmdir()
    assert hooks.notice(make_paths(tmp_path)) is None


@pytest.mark.parametrize(
    "name, mode",
    [
        ("README", 0o755),
        ("instance-add-post.d/notes", 0o644),
        ("instance-add-post.d/10-dns~", 0o755),
        ("instance-add-post.d/dns.dpkg-old", 0o755),
        ("instance-add-post.d/more/dns", 0o755),
        ("instance-add.d/dns", 0o755),
    ],
)
def test_what_ganeti_would_not_run_is_no_hook(tmp_path, folder, name, mode):
    make(folder / name, mode)
    assert hooks.notice(make_paths(tmp_path)) is None


def test_hooks_are_counted_and_the_first_are_named(tmp_path, folder):
    for name in ("instance-add-post.d/dns", "cluster-verify-pre.d/10_check"):
        make(folder / name)
    line = hooks.notice(make_paths(tmp_path))
    assert line.startswith(
        f"{folder} holds 2 scripts (cluster-verify-pre.d/10_check, instance-add-post.d/dns) "
    )
    make(folder / "node-add-pre.d/a")
    make(folder / "node-add-pre.d/b")
    assert "holds 4 scripts (" in hooks.notice(make_paths(tmp_path))
    assert ", node-add-pre.d/a, ...)" in hooks.notice(make_paths(tmp_path))


def test_one_is_one_script(tmp_path, folder):
    make(folder / "node-add-pre.d/a")
    assert " holds 1 script (node-add-pre.d/a) " in hooks.notice(make_paths(tmp_path))


def test_a_folder_that_cannot_be_read_is_told(tmp_path, folder):
    folder.rmdir()
    folder.write_text("a file in its place\n")
    assert (
        hooks.notice(make_paths(tmp_path))
        == f"Cannot see whether there are hooks ({folder}: Not a directory); none are run"
    )
