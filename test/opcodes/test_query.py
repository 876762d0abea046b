"""Opcodes that run queries."""

from ganeti import opcodes
from support.opcodes import assert_needs, assert_refused


def test_a_query_needs_kind_and_fields():
    good = {"what": "os", "fields": ["name"]}
    assert_needs(opcodes.OpQuery, good)
    assert_refused(opcodes.OpQuery, good, what="user", fields=[""], qfilter="x")
    assert opcodes.OpQuery(**good).summary() == "QUERY(os)"


def test_a_query_of_fields_needs_the_kind():
    assert_needs(opcodes.OpQueryFields, {"what": "job"})
    assert opcodes.OpQueryFields(what="job").fields is None
