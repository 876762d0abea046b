"""devel/figures: exact numbers of a small tree, and what its table says."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support import TOP, sources
from support.scripts import git_works, load_script

FILES = {
    "lib/ganeti/__init__.py": '"""The package."""\n',
    "lib/ganeti/errors.py": '''\
"""What can go wrong."""

from typing import Any, cast

import ganeti

# Raised everywhere.


class Error(Exception):
    """It failed."""

    def code(self, known: Any) -> int:
        """Is there a code for it? 0 if not."""
        return cast(int, known) if known else 0
''',
    "lib/ganeti/http/__init__.py": "",
    "lib/ganeti/http/server.py": '''\
"""Serve requests until the daemon is told to stop."""

from ganeti import errors
from ganeti.http.limits import LIMIT


def serve(one, two):
    def inner():
        return LIMIT  # type: ignore

    key = lambda: one
    return inner() or errors.Error(one, two, key)


async def stop(): ...
''',
    "lib/ganeti/http/limits.py": "from ..errors import Error\n\nLIMIT = Error\n",
    "test/test_server.py": """\
def helper():
    return 1


def test_serve():
    assert helper()


class TestStop:
    def test_stop(self):
        stopped = helper()
        assert stopped
""",
}

EXPECTED: dict[str, Any] = {
    "modules": 5,
    "lines": 34,
    "file_lines": {"median": 3, "p90": 15, "max": 15, "longest": "http.server"},
    "function_lines": {"median": 2, "p90": 6, "max": 6, "longest": "http.server.serve"},
    "file_histogram": {"1-60": 5, "61-120": 0},
    "function_histogram": {"1-10": 4, "11-20": 0},
    "one_importer_percent": 40.0,
    "small_modules_with_one_importer": ["http.limits"],
    "docstrings_what_who_how_it_percent": {"modules_and_classes": 50.0, "functions": 0.0},
    "docstrings_questions_percent": {"modules_and_classes": 0.0, "functions": 100.0},
    "docstrings_of_six_words_or_fewer": 3,
    "comment_percent": 5.0,
    "any_per_1000": 100.0,
    "cast_and_type_ignore_per_1000": 100.0,
    "ternaries_per_1000": 50.0,
    "lambdas_per_1000": 50.0,
    "test_lines": {"median": 2, "p90": 3, "max": 3, "longest": "test_server.test_stop"},
    "commits": None,
}


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    return load_script("devel/figures")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a checkout of a few files, without git."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def commit(tree: Path) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=no"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "Change"]):
        subprocess.run(["git", "-C", str(tree), *command], check=True)


def test_figures_of_a_small_tree_are_exact(figures: ModuleType, tree: Path) -> None:
    found = figures.measure(tree)
    for key in ("file_histogram", "function_histogram"):
        assert sum(found[key].values()) == sum(EXPECTED[key].values())
        found[key] = {name: found[key][name] for name in EXPECTED[key]}
    assert found == EXPECTED


def test_the_folder_of_a_package_is_measured_without_tests(figures: ModuleType, tree: Path) -> None:
    found = figures.measure(tree / "lib/ganeti")
    assert found == figures.measure(tree) | {"test_lines": None}


def test_a_folder_without_sources_is_refused(figures: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no Python package"):
        figures.measure(tmp_path)


@pytest.mark.skipif(not git_works(), reason="no git here")
def test_commits_are_counted_from_the_last_back(figures: ModuleType, tree: Path) -> None:
    commit(tree)
    (tree / "lib/ganeti/errors.py").rename(tree / "lib/ganeti/failures.py")
    (tree / "lib/ganeti/__init__.py").write_text('"""The whole package."""\n')
    commit(tree)
    lines = sum(text.count("\n") for text in FILES.values())
    both = {"count": 2, "files_p90": len(FILES), "lines_p90": lines}
    assert figures.measure(tree)["commits"] == both
    assert figures.measure(tree, 1)["commits"] == {"count": 1, "files_p90": 2, "lines_p90": 2}


@pytest.mark.parametrize(
    "size, name", [(0, "1-10"), (10, "1-10"), (11, "11-20"), (30, "21-30"), (31, "over 30")]
)
def test_a_size_at_a_boundary_is_in_the_lower_class(
    figures: ModuleType, size: int, name: str
) -> None:
    counts = figures.histogram([size], 10, 30)
    assert list(counts) == ["1-10", "11-20", "21-30", "over 30"]
    assert [key for key, count in counts.items() if count] == [name]


def test_a_tenth_of_the_values_is_above_the_percentile(figures: ModuleType) -> None:
    assert figures.percentile_90(range(1, 101)) == 91
    assert figures.percentile_90([7]) == 7


def test_the_table_prints_each_figure_in_a_row(figures: ModuleType, tree: Path) -> None:
    table = figures.table(figures.measure(tree))
    rows = dict(re.findall(r"^(\S.*?)  +(\S.*)$", table, re.M))
    assert rows["modules, lines"] == "5, 34"
    assert rows["function: median / p90 / max"] == "2 / 6 / 6  (http.server.serve)"
    assert rows["docstrings that are questions"] == "0.0 % (modules, classes), 100.0 % (functions)"
    assert rows["ternaries, lambdas per 1,000 lines"] == "50.0, 50.0"
    assert rows["commits: p90 files, lines"] == "-"
    assert f"\n      1-10      4  {'#' * 40}\n     11-20      0\n" in table


def test_the_program_prints_json(tree: Path) -> None:
    run = [sys.executable, str(TOP / "devel/figures"), "--json", "--no-trace", str(tree)]
    printed = json.loads(subprocess.run(run, check=True, capture_output=True).stdout)
    assert printed["modules"] == 5


def test_importers_are_those_of_the_architecture_test(figures: ModuleType) -> None:
    modules = figures.read_modules(sources.LIB)
    assert set(modules) == set(sources.modules())
    found = figures.find_importers(modules, "ganeti")
    assert found == {name: sources.importers(name) - {name} for name in modules}


def test_limits_are_those_of_the_architecture_test(figures: ModuleType) -> None:
    text = (TOP / "test/test_architecture.py").read_text(encoding="utf-8")
    limits = dict(re.findall(r"^(M\w+_LINES) = (\d+)$", text, re.M))
    assert len(limits) == 3
    assert {name: str(getattr(figures, name)) for name in limits} == limits
