"""What the fuzzer found stays mended, and its targets hold for what they begin with."""

import pytest

from support.fuzz import FINDINGS, TARGETS, seeds, words


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_findings(name):
    for data in seeds(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_there_is_something_to_begin_with(name):
    assert len(seeds(name)) >= 7 and words(name)


def test_findings_are_of_targets():
    assert {path.name for path in FINDINGS.iterdir()} <= TARGETS.keys()
