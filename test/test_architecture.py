"""The layout of the tree: packages and columns, what each may do, sizes and names.

Each test is one rule and lists the places that break it. The sources are read with ``ast``.
"""

import ast
import functools
import re
import subprocess
import sys

from support import TOP
from support.sources import (
    circle,
    classes,
    classes_of,
    functions,
    importers,
    imports,
    inside,
    is_package,
    modules,
    our_imports,
    python_files,
    text_of,
    tree,
    users_of,
)

#: Modules that every module may import.
WORDS = "constants errors ht pathutils serializer"
#: Column, packages or modules, and what these may import besides themselves and each other. A
#: module belongs to the row with its longest prefix. Front and master never import each other.
PACKAGES: list[tuple[str, str, str]] = [
    ("shared", WORDS, ""),
    ("shared", "params qlang", WORDS),
    ("shared", "utils", WORDS),
    ("shared", "daemon other_ganeti", f"{WORDS} utils"),
    ("shared", "opcodes", f"{WORDS} params"),
    ("shared", "luxi", f"{WORDS} opcodes qlang utils"),
    ("front", "rapi.client", ""),
    ("front", "http", "serializer utils"),
    ("front", "rapi", f"{WORDS} http luxi opcodes qlang utils"),
    (
        "front",
        "server.rapi server.pipeline server.listening server.master_redirect server.passwd",
        f"{WORDS} daemon http luxi other_ganeti rapi utils",
    ),
    ("master", "db", f"{WORDS} utils"),
    ("master", "hooks ipolicy locking", f"{WORDS} utils"),
    ("master", "objects", f"{WORDS} params"),
    ("master", "storage hypervisor", f"{WORDS} objects params utils"),
    ("master", "ssconf", f"{WORDS} objects params utils"),
    ("master", "config", f"{WORDS} db ipolicy objects params ssconf utils"),
    ("master", "node", f"{WORDS} config hypervisor jqueue objects params storage utils"),
    ("master", "jqueue", f"{WORDS} db luxi opcodes qlang utils"),
    (
        "master",
        "query",
        f"{WORDS} config hypervisor ipolicy jqueue locking luxi node objects params qlang utils",
    ),
    (
        "master",
        "cmdlib",
        f"{WORDS} config hypervisor ipolicy jqueue locking node objects opcodes params qlang"
        " storage utils",
    ),
    ("master", "mcpu", f"{WORDS} cmdlib jqueue locking opcodes"),
    ("master", "layout certificate", f"{WORDS} daemon objects ssconf utils"),
    (
        "master",
        "bootstrap maintenance",
        f"{WORDS} certificate config db hypervisor ipolicy jqueue layout objects opcodes"
        " other_ganeti params storage utils",
    ),
    (
        "master",
        "server.masterd server.luxi_server server.luxi_handlers server.cluster",
        f"{WORDS} bootstrap cmdlib config daemon db hooks jqueue layout locking luxi maintenance"
        " mcpu node opcodes other_ganeti query utils",
    ),
]

#: A file that users copy: it imports nothing of ours, and rules of size and JSON do not apply.
CLIENT = "rapi.client"

MAX_MODULE_LINES = 600
MAX_FUNCTION_LINES = 70
MIN_MODULE_LINES = 60

#: Functions that may be longer, and why.
LONG_FUNCTIONS: dict[str, str] = {}

#: Modules below MIN_MODULE_LINES with one importer, in the same package, and why.
SMALL_MODULES = {}

#: Classes that share a name, at most MAX_SAME_CLASS_NAMES of them, and why.
SAME_CLASS_NAMES: dict[str, str] = {}
MAX_SAME_CLASS_NAMES = 10

#: Files of cmdlib without a logical unit, and their purpose.
CMDLIB_SHARED = {
    "cmdlib.base": "the life of a logical unit, and the checks that most units make",
    "cmdlib.common": "questions about nodes and instances that several units ask",
    "cmdlib.allocation": "memory and disk of nodes: does it fit, and where",
    "cmdlib.disks": "an instance's disks, from what the caller wrote",
    "cmdlib.nics": "an instance's network cards, from what the caller wrote",
    "cmdlib.names": "asking the resolver and the network about a name",
    "cmdlib.installation": "an OS definition with its parameters, checked against a node",
    "cmdlib.tagging": "the objects that carry tags",
    "cmdlib.findings": "what verification says, and how",
    "cmdlib.recovery": "cleaning up after a master that died",
}

#: Modules without a test file, and why.
UNTESTED = {
    "constants": "words only; whoever uses them tests them",
    "daemon.base": "a class of empty steps; every test of a daemon goes through it",
}


# -- packages and columns ----------------------------------------------------------


@functools.cache
def table() -> dict[str, tuple[str, set[str]]]:
    """Return {name in the table: (column, names that it may import)}."""
    return {
        name: (column, {*names.split(), *allowed.split()})
        for column, names, allowed in PACKAGES
        for name in names.split()
    }


