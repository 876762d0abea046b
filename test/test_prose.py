"""devel/prose: which English it lists, and which it leaves alone."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from support import TOP
from support.scripts import load_script


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    """Return the script as a module."""
    return load_script("devel/prose")


@pytest.fixture
def listed(prose, tmp_path):
    """Return a function that writes a file and returns what is listed of it, by line."""

    def write_and_list(name: str, text: str) -> list[tuple[int, str]]:
        path = tmp_path / Path(name).name
        path.write_text(text, encoding="utf-8")
        return prose.problems(path, name)

    return write_and_list


BAD = [
    "the job is none of a user that is none",
    "a name that is no instance",
    "a row in the place of another",
    "the field stands in the body",
    "Whoever asks gets it",
    "a line for who is known",
    "It is read. Who asks later waits.",
    "the list comes to its end",
    "wait, so that nobody is lost",
    "the user, if he is known",
    "a file that stays as it is.",
    "Were it known, it would be sent",
    "after so many seconds",
]
GOOD = [
    "there is none, and there is no instance",
    "a lock that is no longer held",
    "UTC stands for universal time",
    "it can be typed as it stands",
    "the user who is known",
    "Who may do what\n---------------",
    "the file is left as it is.",
    "the price as it is known",
    "so many bytes that they do not fit",
    "code that `is none` of ours",
    "access is None",
]


@pytest.mark.parametrize("text", BAD)
def test_a_phrase_is_listed(listed, text):
    assert listed("doc/page.rst", text + "\n")


@pytest.mark.parametrize("text", GOOD)
def test_plain_english_is_not_listed(listed, text):
    assert listed("doc/page.rst", text + "\n") == []


def test_a_phrase_across_lines_has_the_line_where_it_begins(listed):
    [(line, text)] = listed("README.md", "One.\n\nA page, which\n  is none\nat all.\n")
    assert line == 4 and '"is not a ..."' in text and "which is none at all" in text


def test_blocks_of_code_are_not_read(listed):
    page = "Say::\n\n  it is none\n\nThat it is none.\n\n```\nit is none\n```\n"
    assert [line for line, _ in listed("doc/page.md", page)] == [5]


def test_a_manual_is_read_without_its_macros(listed):
    page = '.TH x 8\n.\\" it is none\n.B so\nit\n.I is\nnone \\- \\fBalways\\fR\n'
    assert [line for line, _ in listed("man/x.8", page)] == [5]


PYTHON = '''\
#!/usr/bin/env python3
"""Whether it is used."""

# A comment that stands
# on two lines.
NAME = "is none"  # whoever reads it


class Thing:
    """The thing, a noun.

    Then more; it is none.
    """

    def name(self):
        """The name."""

    def ready(self):
        """Return whether it is ready, or is it?"""
        raise ValueError(f"the {self} is no valid thing")

    def good(self):
        """Return ``a?`` or the word."""

    @functools.cached_property
    def width(self):
        """The width in pixels."""

    @property
    def is_wide(self):
        """Whether it is wide."""

    def count(self):
        """Remove it; how many there were."""
'''


def test_a_python_file_is_listed_line_by_line(listed):
    found = [(line, text.split(":")[0]) for line, text in listed("lib/ganeti/thing.py", PYTHON)]
    assert found == [
        (2, 'begins with "Whether"'),
        (4, 'better "is", "is written"'),
        (6, 'better "a client that ...", "any caller"'),
        (12, 'better "is not a ..."'),
        (16, "does not begin with one of VERBS"),
        (19, "a question"),
        (20, 'better "is not a ..."'),
        (31, 'begins with "Whether"'),
        (34, "no verb (return, raise) after the semicolon"),
    ]


def test_literals_outside_the_package_are_not_read(listed):
    assert listed("test/test_x.py", 'X = "a name that is no instance"\n') == []


def test_only_comments_are_read_of_a_script(listed):
    script = "#!/bin/sh is none\n\necho it is none\n  # it\n  # is none\n"
    assert [line for line, _ in listed("devel/test", script)] == [5]


def test_the_program_prints_places_and_fails(tmp_path):
    (tmp_path / "NEWS").write_text("- Nothing.\n- It is none.\n")
    done = run_prose(tmp_path)
    assert (
        done.stdout == f'{tmp_path}/NEWS:2: better "is not a ...": ...- Nothing. - It is none....\n'
    )
    assert (done.stderr, done.returncode) == ("1 found\n", 1)


def test_the_program_is_quiet_where_nothing_is_wrong(tmp_path):
    (tmp_path / "NEWS").write_text("- It works.\n")
    done = run_prose(tmp_path / "NEWS")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def run_prose(place: Path) -> subprocess.CompletedProcess[str]:
    """Run the program on a place."""
    command = [sys.executable, str(TOP / "devel/prose"), str(place)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)
