"""The house holds: floors, columns, who may do what. Read from the sources with ``ast``.

``FLOORS`` is the plan of the house. A module imports only from floors above its
own (lower numbers), or from its own package; front and master never meet.
"""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import TOP

LIB = TOP / "lib/ganeti"

#: (floor, column, the modules of it). ``x.*``: whatever else package x holds.
FLOORS: list[tuple[int, str, str]] = [
    (0, "shared", "constants errors"),
    (0, "front", "http.errors rapi.client"),
    (1, "shared", "pathutils ht serializer pattern"),
    (1, "front", "http.head http.message http.hello"),
    (
        2,
        "front",
        "http.reader http.pool http.rights http.passwords http.cors http.conditional http.coding",
    ),
    (2, "shared", "utils.* params ipolicy qfilter"),
    (2, "master", "locking schema upkeep.wal"),
    (3, "shared", "daemon.* objects opcodes.* jobrules other_ganeti"),
    (
        3,
        "front",
        "http.auth http.line http.guard http.deadlines http.channel http.flow http.room"
        " http.seats http.connection http.server http.access",
    ),
    (3, "front", "http.tls http.certificate http.revocation http.log_budget"),
    (3, "master", "store hooks"),
    (4, "shared", "luxi.* server.options"),
    (4, "front", "rapi.faults rapi.permissions"),
    (4, "master", "storage osdef hypervisor.* lookup ssconf reservations upkeep.dbfile"),
    (
        5,
        "front",
        "rapi.baserlib rapi.arguments rapi.naming rapi.reading rapi.submit rapi.waiting"
        " rapi.precondition",
    ),
    (5, "master", "config node jqueue.* upkeep.walcheck layout"),
    (6, "front", "rapi.rlib2.*"),
    (6, "master", "cmdlib.base query.* certificate upkeep.verify upkeep.sealing"),
    (7, "front", "rapi.connector rapi.reference"),
    (7, "master", "cmdlib.* bootstrap upkeep.backup upkeep.rebuild"),
    (8, "front", "server.rapi server.application server.listening server.mastership"),
    (
        8,
        "master",
        "mcpu server.luxid server.calls upkeep.restore upkeep.salvage upkeep.upgrade"
        " upkeep.renewal upkeep.ensure_dirs",
    ),
    (9, "front", "server.passwd"),
    (9, "master", "server.masterd server.cluster"),
]
#: Words only, which import nothing of ours: their own floor may read them as well.
WORDS = "constants"
#: Packages whose files live on several floors: their __init__ holds no code.
ROOMS = {"", "http", "rapi", "server", "upkeep"}

#: A copied file of its own: imports nothing of ours, exempt from size and JSON rules.
CLIENT = "rapi.client"

MAX_LINES = 600

#: Files of cmdlib that hold no logical unit, and what they are for.
CMDLIB_SHARED = {
    "cmdlib.base": "what every logical unit shares",
    "cmdlib.common": "checks, and the base of units about one instance",
    "cmdlib.allocation": "memory and disk of nodes: does it fit, and where",
    "cmdlib.disks": "an instance's disks, from what the caller wrote",
    "cmdlib.nics": "an instance's network cards, from what the caller wrote",
    "cmdlib.names": "asking the resolver and the network about a name",
    "cmdlib.installation": "an OS definition with its parameters, checked against a node",
    "cmdlib.tagging": "the objects that carry tags",
    "cmdlib.findings": "what verification says, and how",
    "cmdlib.recovery": "cleaning up after a master that died",
}

#: Modules without a test file of their own, and why.
UNTESTED = {
    "constants": "words only; whoever uses them tests them",
    "daemon.base": "a class of empty steps; every test of a daemon goes through it",
    "jqueue.task": "types only; every test of the queue goes through them",
}


# -- reading the sources ---------------------------------------------------------


def module_name(path: Path) -> str:
    """http/message.py -> http.message; http/__init__.py -> http; __init__.py -> ''."""
    parts = path.relative_to(LIB).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def modules() -> dict[str, Path]:
    """Every module of the package by its name below ``ganeti``."""
    return {module_name(path): path for path in sorted(LIB.rglob("*.py"))}


