"""The words of a real luxid, as recorded from 3.0.2, and what they mean."""

import pytest

from ganeti import errors
from ganeti.luxi import dialect


@pytest.mark.parametrize(
    "text, version",
    [
        ("3.0.2", (3, 0)),
        ("3.1", (3, 1)),
        ("3.1.0~rc2", (3, 1)),
        ("12.34.5-1", (12, 34)),
        ("2.16.2", None),
        ("0.1.0", None),
        ("3", None),
        ("3.x", None),
        ("3.1x", None),
        (3.0, None),
        (None, None),
    ],
)
def test_a_version_is_its_first_two_numbers(text, version):
    assert dialect.parse_version(text) == version


def test_a_drained_queue_is_a_generic_error_with_these_words():
    assert dialect.is_drained(errors.GenericError("Queue drained"))
    assert not dialect.is_drained(errors.GenericError("Queue drained by jane"))
    assert not dialect.is_drained(errors.JobQueueError("Queue drained"))


def test_a_dependency_on_no_job_is_known_by_the_words_of_both_masters():
    for words in (
        "relative dependency -7 of job 3 leads to no job",
        "Invalid value for job ID ' -7953'",
        "Invalid value for job ID '0'",
    ):
        assert dialect.is_dependency_on_no_job(errors.GenericError(words))
        assert not dialect.is_dependency_on_no_job(errors.JobLost(words))
    assert not dialect.is_dependency_on_no_job(errors.GenericError("Invalid value for job ID 'x'"))


def test_a_submission_that_luxid_cannot_parse_has_a_reason():
    prefix = "Failed to parse request: SubmitJob: "
    assert dialect.unreadable_submission(errors.RequestError(prefix + "why")) == "why"
    assert dialect.unreadable_submission(errors.GenericError(prefix + "why")) is None
    assert dialect.unreadable_submission(errors.RequestError("Failed to parse request")) is None


def test_the_reason_names_an_unknown_opcode_or_unknown_fields():
    opcode = "Unknown opcode OP_NETWORK_RENAME"
    fields = 'Superfluous dictionary keys: ["a_b","c"], but only ["OP_ID","comment"] allowed.'
    assert dialect.unknown_opcode(opcode) == "OP_NETWORK_RENAME"
    assert dialect.unknown_fields(fields) == ["a_b", "c"]
    assert dialect.unknown_opcode(fields) is None
    assert dialect.unknown_fields(opcode) == []


@pytest.mark.parametrize(
    "error, problem",
    [
        (
            errors.RequestError("Failed to parse request: Query: error: no such thing"),
            "no such thing",
        ),
        (errors.RequestError("the answer is not JSON"), None),
        (errors.GenericError("Cannot convert value 1"), "Cannot convert value 1"),
        (errors.GenericError("parsing job id: x"), "parsing job id: x"),
        (errors.GenericError("the disk is full"), None),
        (errors.ParameterError("Cannot convert value 1"), None),
    ],
)
def test_a_wrong_filter_has_its_problem_in_words(error, problem):
    assert dialect.filter_problem(error) == problem


def test_a_job_filter_that_is_not_there_does_not_exist():
    assert dialect.is_missing_filter(errors.GenericError("Filter rule with UUID x does not exist"))
    assert not dialect.is_missing_filter(errors.GenericError("x exists"))


def test_a_wait_in_which_nothing_changed_has_a_word_as_its_result():
    assert dialect.is_no_change("nochange")
    assert not dialect.is_no_change([["running"], []])