@functools.cache
def row_of(name: str) -> str | None:
    """Return the name in the table to which a module belongs; None for ``ganeti`` itself."""
    while name and name not in table():
        name = name.rpartition(".")[0]
    return name or None


def column_of(name: str) -> str:
    return table()[row_of(name) or ""][0]


@functools.cache
def code() -> list[str]:
    """Return all modules but the empty tops of the packages ``ganeti`` and ``ganeti.server``."""
    return [name for name in modules() if name not in ("", "server")]


def test_every_module_belongs_to_a_row_of_the_table() -> None:
    assert [name for name in code() if row_of(name) is None] == []
    assert [name for name in table() if name not in modules()] == []


def test_packages_import_only_what_the_table_allows() -> None:
    wrong = [
        f"{name} imports {other}"
        for name in code()
        for other in our_imports(name)
        if row_of(other) not in table()[row_of(name) or ""][1]
    ]
    assert wrong == []


def test_the_table_allows_nothing_that_nobody_imports() -> None:
    used = {(row_of(name), row_of(other)) for name in code() for other in our_imports(name)}
    wrong = []
    for _, names, allowed in PACKAGES:
        for other in set(allowed.split()) - set(WORDS.split()):
            if not any((name, other) in used for name in names.split()):
                wrong.append(f"{names}: {other}")
    assert wrong == []


def test_front_and_master_never_meet() -> None:
    wrong = [
        f"{name} imports {other}"
        for name in code()
        for other in our_imports(name)
        if column_of(other) not in ("shared", column_of(name))
    ]
    assert wrong == []


def test_shared_is_what_both_columns_import() -> None:
    users: dict[str, set[str]] = {}
    for column in ("front", "master"):
        ahead = [name for name in code() if column_of(name) == column]
        while ahead:
            for other in our_imports(ahead.pop()):
                if column not in users.setdefault(row_of(other) or "", set()):
                    users[row_of(other) or ""].add(column)
                    ahead += [name for name in code() if row_of(name) == row_of(other)]
    shared = [name for name, (column, _) in table().items() if column == "shared"]
    assert [name for name in shared if len(users[name]) < 2] == []


def test_utils_are_leaves() -> None:
    allowed = {*WORDS.split(), "utils"}
    wrong = {name: our_imports(name) for name in inside("utils")}
    assert {
        name: found for name, found in wrong.items() if {row_of(one) for one in found} - allowed
    } == {}


def test_no_imports_run_in_a_circle() -> None:
    assert [name for name in modules() if circle(name)] == []


def test_the_tops_of_packages_without_a_name_of_their_own_hold_no_code() -> None:
    tops = ["", "http", "rapi", "rapi.auth", "server", "maintenance"]
    assert [
        name for name in tops if not all(isinstance(node, ast.Expr) for node in tree(name).body)
    ] == []


def test_lib_is_an_ordinary_entry_of_the_path() -> None:
    assert [
        path.name
        for path in (TOP / "lib").iterdir()
        if path.name not in ("__pycache__", "_ganeti_build.py")
    ] == ["ganeti"]
    subprocess.run(
        [sys.executable, "-P", "-c", "import http.client, ganeti.server.rapi"],
        env={"PYTHONPATH": str(TOP / "lib")},
        check=True,
    )


# -- what a package must not know ----------------------------------------------------


def test_messages_know_nothing_of_sockets() -> None:
    assert imports("http.message", "socket", "ssl", "selectors", "http", "socketserver") == []


def test_rapi_knows_nothing_of_sockets() -> None:
    forbidden = ("socket", "ssl", "selectors", "socketserver", "http.server", "ganeti.http.server")
    rapi = [name for name in inside("rapi") if name != CLIENT]
    assert [f"{name}: {one}" for name in rapi for one in imports(name, *forbidden)] == []


def test_errors_know_nothing_of_http() -> None:
    assert imports("errors", "http", "ganeti.http", "urllib") == []
    statuses = [
        node.value
        for node in ast.walk(tree("errors"))
        if isinstance(node, ast.Constant) and type(node.value) is int and 400 <= node.value <= 599
    ]
    assert statuses == []


def test_opcodes_know_nothing_of_execution() -> None:
    forbidden = ("os", "subprocess", "threading", "socket", "sqlite3", "time", "shutil")
    wrong = [f"{name}: {one}" for name in inside("opcodes") for one in imports(name, *forbidden)]
    assert wrong == []


def test_the_queue_knows_no_opcode_by_name() -> None:
    known = ("OP_STATUS", "OpPrereq", "OpExec", "OpCode", "OpRetry")
    named = [
        f"{name}: {word}"
        for name in inside("jqueue")
        for word in re.findall(r"\bOp[A-Z][a-z]+[A-Z]\w+|\bOP_(?!ID)[A-Z]+_[A-Z_]+", text_of(name))
        if not word.startswith(known)
    ]
    assert named == []