@functools.cache
def tree(name: str) -> ast.Module:
    """The parsed source of a module."""
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def is_package(name: str) -> bool:
    """Is the module an __init__.py?"""
    return name in modules() and modules()[name].name == "__init__.py"


def imported_names(name: str) -> Iterator[str]:
    """Dotted names that a module imports, wherever in it: ``os``, ``ganeti.errors.JobLost``."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} line {node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def our_imports(name: str) -> frozenset[str]:
    """Our own modules that a module imports, each by the longest name that is one."""
    found = set()
    for dotted in imported_names(name):
        top, _, rest = dotted.partition(".")
        if top == "ganeti":
            while "." in rest and rest not in modules():
                rest = rest.rpartition(".")[0]
            found.add(rest)
    return frozenset(found)


def foreign_imports(name: str) -> set[str]:
    """Names imported from elsewhere than our package."""
    return {dotted for dotted in imported_names(name) if dotted.partition(".")[0] != "ganeti"}


def dotted_names(name: str) -> Iterator[tuple[str, int]]:
    """Every ``a.b.c`` in a module's code, with its line."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node), node.lineno


def classes(name: str) -> list[str]:
    """Names of the classes that a module defines at its top level."""
    return [node.name for node in tree(name).body if isinstance(node, ast.ClassDef)]


def plan() -> dict[str, tuple[int, str]]:
    """Each name of the table -> (floor, column)."""
    return {name: (floor, column) for floor, column, names in FLOORS for name in names.split()}


def place(name: str) -> tuple[int, str] | None:
    """Floor and column of a module; None when the table has no place for it."""
    table = plan()
    if name in table:
        return table[name]
    for prefix in (name, name.rpartition(".")[0]):
        if f"{prefix}.*" in table:
            return table[f"{prefix}.*"]
    return None


def package_of(name: str) -> str:
    """The top-level package that a module belongs to; '' for a single file."""
    head, _, rest = name.partition(".")
    return head if rest or is_package(name) else ""


everywhere = pytest.mark.parametrize("name", sorted(set(modules()) - ROOMS))


# -- floors and columns ----------------------------------------------------------


@pytest.mark.parametrize("row", sorted(plan()))
def test_every_room_of_the_plan_exists(row: str) -> None:
    name = row.removesuffix(".*")
    assert name in modules(), f"lib/{name.replace('.', '/')} is missing"
    assert name == row or len([m for m in modules() if m.startswith(name + ".")]) > 0


@everywhere
def test_every_module_has_a_place_in_the_plan(name: str) -> None:
    assert place(name) is not None, f"{name} stands on no floor"


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_a_room_of_several_floors_holds_no_code(name: str) -> None:
    assert name in modules(), f"lib/{name} is missing"
    statements = [node for node in tree(name).body if not isinstance(node, ast.Expr)]
    assert not statements, "its __init__.py holds more than a docstring"


@everywhere
def test_imports_come_from_floors_above(name: str) -> None:
    floor, _ = place(name) or pytest.fail(f"{name} stands on no floor")
    for other in sorted(our_imports(name) - {WORDS}):
        where = place(other)
        assert where is not None, f"{name} imports {other}, which stands on no floor"
        if package_of(name) and package_of(name) == package_of(other):
            assert where[0] <= floor, f"{name} imports {other} from floor {where[0]}"
        else:
            assert where[0] < floor, f"{name} (floor {floor}) imports {other} (floor {where[0]})"


def test_words_import_nothing_of_ours() -> None:
    assert not our_imports(WORDS)


@everywhere
def test_the_columns_never_meet(name: str) -> None:
    _, column = place(name) or pytest.fail(f"{name} stands on no floor")
    allowed = {"shared", column}
    strangers = [
        other for other in sorted(our_imports(name)) if (place(other) or (0, ""))[1] not in allowed
    ]
    assert not strangers, f"{name} ({column}) imports {strangers}"


