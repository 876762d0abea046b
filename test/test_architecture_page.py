"""The pages that say where things are: the modules and files that they name exist."""

import ast
import importlib
import re
from collections import Counter
from pathlib import Path

from support import TOP
from support.sources import LIB, modules, text_of, tree

PAGE = (TOP / "doc/architecture.rst").read_text(encoding="utf-8")
HEADING = "Where Ganeti has it, where we have it"


def tables() -> list[list[tuple[list[str], list[str]]]]:
    """Return for each table of the section its rows: names in the first and the last column."""
    section = PAGE.partition(HEADING)[2]
    parts = re.split(r"^(=+(?: =+)+)\n", section, flags=re.M)
    return [rows(bar, body) for bar, body in zip(parts[3::6], parts[4::6], strict=True)]


def rows(bar: str, body: str) -> list[tuple[list[str], list[str]]]:
    """Return the rows of a table; a line without a first cell continues the row above."""
    found: list[tuple[list[str], list[str]]] = []
    for line in body.splitlines():
        first, last = names(line[: bar.index(" ")]), names(line[bar.rindex(" ") :])
        if first:
            found.append((first, last))
        else:
            found[-1][1].extend(last)
    return found


def names(cell: str) -> list[str]:
    """Return the literals of a cell."""
    return re.findall(r"``([^`]+)``", cell)


def is_there(path: str, lib: Path = LIB) -> bool:
    """Return whether the page's name of a module, or of a package with its slash, is right."""
    return (lib / path / "__init__.py" if path.endswith("/") else lib / path).is_file()


def test_both_tables_are_read_whole() -> None:
    python, others = tables()
    assert (["cmdlib.py"], ["cmdlib/"]) in python
    assert (["daemons/ganeti-rapi"], ["server/rapi.py", "server/pipeline.py"]) in others
    literals = Counter(name for table in (python, others) for row in table for name in sum(row, []))
    parts = re.split(r"^=+(?: =+)+\n", PAGE.partition(HEADING)[2], flags=re.M)
    assert literals == Counter(names(parts[2] + parts[5]))


def test_each_module_of_ganeti_has_one_row_with_ours_in_order() -> None:
    for table in tables():
        theirs = [name for first, ours in table for name in first if ours]
        assert theirs == sorted(set(theirs))
        assert len(theirs) == len(table)


def test_our_modules_in_the_tables_exist() -> None:
    ours = {name for table in tables() for _, last in table for name in last}
    assert [name for name in sorted(ours) if not is_there(name)] == []


def test_a_module_that_moved_is_missed(tmp_path: Path) -> None:
    (tmp_path / "jqueue").mkdir()
    (tmp_path / "jqueue/queue.py").touch()
    assert is_there("jqueue/queue.py", tmp_path)
    assert not is_there("jqueue.py", tmp_path)
    assert not is_there("jqueue/", tmp_path)


def test_dotted_names_on_the_page_are_modules() -> None:
    tops = {name.partition(".")[0] for name in modules()}
    dotted = [name for name in names(PAGE) if re.fullmatch(r"\w+(\.\w+)+", name)]
    said = [name for name in dotted if name.partition(".")[0] in tops and name[-3:] != ".py"]
    assert "http.server" in said
    assert [name for name in said if name not in modules()] == []


def test_functions_of_the_hops_exist() -> None:
    hops = PAGE[PAGE.index("A list, hop by hop") : PAGE.index("After a crash")]
    found = re.findall(r"``([a-z_0-9.]+)``,\s+``(\w+(?:\.\w+)*)``", hops)
    assert ("rapi.rlib2.instances", "R_2_instances.GET") in found
    missing = []
    for module, path in found:
        named: object = importlib.import_module(f"ganeti.{module}")
        for name in path.split("."):
            named = getattr(named, name, None)
        if named is None:
            missing.append(f"{module}: {path}")
    assert missing == []


#: Pages that name files of the checkout.
DOCUMENTS = [
    *(TOP / name for name in ("HACKING.md", "INSTALL", "NEWS", "README.md")),
    *sorted((TOP / "doc").glob("*.rst")),
    *sorted((TOP / "doc").glob("*.md")),
]
_PATH = re.compile(
    r"(?<![\w/.-])(?:autotools|daemons|devel|doc|lib|man|qa|test|tools)/[\w./-]*\w", re.ASCII
)


def paths_of(text: str) -> set[str]:
    """Return the paths of the checkout that a page names, but for HACKING's example.

    The daemons keep their state in ``lib/ganeti`` below ``/var``: no modules are in it.
    """
    ours = text.partition(HEADING)[0]  # below it are Ganeti's files
    return {
        path
        for path in _PATH.findall(ours)
        if (not path.startswith("lib/ganeti/") or path.endswith(".py"))
        and "instance_nap" not in path
    }


def test_files_that_the_documents_name_exist() -> None:
    named = {page.name: paths_of(page.read_text(encoding="utf-8")) for page in DOCUMENTS}
    assert "lib/ganeti/rapi/rlib2/instances.py" in named["HACKING.md"]
    assert {
        page: gone
        for page, paths in named.items()
        if (gone := sorted(path for path in paths if not (TOP / path).exists()))
    } == {}


def test_a_file_that_moved_is_named_by_the_page_that_has_it() -> None:
    text = "state in /var/lib/ganeti/x.py and lib/ganeti/master.db; see `lib/http/pool.py`, qa/run."
    assert paths_of(text) == {"lib/http/pool.py", "qa/run"}


def test_constants_that_the_documents_name_are_defined() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in DOCUMENTS)
    named = set(re.findall(r"`([a-z_.]+)\.([A-Z][A-Z_]+)`", text))
    assert ("rapi.auth.authenticator", "REMEMBERED") in named
    assert [name for name in sorted(named) if not defines(*name)] == []


def defines(name: str, constant: str) -> bool:
    """Return whether a module assigns a constant."""
    return name in modules() and bool(
        re.search(rf"^[A-Z_, ]*\b{constant}\b.* = ", text_of(name), re.M)
    )


def test_the_map_of_the_package_names_each_module_and_package_once() -> None:
    text = ast.get_docstring(tree("")) or ""
    said = re.findall(r"^  (\w+)  +\S", text, re.M)
    there = {name.partition(".")[0] for name in modules()} - {""}
    assert sorted(said) == sorted(there)
