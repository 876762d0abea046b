"""SQLite's log as bytes: applied frames, damage and its repair."""

import random
import sqlite3
from pathlib import Path

import pytest

from ganeti.maintenance import wal

ROWS = 12


class LoggedDatabase:
    """A database whose log holds a dozen transactions, left as SIGKILL leaves it."""

    def __init__(self, folder):
        self.path = folder / "x.db"
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (a)")
        for number in range(ROWS):
            connection.execute("INSERT INTO t VALUES (?)", (f"row {number} " * 200,))
        self.log, self.index, self.database = (
            Path(f"{self.path}{suffix}").read_bytes() for suffix in ("-wal", "-shm", "")
        )
        connection.close()

    def read(self, log):
        """Write the log and parse it."""
        Path(f"{self.path}-wal").write_bytes(log)
        return wal.Log.read(f"{self.path}-wal")

    def applied(self, log):
        """Return how many rows SQLite sees with this log; None if it cannot read the database."""
        for suffix, content in (("", self.database), ("-wal", log), ("-shm", b"")):
            Path(f"{self.path}{suffix}").write_bytes(content)
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        try:
            return connection.execute("SELECT count(*) FROM t").fetchone()[0]
        except sqlite3.DatabaseError:
            return None
        finally:
            connection.close()


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    return LoggedDatabase(tmp_path_factory.mktemp("wal"))


def patched(log, mended):
    content = bytearray(log)
    for offset, data in mended.patches.items():
        content[offset : offset + len(data)] = data
    return bytes(content)


def test_the_index_agrees_with_the_log(logged):
    index, log = wal.read_index(logged.index), logged.read(logged.log)
    assert (index.frames, index.done, index.salts) == (len(log.frames), 0, log.salts)
    assert log.header_fits and log.committed() == index.frames
    assert log.commits(0) == ROWS + 1 and log.commits(index.frames) == 0
    assert not log.is_torn(index.frames)
    assert log.mended(0, index.frames, 1000) == ({}, [])


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:100],
        lambda data: b"x" + data[1:],
        lambda data: bytes(len(data)),
        lambda data: data[:16] + b"\1" + data[17:64] + b"\1" + data[65:],
    ],
)
def test_a_senseless_index_is_ignored(logged, change):
    assert wal.read_index(change(logged.index)) is None


def test_a_missing_log_reads_as_none(logged, tmp_path):
    assert wal.Log.read(str(tmp_path / "none")) is None and logged.read(b"") is None


def test_sqlite_drops_what_follows_a_bad_frame_and_we_have_it_applied(logged):
    broken = bytearray(logged.log)
    broken[32 + 5 * 4120 + 24 + 4000 : 32 + 5 * 4120 + 24 + 4016] = bytes(range(16))
    assert logged.applied(broken) < ROWS
    mended = logged.read(broken).mended(0, logged.read(broken).committed(), 1000)
    assert mended.torn == [5]
    assert logged.applied(patched(broken, mended)) in (ROWS, None)  # all frames were to be repaired


@pytest.mark.parametrize("seed", range(60))
def test_a_flipped_bit_is_put_right_or_kept_in_its_page(logged, seed):
    dice, broken = random.Random(seed), bytearray(logged.log)
    where = dice.randrange(len(broken))
    broken[where] ^= 1 << dice.randrange(8)
    log = logged.read(broken)
    mended = log.mended(0, log.committed(), 1000)
    if mended is None:  # only that bit tells which page the frame holds
        assert where >= 32 and (where - 32) % 4120 < 24 or mended is None
        return
    if mended.torn:
        assert len(mended.torn) == 1
        assert patched(broken, mended)[where] == broken[where]
    elif (where < 12 or where >= 16) and log.committed() == logged.read(logged.log).committed():
        assert patched(broken, mended) == logged.log


@pytest.mark.parametrize("where, size", [(0, 32), (0, 4), (16, 8), (24, 8)])
def test_a_header_is_made_anew(logged, where, size):
    broken = logged.log[:where] + bytes(size) + logged.log[where + size :]
    log = logged.read(broken)
    assert not log.header_fits and logged.applied(broken) in (0, None)
    mended = log.mended(0, log.committed(), 1000)
    assert logged.applied(patched(broken, mended)) == ROWS


def test_a_frame_of_an_unknown_page_cannot_be_repaired(logged):
    broken = logged.log[: 32 + 4120] + bytes(24) + logged.log[32 + 4120 + 24 :]
    log = logged.read(broken)
    assert log.mended(0, log.committed(), 1000) is None


@pytest.mark.parametrize(
    "tail, torn",
    [
        (b"", False),
        (bytes(4120), True),
        (b"x" * 100, True),
        (b"x" * 4120, True),
    ],
)
def test_garbage_behind_the_end_is_told_from_older_frames(logged, tail, torn):
    log = logged.read(logged.log + tail)
    assert log.is_torn(log.committed()) is torn


def test_frames_of_the_previous_log_are_no_garbage(tmp_path):
    connection = sqlite3.connect(tmp_path / "y.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (a)")
    for number in range(9):
        connection.execute("INSERT INTO t VALUES (randomblob(3000))")
    connection.execute("PRAGMA wal_checkpoint(RESTART)")
    connection.execute("INSERT INTO t VALUES (1)")
    log = wal.Log.read(str(tmp_path / "y.db-wal"))
    index = wal.read_index((tmp_path / "y.db-shm").read_bytes())
    connection.close()
    assert index.frames == log.committed() < len(log.frames)
    assert log.commits(index.frames) == 0 and not log.is_torn(index.frames)


@pytest.mark.parametrize("size, found", [(4096, 4096), (1024, 1024), (65536, 65536)])
def test_the_page_size_is_read_from_the_header(tmp_path, size, found):
    connection = sqlite3.connect(tmp_path / "z.db")
    connection.execute(f"PRAGMA page_size={size}")
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    assert wal.page_size_of(str(tmp_path / "z.db")) == found
    (tmp_path / "z.db").write_bytes(b"rubbish")
    assert wal.page_size_of(str(tmp_path / "z.db")) == 4096
