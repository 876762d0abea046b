"""Logs before their database is opened: intact, torn, damaged or truncated."""

import os
import sqlite3
from pathlib import Path

import pytest

from ganeti.db.files import NotSafe
from ganeti.maintenance import wal

FRAME = 4120


@pytest.fixture
def path(tmp_path):
    """Return the path of a database with ten transactions in its log, as SIGKILL leaves them."""
    path = str(tmp_path / "x.db")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (a)")
    for number in range(9):
        connection.execute("INSERT INTO t VALUES (?)", (f"row {number} " * 200,))
    left = {name: Path(path + name).read_bytes() for name in ("", "-wal", "-shm")}
    connection.close()
    for name, content in left.items():
        Path(path + name).write_bytes(content)
    return path


def flip(path, where):
    content = bytearray(Path(path).read_bytes())
    content[where] ^= 1
    Path(path).write_bytes(content)


def forget(path, yes):
    if yes:
        os.unlink(path + "-shm")


either = pytest.mark.parametrize("forgotten", [False, True])


@either
def test_a_whole_log_has_no_problem(path, forgotten):
    forget(path, forgotten)
    before = Path(path + "-wal").read_bytes()
    assert wal.find_problem(path) is None
    assert Path(path + "-wal").read_bytes() == before


@either
def test_a_wrong_byte_is_repaired(path, forgotten):
    before = Path(path + "-wal").read_bytes()
    flip(path + "-wal", 32 + 2 * FRAME + 1000)
    forget(path, forgotten)
    problem = wal.find_problem(path)
    assert not problem.incomplete and not problem.doubt
    assert "is damaged" in problem.words
    ((where, data),) = problem.patches.items()
    assert data == before[where : where + FRAME]


def test_a_missing_log_is_noticed(path):
    os.unlink(path + "-wal")
    with pytest.raises(NotSafe, match="is lost"):
        wal.find_problem(path)
    forget(path, True)
    assert wal.find_problem(path) is None


@pytest.mark.parametrize("left", [0, 10, 32, 32 + FRAME, 32 + 3 * FRAME + 5])
def test_a_truncated_log_is_noticed(path, left):
    os.truncate(path + "-wal", left)
    with pytest.raises(NotSafe, match="ends early|is lost"):
        wal.find_problem(path)


def test_half_a_frame_without_an_index_may_be_a_power_cut(path):
    os.truncate(path + "-wal", os.path.getsize(path + "-wal") - 100)
    forget(path, True)
    problem = wal.find_problem(path)
    assert problem.incomplete and problem.patches == {}


@either
def test_two_transactions_that_do_not_fit_are_damage(path, forgotten):
    size = os.path.getsize(path + "-wal")
    with open(path + "-wal", "r+b") as file:
        file.seek(size - 3 * FRAME)
        file.write(bytes(40))  # nothing tells which page that was
    forget(path, forgotten)
    with pytest.raises(NotSafe, match="cannot be repaired"):
        wal.find_problem(path)


@either
def test_a_log_without_a_beginning_is_damage(path, forgotten):
    forget(path, forgotten)
    Path(path + "-wal").write_bytes(bytes(32 + FRAME))
    with pytest.raises(NotSafe, match="its log"):
        wal.find_problem(path)
