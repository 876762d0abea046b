"""Tables of results in doc/compatibility.md."""

import sys

import clusters

DOCUMENT = clusters.TOP / "doc/compatibility.md"


def table(heads, rows):
    """Return a Markdown table; text in backticks may contain a bar."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


def write(name, text):
    """Replace the text between the marks ``name: begin`` and ``name: end``."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = DOCUMENT.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        sys.exit(f"{DOCUMENT} has no place for {name}: {begin.strip()} {end.strip()}")
    DOCUMENT.write_text(f"{before}{begin}\n{text}\n{end}{after}")
