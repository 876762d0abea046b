"""Puts what came out of a suite into doc/compatibility.md."""

import sys

import clusters

DOCUMENT = clusters.TOP / "doc/compatibility.md"


def table(heads, rows):
    """A table for people; what is in backticks there may hold a bar."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


def write(name, text):
    """Replace what stands between the marks ``name: begin`` and ``name: end``."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = DOCUMENT.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        sys.exit(f"{DOCUMENT} has no place for {name}: {begin.strip()} {end.strip()}")
    DOCUMENT.write_text(f"{before}{begin}\n{text}\n{end}{after}")
