"""Tags, and who has the answer already."""

import pytest

from ganeti.http.conditional import body_tag, has_state_tag, matches, state_tag

TAG = 'W/"abc"'


def test_a_tag_is_of_the_body():
    assert body_tag(b"x") == body_tag(b"x") != body_tag(b"y")
    assert matches(body_tag(b"x"), [body_tag(b"x")])


def test_a_tag_of_a_state_is_known_as_one():
    tag = state_tag("instance", "name", "s1")
    assert tag == state_tag("instance", "name", "s1") != state_tag("instance", "names", "1")
    assert has_state_tag(['"x"', tag]) and matches(tag, [tag])
    assert not has_state_tag([body_tag(b"state-")]) and not has_state_tag(["*"])


@pytest.mark.parametrize("lines", [
    ["*"], [" * "], ['W/"abc"'], ['"abc"'], ['"x", W/"abc"'], ['"x","abc"'], ['"x"', '"abc"'],
    ['"", "abc"'], [', "abc",'], ['"a,b", "abc"']])
def test_matches(lines):
    assert matches(TAG, lines)


@pytest.mark.parametrize("lines", [
    [], [""], ["abc"], ['"abcd"'], ['"ABC"'], ['w/"abc"'], ['"abc'], ["* , *"], ['"x" "abc"'],
    ['"abc", junk'], ['"x,abc"'], ["'abc'"]])
def test_matches_not(lines):
    assert not matches(TAG, lines)
