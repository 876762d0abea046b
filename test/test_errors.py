"""Errors keep their class and arguments on the way over the wire and back."""

import pytest

from ganeti import errors
from ganeti.constants import ErrorCode
from ganeti.db.store import DatabaseDamaged


def test_prereq_error_carries_its_code():
    error = errors.OpPrereqError("no such instance", ErrorCode.NOENT)
    assert errors.encode(error) == ["OpPrereqError", ["no such instance", "unknown_entity"]]
    back = errors.decode(["OpPrereqError", ["no such instance", "unknown_entity"]])
    assert isinstance(back, errors.OpPrereqError)
    assert (str(back), back.code) == ("no such instance", "unknown_entity")


def test_a_prereq_error_of_one_argument_is_read():
    back = errors.decode(["OpPrereqError", ["old"]])
    assert isinstance(back, errors.OpPrereqError) and back.code == "wrong_input"


@pytest.mark.parametrize(
    "name",
    sorted(set(errors.BY_NAME) - {"OpPrereqError", "JobQueueUnavailable"} - {"DatabaseDamaged"}),
)
def test_every_class_makes_the_round_trip(name):
    error = errors.BY_NAME[name]("words", 3)
    assert errors.encode(error) == [name, ["words", 3]]
    assert type(errors.decode(errors.encode(error))) is errors.BY_NAME[name]


def test_a_damaged_database_is_sent_as_a_configuration_error():
    assert errors.encode(DatabaseDamaged("page 3")) == ["ConfigurationError", ["page 3"]]


def test_our_refinement_goes_out_under_a_name_that_clients_know():
    assert errors.encode(errors.JobQueueUnavailable("full disk"))[0] == "JobQueueError"


@pytest.mark.parametrize(
    "value",
    [
        "text",
        None,
        {},
        ["NoSuchError", []],
        ["OpExecError"],
        ["OpExecError", "x"],
        ["OpExecError", [], 1],
    ],
)
def test_an_unknown_form_of_error_is_a_request_error(value):
    assert type(errors.decode(value)) is errors.RequestError


def test_a_foreign_exception_becomes_an_exec_error():
    assert errors.encode(KeyError("x")) == ["OpExecError", ["KeyError: 'x'"]]


def test_the_text_of_an_error_is_its_first_text_argument():
    assert str(errors.OpExecError(1, "why")) == "why"
    assert str(errors.JobQueueFull()) == "JobQueueFull"