def circles() -> list[str]:
    """Modules that reach themselves by following imports."""

    def reaches(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = set(our_imports(start))
        while ahead:
            name = ahead.pop()
            if name not in seen and name in modules():
                seen.add(name)
                ahead |= our_imports(name)
        return seen

    return [name for name in sorted(modules()) if name in reaches(name)]


def test_no_imports_run_in_a_circle() -> None:
    assert not circles()


# -- what a room must not know ----------------------------------------------------


def inside(*packages: str) -> list[str]:
    """Modules of some packages, themselves included, without the copied client."""
    return [
        name
        for name in sorted(modules())
        if name != CLIENT
        and any(name == package or name.startswith(package + ".") for package in packages)
    ]


def assert_never_imports(name: str, *forbidden: str) -> None:
    """Fail when a module imports one of these or what is inside of them."""
    for dotted in sorted(imported_names(name)):
        assert not any(dotted == word or dotted.startswith(word + ".") for word in forbidden), (
            f"{name} imports {dotted}"
        )


def test_the_rooms_of_these_rules_are_there() -> None:
    for package in ("http", "rapi", "opcodes", "jqueue"):
        assert len(inside(package)) > 1, f"lib/{package} is missing"


@pytest.mark.parametrize("name", inside("http"))
def test_http_knows_nothing_of_rapi(name: str) -> None:
    assert_never_imports(name, "ganeti.rapi", "ganeti.luxi", "ganeti.opcodes", "ganeti.objects")


def test_messages_know_nothing_of_sockets() -> None:
    assert "http.message" in modules(), "lib/ganeti/http/message.py is missing"
    assert_never_imports("http.message", "socket", "ssl", "selectors", "http", "socketserver")


@pytest.mark.parametrize("name", inside("rapi"))
def test_rapi_knows_nothing_of_sockets(name: str) -> None:
    assert_never_imports(
        name, "socket", "ssl", "selectors", "socketserver", "http.server", "ganeti.http.server"
    )


def test_errors_know_nothing_of_http() -> None:
    assert_never_imports("errors", "http", "ganeti.http", "urllib")
    statuses = [
        node.value
        for node in ast.walk(tree("errors"))
        if isinstance(node, ast.Constant) and type(node.value) is int and 400 <= node.value <= 599
    ]
    assert not statuses, f"errors.py holds HTTP statuses: {statuses}"


@pytest.mark.parametrize("name", inside("opcodes"))
def test_opcodes_know_nothing_of_execution(name: str) -> None:
    assert_never_imports(
        name,
        "os",
        "subprocess",
        "threading",
        "socket",
        "sqlite3",
        "time",
        "shutil",
        "ganeti.daemon",
        "ganeti.utils",
        "ganeti.pathutils",
    )


@pytest.mark.parametrize("name", inside("jqueue"))
def test_the_queue_knows_no_opcode_by_name(name: str) -> None:
    text = modules()[name].read_text(encoding="utf-8")
    named = re.findall(r"\bOp[A-Z][a-z]+[A-Z]\w+|\bOP_(?!ID)[A-Z]+_[A-Z_]+", text)
    assert not [
        word
        for word in named
        if not word.startswith(("OP_STATUS", "OpPrereq", "OpExec", "OpCode", "OpRetry"))
    ], named


def test_the_client_is_a_file_of_its_own() -> None:
    assert CLIENT in modules(), "lib/ganeti/rapi/client.py is missing"
    assert not our_imports(CLIENT)


# -- what only one room does --------------------------------------------------------


def users_of(found: Callable[[str], bool]) -> set[str]:
    """Modules for which something holds."""
    return {name for name in modules() if found(name)}


def names(name: str, *suffixes: str) -> bool:
    """Does a module use or import one of these dotted names, in whole or at its end?"""
    used = {dotted for dotted, _ in dotted_names(name)} | set(imported_names(name))
    return any(
        dotted == suffix or dotted.endswith("." + suffix) for dotted in used for suffix in suffixes
    )


def test_only_servers_read_a_command_line() -> None:
    readers = users_of(lambda name: names(name, "argparse", "optparse", "getopt", "sys.argv"))
    readers |= users_of(
        lambda name: any(
            dotted.startswith(("argparse.", "optparse.", "getopt."))
            for dotted in imported_names(name)
        )
    )
    assert readers, "no program reads its command line"
    assert all(name.startswith("server.") for name in readers), sorted(readers)


def test_only_pathutils_joins_paths() -> None:
    joiners = users_of(
        lambda name: names(
            name,
            "path.join",
            "posixpath",
            "posixpath.join",
            "pathlib",
            "pathlib.Path",
            "pathlib.PurePath",
        )
    )
    assert joiners == {"pathutils"}


def test_only_store_and_io_sync_to_disk() -> None:
    assert users_of(lambda name: names(name, "fsync", "fdatasync", "os.sync")) <= {
        "store",
        "utils.io",
    }
    assert names("utils.io", "fsync")


def test_only_the_serializer_loads_json() -> None:
    loaders = users_of(lambda name: names(name, "json.loads", "json.load", "JSONDecoder"))
    assert loaders - {CLIENT} == {"serializer"}


def test_only_the_store_speaks_sql() -> None:
    speakers = users_of(lambda name: "sqlite3" in foreign_imports(name))
    assert "store" in speakers
    assert all((place(name) or (0, ""))[1] == "master" for name in speakers), sorted(speakers)


def test_one_table_translates_errors_to_statuses() -> None:
    assert "rapi.faults" in modules(), "lib/ganeti/rapi/faults.py is missing"
    assert "errors" in our_imports("rapi.faults")


@pytest.mark.parametrize("name", sorted(set(modules()) - {CLIENT}))
def test_no_module_is_two_modules(name: str) -> None:
    lines = len(modules()[name].read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{name} has {lines} lines"


# -- names predict each other ---------------------------------------------------------


def snake(camel: str) -> str:
    """InstanceStartup -> instance_startup."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", camel).lower()


def opcode_classes() -> dict[str, str]:
    """Name of each opcode class -> the name without Op, of those decorated with @opcode."""
    found = {}
    for name in inside("opcodes"):
        for node in tree(name).body:
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(decorator).startswith("opcode") for decorator in node.decorator_list
            ):
                found[node.name] = node.name.removeprefix("Op")
    return found


def forwarded() -> set[str]:
    """OP_IDs of FORWARD_ONLY, which our master does not carry out."""
    from ganeti import opcodes

    return set(opcodes.FORWARD_ONLY)


def op_id(word: str) -> str:
    """InstanceStartup -> OP_INSTANCE_STARTUP."""
    return "OP_" + snake(word).upper()


@pytest.mark.parametrize("word", sorted(opcode_classes().values()))
def test_every_opcode_has_its_logical_unit(word: str) -> None:
    if op_id(word) in forwarded():
        assert f"cmdlib.{snake(word)}" not in modules(), f"{word} is carried out and forwarded"
        return
    unit = f"cmdlib.{snake(word)}"
    assert unit in modules(), f"lib/ganeti/cmdlib/{snake(word)}.py is missing"
    assert f"LU{word}" in classes(unit), f"{unit} has no class LU{word}"


@pytest.mark.parametrize("name", sorted(set(inside("cmdlib")) - {"cmdlib", *CMDLIB_SHARED}))
def test_every_logical_unit_has_its_opcode(name: str) -> None:
    units = [word for word in classes(name) if word.startswith("LU")]
    assert len(units) == 1, f"{name} holds {units or 'no logical unit'}"
    assert snake(units[0].removeprefix("LU")) == name.removeprefix("cmdlib.")
    assert f"Op{units[0].removeprefix('LU')}" in opcode_classes()


def test_opcodes_were_found() -> None:
    assert "OpInstanceStartup" in opcode_classes()


# -- tests beside modules ---------------------------------------------------------------


def has_code(name: str) -> bool:
    """Does a module define anything? A package's __init__ often only collects names."""
    return any(isinstance(node, (ast.ClassDef, ast.FunctionDef)) for node in tree(name).body)


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name in modules()
        if name not in UNTESTED and (has_code(name) or not is_package(name))
    ),
)
def test_every_module_has_its_test_file(name: str) -> None:
    folder, _, leaf = name.rpartition(".")
    files = TOP / "test" / (name if is_package(name) else folder).replace(".", "/")
    assert [*files.glob(f"test_{leaf}.py"), *files.glob(f"test_{leaf}_*.py")], name


def test_untested_modules_exist() -> None:
    assert set(UNTESTED) <= set(modules())


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


def test_no_test_hides_a_standard_module() -> None:
    assert [path.parent.name for path in (TOP / "test").rglob("__init__.py")] == ["support"]
