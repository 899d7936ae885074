"""What may be a size."""

import numpy as np
import pytest

from keras_sam.types import is_size


@pytest.mark.parametrize("value", [(1, 2), [3, 4], (np.int64(5), np.int32(6)), (10**20, 1)])
def test_pairs_of_whole_numbers(value):
    assert is_size(value)


@pytest.mark.parametrize(
    "value", [None, 5, "12", (), (1,), (1, 2, 3), (0, 1), (-1, 1), (1.0, 2), (True, 1), ("1", "2")]
)
def test_anything_else(value):
    assert not is_size(value)
