"""The member ``context`` of a LUXI request."""

from ganeti.luxi import RequestContext


def test_only_what_is_known_travels():
    context = RequestContext("admin", "r1")
    assert context.to_wire() == {"user": "admin", "request_id": "r1"}
    assert RequestContext.from_wire(context.to_wire()) == context


def test_unknown_members_and_wrong_types_are_passed_over():
    assert RequestContext.from_wire({"user": 3, "more": "x"}) == RequestContext()
    assert RequestContext.from_wire(None) == RequestContext.from_wire(["user"]) == RequestContext()


def test_who_is_words_for_a_line_of_the_log():
    assert RequestContext("admin", "r1").who == " of admin (request r1)"
    assert RequestContext().who == ""
