"""A directory is read again after a change, and only then."""

import os

import pytest

from ganeti.utils.dir_cache import SETTLED_NS, WatchedDirectory


class CountingDirectory:
    """A watched directory that counts how often it is read, with time stamps set by the test."""

    def __init__(self, path):
        self.path = path
        self.readings = 0
        self.now = 10**18
        self.directory = WatchedDirectory(str(path), self.read, lambda: self.now)

    def read(self, names):
        self.readings += 1
        return sorted(names)

    def change(self, name, stamp):
        (self.path / name).write_text("")
        os.utime(self.path, ns=(stamp, stamp))

    @property
    def value(self):
        return self.directory.value()


@pytest.fixture
def watch(tmp_path):
    return CountingDirectory(tmp_path)


def test_a_directory_that_did_not_change_is_read_once(watch):
    watch.change("a", watch.now - SETTLED_NS - 1)
    assert [watch.value, watch.value] == [["a"], ["a"]]
    assert watch.readings == 1


def test_a_change_is_seen(watch):
    watch.change("a", watch.now - 10 * SETTLED_NS)
    assert watch.value == ["a"]
    watch.change("b", watch.now - 5 * SETTLED_NS)
    assert watch.value == ["a", "b"]


def test_two_changes_within_one_tick_are_both_seen(watch):
    watch.change("a", watch.now)
    assert watch.value == ["a"]
    watch.change("b", watch.now)
    assert watch.value == ["a", "b"]


def test_a_directory_may_be_missing_and_come_and_go(tmp_path):
    watch = CountingDirectory(tmp_path / "later")
    assert watch.value == []
    watch.path.mkdir()
    watch.change("a", watch.now - 10 * SETTLED_NS)
    assert watch.value == ["a"]
    (watch.path / "a").unlink()
    watch.path.rmdir()
    assert watch.value == []
