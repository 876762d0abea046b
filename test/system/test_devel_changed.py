"""devel/changed, in a small checkout made for the test."""

import os
import runpy
import subprocess
import sys

import pytest

from support import TOP
from support.scripts import git_works

FILES = {
    "devel/changed": (TOP / "devel/changed").read_text(),
    "doc/page.rst": "",
    "lib/ganeti/deep/one.py": "",
    "lib/ganeti/two.py": "",
    "test/data/calls/by-name/a.http": "",
    "test/deep/test_one.py": "",
    "test/deep/test_one_more.py": "",
    "test/deep/test_other.py": "from support import clock, scene\n",
    "test/support/clock.py": "",
    "test/support/scene.py": 'from support.clock import now\nCALLS = DATA / "calls"\n',
    "test/test_architecture.py": "",
    "test/test_makefile.py": "",
    "test/test_page.py": 'PAGE = TOP / "doc/page.rst"\n',
    "test/test_scene.py": "from support import (\n    clock,\n    scene,\n)\n",
    "test/test_two.py": "",
}
#: Without the user's settings and, if a git hook runs the tests, without the hook's repository.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
}
ALWAYS = ["test/test_architecture.py", "test/test_makefile.py"]


class Checkout:
    def __init__(self, top):
        self.top = top
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name, text="x = 1\n"):
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def git(self, *words):
        identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
        subprocess.run(["git", "-C", self.top, *identity, *words], env=ENVIRONMENT, check=True)

    def commit(self, *names):
        for name in names:
            self.write(name)
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "a change")

    def changed(self):
        command = [sys.executable, self.top / "devel/changed"]
        done = subprocess.run(
            command, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.split()

    def tests_of(self, *names):
        tests = runpy.run_path(str(self.top / "devel/changed"))["tests_of"](list(names))
        assert tests[:2] == ALWAYS
        return tests[2:]


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture
def repository(checkout):
    if not git_works():
        pytest.skip("no git here")
    checkout.git("init", "-q", "-b", "main")
    checkout.commit()
    checkout.git("checkout", "-q", "-b", "work")
    return checkout


def test_a_fresh_branch_differs_in_nothing(repository):
    assert repository.changed() == []


def test_committed_staged_edited_and_new_files_differ(repository):
    repository.commit("committed.py")
    repository.write("staged.py")
    repository.git("add", "staged.py")
    repository.write("lib/ganeti/two.py")
    repository.write("new.py")
    assert repository.changed() == ["committed.py", "lib/ganeti/two.py", "new.py", "staged.py"]


def test_what_main_has_done_since_is_no_difference(repository):
    repository.commit("here.py")
    repository.git("checkout", "-q", "main")
    repository.commit("there.py")
    repository.git("checkout", "-q", "work")
    assert repository.changed() == ["here.py"]


def test_main_differs_from_its_last_commit_but_one(repository):
    repository.git("checkout", "-q", "main")
    repository.commit("committed.py")
    repository.write("new.py")
    assert repository.changed() == ["committed.py", "new.py"]


def test_main_differs_from_main_of_origin_where_there_is_one(repository):
    repository.git("checkout", "-q", "main")
    repository.git("update-ref", "refs/remotes/origin/main", "main")
    repository.commit("first.py")
    repository.commit("second.py")
    assert repository.changed() == ["first.py", "second.py"]


@pytest.mark.parametrize(
    ("name", "tests"),
    [
        ("lib/ganeti/deep/one.py", ["test/deep/test_one.py", "test/deep/test_one_more.py"]),
        ("lib/ganeti/two.py", ["test/test_two.py"]),
        ("lib/ganeti/__init__.py", []),
        ("test/deep/test_other.py", ["test/deep/test_other.py"]),
        ("test/deep/test_gone.py", []),
        ("test/conftest.py", []),
        ("test/support/scene.py", ["test/deep/test_other.py", "test/test_scene.py"]),
        ("test/support/clock.py", ["test/deep/test_other.py", "test/test_scene.py"]),
        ("test/data/calls/by-name/a.http", ["test/deep/test_other.py", "test/test_scene.py"]),
        ("doc/page.rst", ["test/test_page.py"]),
        ("doc/unknown.rst", []),
    ],
)
def test_a_changed_file_calls_for_its_tests(checkout, name, tests):
    assert checkout.tests_of(name) == tests


def test_a_changed_package_calls_for_all_its_tests(checkout):
    tests = checkout.tests_of("lib/ganeti/deep/__init__.py")
    assert tests == sorted(name for name in FILES if name.startswith("test/deep/"))


def test_the_tests_of_modules_come_first(checkout):
    tests = checkout.tests_of("doc/page.rst", "lib/ganeti/two.py")
    assert tests == ["test/test_two.py", "test/test_page.py"]
