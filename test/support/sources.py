"""The package read with ``ast``: its modules, their imports, definitions and names."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from support import DATA, TOP

LIB = TOP / "lib/ganeti"
#: Folders with Python code.
FOLDERS = ("autotools", "daemons", "devel", "doc", "lib", "qa", "test", "tools")


def module_name(path: Path) -> str:
    """Return http.message for http/message.py, http for http/__init__.py, '' for __init__.py."""
    parts = path.relative_to(LIB).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def modules() -> dict[str, Path]:
    """Return the path of every module by its name below ``ganeti``."""
    return {module_name(path): path for path in sorted(LIB.rglob("*.py"))}


@functools.cache
def text_of(name: str) -> str:
    """Return the source of a module."""
    return modules()[name].read_text(encoding="utf-8")


@functools.cache
def tree(name: str) -> ast.Module:
    """Return the parsed source of a module."""
    return ast.parse(text_of(name))


@functools.cache
def nodes(name: str) -> tuple[ast.AST, ...]:
    """Return every node of a module's tree; walking it takes longer than all else here."""
    return tuple(ast.walk(tree(name)))


def is_package(name: str) -> bool:
    """Return whether a module is an __init__.py."""
    return modules()[name].name == "__init__.py"


def inside(package: str) -> list[str]:
    """Return the modules of a package, itself included."""
    return [name for name in modules() if name == package or name.startswith(package + ".")]


@functools.cache
def imported_names(name: str) -> tuple[str, ...]:
    """Return what a module imports, wherever in it: ``os``, ``ganeti.errors.JobLost``."""
    found: list[str] = []
    for node in nodes(name):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} line {node.lineno}: a relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(found)


@functools.cache
def our_imports(name: str) -> frozenset[str]:
    """Return the modules of the package that a module imports, by their names below ``ganeti``."""
    found = set()
    for imported in imported_names(name):
        top, _, rest = imported.partition(".")
        if top == "ganeti":
            while "." in rest and rest not in modules():
                rest = rest.rpartition(".")[0]
            found.add(rest)
    return frozenset(found)


def importers(name: str) -> set[str]:
    """Return the modules of the package that import a module."""
    return {other for other in modules() if name in our_imports(other)}


def imports(name: str, *words: str) -> list[str]:
    """Return what a module imports of the modules ``words``, or from inside them."""
    starts = tuple(f"{word}." for word in words)
    return [used for used in imported_names(name) if used in words or used.startswith(starts)]


def dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` for an attribute; an expression such as a call becomes ``()``: ``().b``."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "()"


@functools.cache
def used_names(name: str) -> frozenset[str]:
    """Return the dotted names that a module uses or imports."""
    attributes = (dotted(node) for node in nodes(name) if isinstance(node, ast.Attribute))
    return frozenset(attributes).union(imported_names(name))


def uses(name: str, *suffixes: str) -> bool:
    """Return whether a module uses or imports a dotted name that is, or ends with, a suffix."""
    ends = tuple(f".{suffix}" for suffix in suffixes)
    return any(used in suffixes or used.endswith(ends) for used in used_names(name))


def users_of(*suffixes: str) -> set[str]:
    """Return the modules that use or import a name with one of these suffixes."""
    return {name for name in modules() if uses(name, *suffixes)}


def classes(name: str) -> list[str]:
    """Return the names of the classes that a module defines at its top level."""
    return [node.name for node in tree(name).body if isinstance(node, ast.ClassDef)]


def functions(name: str) -> Iterator[ast.FunctionDef]:
    """Yield every function and method of a module."""
    for node in nodes(name):
        if isinstance(node, ast.FunctionDef):
            yield node


def circle(start: str) -> bool:
    """Return whether a module reaches itself by following imports."""
    seen: set[str] = set()
    ahead = set(our_imports(start))
    while ahead:
        name = ahead.pop()
        if name not in seen and name in modules():
            seen.add(name)
            ahead |= our_imports(name)
    return start in seen


def python_files() -> Iterator[Path]:
    """Yield every Python file of the tree, scripts without a suffix too.

    configure replaces ``@PYTHON@`` in the first line of a template.
    """
    for folder in FOLDERS:
        for path in sorted((TOP / folder).rglob("*")):
            if path.is_relative_to(DATA) or "__pycache__" in path.parts or not path.is_file():
                continue
            if path.suffix == ".py" or re.match(rb"#!.*(python|@PYTHON@)", first_line(path)):
                yield path


def first_line(path: Path) -> bytes:
    """Return the beginning of a file's first line."""
    with open(path, "rb") as file:
        return file.readline(200)


def classes_of(path: Path) -> list[str]:
    """Return the names of all classes of a file, nested ones too."""
    text = path.read_text(encoding="utf-8")
    if not re.search(r"^\s*class ", text, re.M):
        return []
    return [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
