"""The recipe in HACKING.md works literally: it is applied to a copy of the tree, and submitted."""

import os
import re
import shutil
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support import TOP
from support.daemon import DaemonCluster

SECTION = re.compile(r"^## Add a resource\n(.*?)^## ", re.M | re.S)
#: Where a block goes, and the block.
PIECE = re.compile(
    r"^ *(At the end of|In a new file,) `(\S+)`:\n\n( *)```python\n(.*?)^\3```$", re.M | re.S
)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)

#: Tests of the tree that a new resource must pass; the recipe names its own.
TESTS = (
    "test/test_architecture.py",
    "test/test_compatibility.py",
    "test/test_makefile.py",
    "test/test_rights_matrix.py::test_a_script_may_start_and_stop_these_and_nothing_else",
    "test/cmdlib/test_base.py",
    "test/rapi/test_permissions.py",
    "test/rapi/test_reference.py",
    "test/rapi/test_reference_examples.py",
    "test/rapi/test_submit.py",
)


@pytest.fixture(scope="module")
def recipe():
    found = SECTION.search((TOP / "HACKING.md").read_text(encoding="utf-8"))
    assert found is not None
    return textwrap.dedent(found[1])


@pytest.fixture(scope="module")
def copy(recipe, tmp_path_factory):
    """Return a copy of the tree with the pieces of the recipe."""
    folder = tmp_path_factory.mktemp("recipe") / "tree"
    unwanted = shutil.ignore_patterns(".git", ".tox", "_build", "_run", "__pycache__")
    shutil.copytree(TOP, folder, ignore=unwanted)
    for path in (folder, *folder.rglob("*")):  # `make distcheck` tests a tree that is read-only
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    for where, name, _, block in PIECE.findall(recipe):
        code = textwrap.dedent(block)
        path = folder / name
        if where == "At the end of":
            code = f"{path.read_text(encoding='utf-8')}\n\n{code}"
        else:
            assert not path.exists()
        path.write_text(code, encoding="utf-8")
    return folder


def run(copy, *command):
    """Run a program in the copy; it must succeed."""
    environment = {**os.environ, "GANETI_TEST_LIB": str(copy / "lib"), "PYTHONPATH": ""}
    done = subprocess.run(
        command,
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def generated(recipe, copy):
    """Return the copy after the commands of the recipe, which also run its tests."""
    (commands,) = COMMANDS.findall(recipe)
    for command in commands.splitlines():
        program, *arguments = command.split()
        run(copy, sys.executable, *([] if program == "python3" else [program]), *arguments)
    return copy


def test_it_consists_of_three_pieces_with_a_test_each(recipe):
    names = [Path(name) for _, name, _, _ in PIECE.findall(recipe)]
    assert [name.parts[0] for name in names] == ["lib", "test"] * 3
    assert recipe.count("```python") == len(names)


def test_the_tests_of_the_tree_pass_with_it(generated):
    run(generated, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS)


def test_the_generated_pages_have_it(generated):
    for page, words in (
        ("doc/rapi.rst", "Right: ``instances.nap``."),
        ("doc/compatibility.md", "`/2/instances/[instance_name]/nap` | PUT |"),
        ("lib/ganeti/local.mk", "cmdlib/instance_nap.py"),
    ):
        assert words in (generated / page).read_text(encoding="utf-8")


def test_admin_submits_it_and_the_job_succeeds(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(copy / "lib"))
    with DaemonCluster(tmp_path).start() as cluster:
        cluster.create()
        answer = cluster.request("PUT", "/2/instances/web/nap", {"seconds": 1}, user="reader")
        assert answer.status == 403
        job = cluster.submit("PUT", "/2/instances/web/nap", {"seconds": 1}, user="admin")
        assert cluster.wait(job)["status"] == "success"
