"""Types of fields: values that fit, values that do not, and the messages about them."""

from typing import Annotated, Any, ClassVar, Literal

import pytest

from ganeti import ht
from ganeti.constants import JobStatus
from ganeti.serializer import Json


@pytest.mark.parametrize(
    "annotation, good, bad",
    [
        (str, ["", "x"], [1, None, b"x"]),
        (int, [0, -1], [True, 1.0, "1"]),
        (float, [1, 1.5], [True, "1"]),
        (bool, [True], [1, "true", None]),
        (int | None, [1, None], ["x", False]),
        (list[str], [[], ["a"], ("a",)], ["a", [1], None]),
        (dict[str, int], [{}, {"a": 1}], [{"a": "b"}, {1: 1}, []]),
        (tuple[int, ...], [(1, 2), []], [(1, "x"), 3]),
        (Literal["a", 1], ["a", 1], ["b", True]),
        (dict, [{}], [[]]),
        (Any, [None, object()], []),
        (object, [None, object()], []),
        (Json, [None, 1], []),
        (dict[str, Json], [{}, {"a": [1]}], [{1: 1}, []]),
        (ht.NonEmptyString, ["x"], ["", 1]),
        (ht.NonNegativeInt, [0], [-1, True]),
        (ht.PositiveInt, [1], [0]),
        (
            ht.NewHostName,
            ["a", "web-1.example.com", "_x", "a.b."],
            ["", "-a", "a..b", "a/b", ".", "..", "a\n", "x" * 64, "é"],
        ),
    ],
)
def test_a_check_accepts_values_of_its_type_only(annotation, good, bad):
    check = ht.check_for(annotation)
    assert all(check.fits(value) for value in good)
    assert not any(check.fits(value) for value in bad)
    assert check.expects


def test_an_annotation_that_cannot_be_read_is_refused():
    with pytest.raises(TypeError):
        ht.check_for(set[int])


def test_an_annotation_without_refinement_is_its_base():
    assert ht.check_for(Annotated[str, "note"]).expects == "a string"


@pytest.mark.parametrize(
    "text, size",
    [
        (512, 512),
        ("512", 512),
        ("512M", 512),
        ("1G", 1024),
        ("1.5g", 1536),
        ("2 TiB", 2097152),
        ("0.1M", 1),
        (256.0, 256),
        (256.5, 257),
        ("1.2345M", 2),
        ("1.0001g", 1025),
        (".5g", 512),
        ("1.", 1),
    ],
)
def test_sizes_are_read_in_mib(text, size):
    assert ht.parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "G",
        "1X",
        "-1",
        -1,
        True,
        None,
        "1_0",
        "٣",
        "1g ",
        "1.2.3",
        ".",
        "1e3",
        -0.5,
        1e20,
        1e400,
        float("nan"),
        10**18,
        "9" * 15 + "t",
        "9" * 20,
        [1],
        {},
    ],
)
def test_an_invalid_size_is_refused(text):
    with pytest.raises(ValueError):
        ht.parse_size(text)
    assert not ht.is_size(text)


@pytest.mark.parametrize(
    "value, size",
    [
        (1024, 1024),
        (1025, 1028),
        ("129", 132),
        (1, 4),
        (0, 0),
        ("0.2g", 208),
        (256.5, 260),
        ("1.5001G", 1540),
    ],
)
def test_guests_get_multiples_of_4_mib(value, size):
    assert ht.parse_guest_size(value) == size


@pytest.mark.parametrize(
    "name, stored",
    [
        ("web", "web"),
        ("Web.Example.com", "web.example.com"),
        ("web.example.com.", "web.example.com"),
        ("a..", "a."),
    ],
)
def test_names_are_stored_in_small_letters_without_the_last_dot(name, stored):
    assert ht.stored_name(name) == stored


@pytest.mark.parametrize(
    "name, good",
    [
        ("web.", True),
        ("web", True),
        ("web..", False),
        (".", False),
        ("", False),
        (".web", False),
        ("web. ", False),
        (7, False),
    ],
)
def test_a_new_name_may_end_with_a_dot(name, good):
    assert ht.check_for(ht.NewHostName).fits(name) is good


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "null"),
        (True, "true"),
        ("soft", "'soft'"),
        (["add", {"size": "1G"}, None], '["add", {"size": "1G"}, null]'),
        (("a", 1), '["a", 1]'),
        ([JobStatus.SUCCESS], '["success"]'),
        (JobStatus.ERROR, "'error'"),
        ("a\nb", r"'a\nb'"),
        (["a\nb"], r'["a\nb"]'),
        (["\u202e"], r'["\u202e"]'),
    ],
)
def test_messages_show_json_and_no_python(value, text):
    assert ht.shorten(value) == text


@pytest.mark.parametrize(
    "tag, problem",
    [
        ("web", None),
        ("a.b+c*/:@-_", None),
        ("x" * 128, None),
        ("", "empty"),
        ("x" * 129, "longer"),
        ("a b", "invalid"),
        ("tag\n", "invalid"),
        ("ü", "invalid"),
    ],
)
def test_a_tag_is_checked_against_ganetis_rules(tag, problem):
    found = ht.tag_problem(tag)
    assert found is None if problem is None else problem in (found or "")


@pytest.mark.parametrize(
    "name, good",
    [
        ("noop", True),
        ("debian+default", True),
        ("a/b", False),
        ("..", False),
        ("", False),
        ("x+", False),
    ],
)
def test_an_os_name_is_checked(name, good):
    assert ht.is_os_name(name) is good


@pytest.mark.parametrize(
    "text, good",
    [
        ("", True),
        ("a=b\n", True),
        ("\u00e9\N{EURO SIGN}", True),
        ("a\0b", False),
        ("\0", False),
        ("\ud800", False),
        ("\udc80", False),
    ],
)
def test_text_with_nul_or_surrogates_does_not_fit_an_environment(text, good):
    assert ht.fits_environment(text) == good


@pytest.mark.parametrize(
    "text, good",
    [
        ("01234567-89ab-cdef-0123-456789abcdef", True),
        ("01234567-89AB-cdef-0123-456789abcdef", False),
        ("01234567-89ab-cdef-0123-456789abcdef\n", False),
        ("0123456789abcdef0123456789abcdef", False),
        ("", False),
    ],
)
def test_a_uuid_is_in_lower_case(text, good):
    assert ht.is_uuid(text) == good


def test_long_values_are_cut_in_messages():
    assert len(ht.shorten("x" * 1000)) == 80


def test_checks_of_a_class_are_those_of_its_own_annotations():
    class Base:
        """A class whose annotations are not those of its subclasses."""

        first: "str"

    class Derived(Base):
        small: "int | None"
        BIG: "ClassVar[int]" = 1

    found = ht.checks_of(Derived)
    assert list(found) == ["small"] and found["small"] is ht.check_for(int | None)
