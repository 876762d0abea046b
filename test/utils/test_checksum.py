"""The checksum of a database row."""

import pytest

from ganeti.utils.checksum import checksum


def test_the_checksum_is_that_of_databases_written_before() -> None:
    assert checksum("queue.drained", "true") == 436540819
    assert checksum(1, None, "ö", "") == 1266389799


@pytest.mark.parametrize("values", [(1, "b"), ("1", "a"), (1, "a", None), (1,), (None, "a")])
def test_rows_that_differ_have_different_checksums(values: tuple[int | str | None, ...]) -> None:
    assert checksum(*values) != checksum(1, "a")
