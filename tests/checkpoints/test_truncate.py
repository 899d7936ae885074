import pytest

from keras_sam.checkpoints.truncate import truncate


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, 10**4000, [1] * 10**5, {str(i): "y" * 10**5 for i in range(10)}, nested(300)],
)
def test_long_and_deep_values_become_short(value):
    assert len(truncate(value)) < 1000


@pytest.mark.parametrize("value", ["gelu", 16, [64, 64, 3], None, 1e-6])
def test_short_values_are_unchanged(value):
    assert truncate(value) == repr(value)
