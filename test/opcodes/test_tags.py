"""Opcodes about tags."""

import pytest

from ganeti import opcodes


@pytest.mark.parametrize("cls", [opcodes.OpTagsSet, opcodes.OpTagsDel])
def test_a_change_of_tags_refuses_wrong_values(cls):
    assert cls(kind="cluster", tags=["a"]).name is None
    assert "(" not in cls(kind="node", name="n", tags=["a"]).summary()
    for wrong in ({"kind": "group"}, {"tags": "a"}, {"tags": [1]}, {"name": 1}):
        with pytest.raises(opcodes.FieldError, match=next(iter(wrong))):
            cls(**{"kind": "node", "name": "n", "tags": ["a"], **wrong})


def test_defaults_and_summaries_are_those_of_ganeti():
    assert opcodes.OpTagsGet(kind="instance", name="web").use_locking is False
    assert opcodes.OpTagsSearch(pattern="^a").summary() == "TAGS_SEARCH(^a)"
