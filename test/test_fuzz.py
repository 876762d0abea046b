"""Regressions that the fuzzer found, and its targets with their first inputs."""

import pytest

from support.fuzz import FINDINGS, TARGETS, seeds, words


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_its_seeds_and_findings(name):
    for data in seeds(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_has_seeds_and_words(name):
    assert len(seeds(name)) >= 7 and words(name)


def test_each_folder_of_findings_belongs_to_a_target():
    assert {path.name for path in FINDINGS.iterdir()} <= TARGETS.keys()
