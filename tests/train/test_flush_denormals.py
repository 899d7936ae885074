"""Denormal numbers are treated as zero."""

import sys

import keras
import numpy as np
from keras import ops

from keras_sam.train import flush_denormals


def test_denormal_numbers_become_zero():
    """The other backends flush them by default."""
    is_torch = keras.backend.backend() == "torch"
    try:
        assert flush_denormals() == is_torch
        product = ops.convert_to_tensor(np.array([1e-39], "float32")) * 1.0
        assert ops.convert_to_numpy(product).tolist() == [0.0]
    finally:
        if is_torch:
            sys.modules["torch"].set_flush_denormal(False)
