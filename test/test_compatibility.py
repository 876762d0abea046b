"""The page about compatibility: its table of resources is complete, its tables are fresh."""

import importlib
import re

import pytest

from ganeti import cmdlib
from ganeti.rapi.rlib2 import RESOURCES
from support import DATA, TOP
from support.scripts import load_script


@pytest.fixture(scope="module")
def writer():
    """Return the program that writes the table."""
    return load_script("autotools/compatibility")


def test_a_verb_that_claims_to_be_of_a_release_is_in_that_release(writer):
    claimed = {
        (resource.URI, method, since)
        for resource in RESOURCES
        for method in resource.verbs()
        if (since := writer.since_of(resource, method)) != writer.OURS
    }
    lines = (DATA / "resources.txt").read_text(encoding="utf-8").splitlines()
    assert claimed == {tuple(line.split(" ", 2)) for line in lines if not line.startswith("#")}


def test_there_are_as_many_resources_as_ganeti_3_1_has(writer):
    released = [
        one
        for one in RESOURCES
        if any(writer.is_released(writer.since_of(one, m)) for m in one.verbs())
    ]
    assert len(released) == 61


def test_what_came_later_is_a_method_or_a_word_of_its_resource():
    for resource in RESOURCES:
        known = set(resource.verbs())
        for verb in resource.verbs().values():
            known |= {argument.word or name for name, argument in verb.arguments.items()}
        assert resource.LATER.keys() <= known, resource.URI


def test_the_table_says_501_for_what_our_master_does_not_carry_out(writer):
    table = writer.table()
    assert "| `/2/instances/[instance_name]/migrate` | PUT |" in table
    assert "501 (OP_INSTANCE_MIGRATE)" in table and "501 (OP_INSTANCE_STARTUP)" not in table


def test_the_table_in_the_page_is_up_to_date(writer):
    text = (TOP / "doc/compatibility.md").read_text(encoding="utf-8")
    assert writer.replace(text) == text, "run autotools/compatibility"


def test_the_list_of_differences_in_the_page_is_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(str(TOP / "qa/interop"))
    differences = importlib.import_module("differences")
    text = (TOP / "doc/compatibility.md").read_text(encoding="utf-8")
    assert differences.text() in text, "run qa/interop/differences.py"


def test_opcodes_that_gnt_tools_were_refused_are_still_refused():
    text = (TOP / "doc/compatibility.md").read_text(encoding="utf-8")
    refused = set(re.findall(r"\| refused: (OP_\w+) \|", text))
    assert refused <= cmdlib.FORWARD_ONLY, "run qa/interop/tools --table"
