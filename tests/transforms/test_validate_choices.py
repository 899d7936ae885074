"""Options of a dataclass, checked against a table of choices."""

from types import SimpleNamespace

import pytest

from keras_sam.transforms.validate_choices import validate_choices

CHOICES = {"color": ("red", "blue"), "size": ("small", "large")}


def test_allowed_values_pass():
    validate_choices(SimpleNamespace(color="blue", size="small", other="anything"), CHOICES)


@pytest.mark.parametrize("value", ["green", "", "RED", None, 3, ["red"], ("red", "blue")])
def test_other_values_raise(value):
    with pytest.raises(ValueError, match="color must be one of red, blue, got ") as error:
        validate_choices(SimpleNamespace(color=value, size="small"), CHOICES)
    assert repr(value) in str(error.value)


def test_every_option_is_checked():
    with pytest.raises(ValueError, match="size must be one of small, large, got 'blue'"):
        validate_choices(SimpleNamespace(color="red", size="blue"), CHOICES)


def test_missing_attribute_raises():
    with pytest.raises(AttributeError, match="size"):
        validate_choices(SimpleNamespace(color="red"), CHOICES)
