"""The page about compatibility: its table of resources is complete, its tables are fresh."""

import importlib
import re

import pytest

from ganeti import cmdlib
from ganeti.rapi.baserlib import RESOURCES
from ganeti.rapi.connector import Connector
from support import TOP
from support.scripts import load_script


@pytest.fixture(scope="module")
def writer():
    """The program that writes the table."""
    return load_script("autotools/compatibility")


def test_every_verb_has_a_history(writer):
    Connector()
    ours = {
        resource.URI: set(resource.verbs())
        for resource in RESOURCES
        if resource.__module__.startswith("ganeti.")
    }
    assert {uri: set(verbs) for uri, verbs in writer.HISTORY.items()} == ours


def test_the_history_has_as_many_resources_as_ganeti_3_1(writer):
    released = [
        uri
        for uri, verbs in writer.HISTORY.items()
        if any(since[0].isdigit() for since in verbs.values())
    ]
    assert len(released) == 61


def test_words_of_the_history_are_arguments_of_their_verb(writer):
    for (uri, method), words in writer.WORDS.items():
        resource = next(one for one in RESOURCES if one.URI == uri)
        known = {
            argument.word or name for name, argument in resource.verbs()[method].arguments.items()
        }
        assert words.keys() <= known, uri


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
