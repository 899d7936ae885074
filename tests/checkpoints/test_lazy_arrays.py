import numpy as np
import pytest

from keras_sam.checkpoints import LazyArrays


def test_arrays_are_read_when_they_are_used():
    reads = []

    def read(name):
        reads.append(name)
        return np.full(2, len(name))

    arrays = LazyArrays(["bb", "a"], read)
    assert (list(arrays), len(arrays), "a" in arrays, "c" in arrays) == (
        ["bb", "a"],
        2,
        True,
        False,
    )
    reads.clear()
    np.testing.assert_array_equal(arrays["bb"], [2, 2])
    assert reads == ["bb"]
    assert {name: array.tolist() for name, array in arrays.items()} == {"bb": [2, 2], "a": [1, 1]}


def test_unknown_name_raises():
    with pytest.raises(KeyError, match="b"):
        LazyArrays(["a"], lambda name: np.zeros(1))["b"]