def test_the_client_imports_nothing_of_ours() -> None:
    assert our_imports(CLIENT) == frozenset()


# -- what only one package does -------------------------------------------------------


def test_only_servers_read_a_command_line() -> None:
    readers = users_of("argparse", "argparse.ArgumentParser", "optparse", "getopt", "sys.argv")
    assert readers
    assert [
        name for name in sorted(readers) if not name.startswith(("daemon.options", "server."))
    ] == []


def test_only_pathutils_joins_paths() -> None:
    joiners = users_of(
        "path.join", "posixpath", "posixpath.join", "pathlib", "pathlib.Path", "pathlib.PurePath"
    )
    assert joiners == {"pathutils"}


def test_only_the_store_and_io_sync_to_disk() -> None:
    assert users_of("fsync", "fdatasync", "os.sync") <= {"db.store", "utils.io"}


def test_only_the_serializer_loads_json() -> None:
    assert users_of("json.loads", "json.load", "JSONDecoder") - {CLIENT} == {"serializer"}


def test_only_the_master_speaks_sql() -> None:
    speakers = [name for name in modules() if imports(name, "sqlite3")]
    assert "db.store" in speakers
    assert [name for name in speakers if column_of(name) != "master"] == []


# -- sizes and names -------------------------------------------------------------------


def lines_of(name: str) -> int:
    return len(text_of(name).splitlines())


def test_no_module_is_longer_than_the_limit() -> None:
    sizes = {name: lines_of(name) for name in modules() if name != CLIENT}
    assert {name: size for name, size in sizes.items() if size > MAX_MODULE_LINES} == {}


def test_no_function_is_longer_than_the_limit() -> None:
    long = {
        f"{name}.{node.name}"
        for name in modules()
        for node in functions(name)
        if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    }
    assert long == set(LONG_FUNCTIONS)


def test_small_modules_with_one_importer_have_a_reason() -> None:
    small = set()
    for name in modules():
        if not is_package(name) and lines_of(name) < MIN_MODULE_LINES:
            package = name.rpartition(".")[0]
            users = importers(name)
            if len(users) == 1 and users.pop().rpartition(".")[0] == package:
                small.add(name)
    assert small == set(SMALL_MODULES)


def test_a_class_name_means_one_thing_in_the_whole_tree() -> None:
    files: dict[str, list[str]] = {}
    for path in python_files():
        for name in classes_of(path):
            files.setdefault(name, []).append(str(path.relative_to(TOP)))
    assert "LogicalUnit" in files
    shared = {name: paths for name, paths in files.items() if len(paths) > 1}
    wrong = [f"{name}: {shared[name]}" for name in sorted(shared.keys() - SAME_CLASS_NAMES)]
    assert not wrong, "\n".join(wrong)
    assert sorted(SAME_CLASS_NAMES.keys() - shared.keys()) == []
    assert len(SAME_CLASS_NAMES) <= MAX_SAME_CLASS_NAMES


def snake(camel: str) -> str:
    """Return instance_startup for InstanceStartup."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", camel).lower()


def opcode_words() -> list[str]:
    """Return the names, without Op, of the classes that are decorated with @opcode."""
    return [
        node.name.removeprefix("Op")
        for name in inside("opcodes")
        for node in tree(name).body
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(one).startswith("opcode") for one in node.decorator_list)
    ]


def test_every_opcode_is_known_by_its_id() -> None:
    from ganeti import opcodes

    assert "InstanceStartup" in opcode_words()
    assert opcodes.BY_ID.keys() == {"OP_" + snake(word).upper() for word in opcode_words()}


def test_every_file_of_cmdlib_holds_one_logical_unit_named_as_its_opcode() -> None:
    wrong = []
    for name in set(inside("cmdlib")) - {"cmdlib", *CMDLIB_SHARED}:
        units = [word.removeprefix("LU") for word in classes(name) if word.startswith("LU")]
        if [f"cmdlib.{snake(word)}" for word in units] != [name] or units[0] not in opcode_words():
            wrong.append(name)
    assert wrong == []


# -- tests beside modules ---------------------------------------------------------------


def has_code(name: str) -> bool:
    """Return whether a module defines anything; a package's __init__ often only collects names."""
    return any(isinstance(node, (ast.ClassDef, ast.FunctionDef)) for node in tree(name).body)


def test_every_module_has_its_test_file() -> None:
    missing = set()
    for name in modules():
        folder, _, leaf = name.rpartition(".")
        files = TOP / "test" / (name if is_package(name) else folder).replace(".", "/")
        if has_code(name) and not [*files.glob(f"test_{leaf}.py"), *files.glob(f"test_{leaf}_*")]:
            missing.add(name)
    assert missing == set(UNTESTED)


def test_no_folder_of_tests_hides_a_standard_module() -> None:
    assert [path.parent.name for path in (TOP / "test").rglob("__init__.py")] == ["support"]
