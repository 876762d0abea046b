"""Assertions about the fields of opcodes."""

import pytest

from ganeti import opcodes


def assert_refused(cls, good, **wrong):
    """Assert that each wrong value is refused by the name of its field, and ``good`` accepted."""
    assert cls(**good).given >= good.keys()
    for name, value in wrong.items():
        with pytest.raises(opcodes.FieldError, match=f"'{name}'"):
            cls(**{**good, name: value})


def assert_needs(cls, good):
    """Assert that exactly these fields are required."""
    assert set(cls.REQUIRED) == set(good)
    for name in good:
        with pytest.raises(opcodes.FieldError, match=f"'{name}' is missing"):
            cls(**{key: value for key, value in good.items() if key != name})
