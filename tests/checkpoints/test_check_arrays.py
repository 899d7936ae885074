import ml_dtypes
import numpy as np
import pytest

from keras_sam.checkpoints import CheckpointError
from keras_sam.checkpoints.check_arrays import check_finite, check_names, check_shapes


def test_equal_names_pass():
    check_names(["a", "b"], ["b", "a"], source="x")


@pytest.mark.parametrize(
    ("expected", "names", "match"),
    [
        (["a/kernel"], [], "'x' do not match its config: missing a/kernel$"),
        ([], ["a/kernel"], "config: unexpected a/kernel$"),
        (["a/kernel"], ["a/kernels"], r"missing a/kernel \(nearest: a/kernels\); unexpected a/k"),
        ([], map(str, range(20)), "and 12 more$"),
    ],
)
def test_other_names_are_listed(expected, names, match):
    with pytest.raises(CheckpointError, match=match):
        check_names(expected, names, source="x")


def test_message_is_short_for_many_long_names():
    names = [f"{index}{'x' * 10_000}" for index in range(2000)]
    with pytest.raises(CheckpointError) as caught:
        check_names(["a"], names, source="x")
    assert len(str(caught.value)) < 4000


def test_other_shapes_are_listed():
    check_shapes({"a": (2, 3)}, {"a": (2, 3), "b": (1,)}, source="x")
    with pytest.raises(CheckpointError, match=r"a has shape \(3, 2\), expected \(2, 3\)"):
        check_shapes({"a": (2, 3)}, {"a": (3, 2)}, source="x")
    expected = {str(index): (1,) for index in range(20)}
    with pytest.raises(CheckpointError, match="and 12 more"):
        check_shapes(expected, dict.fromkeys(expected, (2,)), source="x")


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16, "float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_raise(dtype, value):
    array = np.array([0, 1], dtype)
    assert check_finite(array, "a", source="x") is array
    array[1] = value
    with pytest.raises(CheckpointError, match="a of 'x' contains NaN or infinity"):
        check_finite(array, "a", source="x")
