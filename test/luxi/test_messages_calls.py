"""LUXI calls as dataclasses: unchanged by a round trip, with messages about wrong arguments."""

import pytest

from ganeti import luxi


def test_a_call_is_the_same_after_the_wire():
    call = luxi.WaitForJobChange("25", ["status"], None, 3, 60)
    assert luxi.WaitForJobChange.from_args(call.to_args()) == call
    assert luxi.CancelJob.from_args([5]) == luxi.CancelJob(5, False)


@pytest.mark.parametrize(
    "call, args, words",
    [
        (luxi.SubmitJob, [], "ops is missing"),
        (luxi.SubmitJob, None, "takes 1 arguments"),
        (luxi.SubmitJob, [[], 1], "takes 1 arguments"),
        (luxi.SubmitJob, [["x"]], "ops must be"),
        (luxi.CancelJob, ["abc"], "job_id must be a job id"),
        (luxi.QueryTags, ["group", ""], "kind"),
        (luxi.QueryNodes, [["a"], ["name"]], "lock is missing"),
    ],
)
def test_wrong_arguments_are_named(call, args, words):
    with pytest.raises(ValueError, match=words):
        call.from_args(args)


@pytest.mark.parametrize(
    "value, number",
    [
        (25, 25),
        ("25", 25),
        (25.0, 25),
        ("abc", None),
        ("25 ", None),
        (25.5, None),
        (-1, None),
        (True, None),
        ("٣", None),
        (None, None),
        ("9" * 19, None),
    ],
)
def test_job_ids_come_in_several_forms(value, number):
    assert luxi.parse_job_id(value) == number


@pytest.mark.parametrize(
    "value, number",
    [
        (" 25", 25),
        ("25 ", 25),
        ("\t25\r\n", 25),
        ("\u300025", 25),
        ("25", 25),
        (25, 25),
        (25.0, 25),
        ("2 5", None),
        (" ", None),
        ("", None),
        (" -1", None),
        ("- 1", None),
        (" 9" * 19, None),
        (None, None),
    ],
)
def test_a_job_id_of_a_call_may_have_blanks_around_it(value, number):
    assert luxi.read_job_id(value) == number
    for call in (luxi.CancelJob, luxi.ArchiveJob):
        if number is None:
            with pytest.raises(ValueError, match="job_id must be a job id"):
                call.from_args([value])
        else:
            call.from_args([value])
