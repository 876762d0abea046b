"""Rights that the third field of a users file gives."""

import datetime

import pytest

from ganeti.rapi.auth.rights import Rights, Vocabulary, parse_rights

READS = frozenset({"jobs.list", "tags.get"})
RIGHTS = READS | {"jobs.cancel", "instances.startup", "instances.remove"}
WORDS = Vocabulary(RIGHTS, {"@admin": RIGHTS, "@readonly": READS})


def rights(field):
    found, complaints = parse_rights(field, WORDS)
    assert complaints == []
    return found


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("@admin", RIGHTS),
        ("@readonly", READS),
        ("@ReadOnly", READS),
        ("jobs.list", {"jobs.list"}),
        (" jobs.list , tags.get,", READS),
        ("+jobs.list", {"jobs.list"}),
        ("-jobs.list", set()),
        ("@readonly,+jobs.cancel,-tags.get", {"jobs.list", "jobs.cancel"}),
        ("-tags.get,+jobs.cancel,@readonly", {"jobs.list", "jobs.cancel"}),
        ("-jobs.list,jobs.list", set()),
        ("@readonly,@admin", RIGHTS),
    ],
)
def test_a_field_gives_the_rights_of_its_grammar(field, expected):
    found = rights(field)
    assert found.whole == expected and not found.unsaid
    for right in RIGHTS:
        assert found.allow(right, None) is (right in expected) is found.may_allow(right)


@pytest.mark.parametrize(
    "word",
    [
        "@root",
        "jobs",
        "jobs.fly",
        "list",
        "*",
        "jobs.*",
        "++jobs.list",
        "+-jobs.list",
        "+@admin",
        "-@admin",
        "@admin:x",
        "instances.startup:",
        "instances.startup:a b",
        "instances.startup:[a]",
        "instances.startup:" + "a" * 129,
        "+",
        "-",
        ":",
        "@",
    ],
)
def test_an_unknown_word_gives_nothing_and_is_a_complaint(word):
    found, complaints = parse_rights(word, WORDS)
    assert len(complaints) == 1 and not found.unsaid
    assert not any(found.may_allow(right) for right in RIGHTS)
    assert parse_rights(f"{word},jobs.list", WORDS)[0].whole == {"jobs.list"}


def test_a_removal_by_an_invalid_pattern_removes_the_whole_right():
    found, complaints = parse_rights("@admin,-instances.startup:[bad", WORDS)
    assert len(complaints) == 1 and not found.may_allow("instances.startup")


def test_names_are_asked_for_only_where_patterns_decide():
    for field, asked in (
        ("instances.startup", False),
        ("instances.startup:web*", True),
        ("@admin,instances.startup:web*", False),
        ("@admin,-instances.startup:web*", True),
        ("jobs.list", False),
    ):
        assert rights(field).ask_for_names("instances.startup") is asked, field


def test_a_right_that_no_pattern_limits_is_unconditional():
    found = rights("@admin,-instances.startup:db*,instances.remove:web*")
    assert found.unconditional == RIGHTS - {"instances.startup"}
    assert rights("instances.startup:web*").unconditional == set()


def test_a_field_without_rights_is_unsaid():
    for field in ("", " , ", "expires=2027-01-31"):
        assert rights(field).unsaid and not rights(field).whole


def test_a_right_by_pattern_covers_objects_of_such_names():
    found = rights("instances.startup:web*.example.com,instances.startup:db?")
    for name in ("web.example.com", "WEB1.Example.com", "web.a.example.com", "db1"):
        assert found.allow("instances.startup", name), name
    for name in (
        None,
        "",
        "web",
        "xweb.example.com",
        "web.example.org",
        "db",
        "db10",
        "web.example.com.org",
    ):
        assert not found.allow("instances.startup", name), name
    assert not found.allow("instances.remove", "web.example.com")
    assert found.may_allow("instances.startup") and not found.may_allow("instances.remove")


def test_a_removal_by_pattern_excludes_objects_of_such_names():
    found = rights("-instances.remove:db*,@admin")
    assert found.allow("instances.remove", "web") and found.allow("jobs.cancel", "db1")
    assert not found.allow("instances.remove", "db1")
    assert not found.allow("instances.remove", None)  # it might be one of these


def test_a_removed_right_is_not_given_back_by_a_pattern():
    assert not rights("-jobs.cancel,jobs.cancel:1*").may_allow("jobs.cancel")


def test_a_user_expires_after_the_last_day():
    found = rights("jobs.list,expires=2027-01-31")
    assert not found.has_expired(datetime.date(2027, 1, 31))
    assert found.has_expired(datetime.date(2027, 2, 1))
    assert not rights("jobs.list").has_expired(datetime.date.max)


@pytest.mark.parametrize("text", ["", "soon", "2027-13-01", "2027-02-30", "31.1.2027"])
def test_an_invalid_last_day_counts_as_past(text):
    found, complaints = parse_rights(f"jobs.list,expires={text}", WORDS)
    assert found.has_expired(datetime.date(1970, 1, 1)) and "not a valid date" in complaints[0]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "", True),
        ("*", "a.b", True),
        ("", "", True),
        ("", "a", False),
        ("?", "", False),
        ("a*b*c", "axxbyyc", True),
        ("a*b*c", "axxbyy", False),
        ("**a", "ba", True),
        ("a", "A", True),
        ("a.c", "abc", False),
        ("*a", "aaab", False),
        ("a?", "a", False),
    ],
)
def test_a_pattern_matches_the_whole_name(pattern, name, expected):
    found = Rights(given=frozenset({("jobs.list", pattern)}))
    assert found.allow("jobs.list", name) is expected


def test_matching_a_pattern_takes_bounded_time():
    found = rights("jobs.list:" + "*a" * 60 + "b")
    assert not found.allow("jobs.list", "a" * 250)
