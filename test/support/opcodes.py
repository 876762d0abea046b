"""What tests of opcodes about one noun share."""

import pytest

from ganeti import opcodes


def assert_refused(cls, good, **wrong):
    """Each of these values is refused by name, and the rest is right without it."""
    assert cls(**good).given >= good.keys()
    for name, value in wrong.items():
        with pytest.raises(opcodes.FieldError, match=f"'{name}'"):
            cls(**{**good, name: value})


def assert_needs(cls, good):
    """None of these can be left out."""
    assert set(cls.REQUIRED) == set(good)
    for name in good:
        with pytest.raises(opcodes.FieldError, match=f"'{name}' is missing"):
            cls(**{key: value for key, value in good.items() if key != name})
