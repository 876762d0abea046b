"""The checksum of a database row, which shows a bit that flipped inside a value.

SQLite notices a torn page, not a changed value, so the programs that write a row store this
checksum beside it (``db.schema``).
"""

from __future__ import annotations

import zlib


def checksum(*values: int | str | None) -> int:
    """Return the CRC-32 of the values as Python writes them.

    They are written in ASCII, because which other characters count as printable, and so are
    not escaped, differs between versions of Python.
    """
    return zlib.crc32(ascii(values).encode("ascii"))
