"""What all layers do in an export: the same results, with fewer kinds of operations."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers.export_mode import export_mode, is_exporting


def test_the_mode_ends_with_the_context():
    assert not is_exporting()
    with export_mode():
        assert is_exporting()
    assert not is_exporting()


def test_the_mode_ends_with_an_error():
    def fail():
        with export_mode():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not is_exporting()


def test_the_model_gives_the_same_results_with_six_axes_at_most(segmenter, monkeypatch):
    random = np.random.default_rng(0)
    inputs = {
        "images": random.uniform(size=(1, 64, 64, 3)).astype("float32"),
        "points": random.uniform(0, 64, (1, 2, 3, 2)).astype("float32"),
        "labels": np.ones((1, 2, 3), "int32"),
    }
    inputs = {name: ops.convert_to_tensor(array) for name, array in inputs.items()}
    expected = segmenter(inputs)
    axes = []
    transpose = ops.transpose

    def record(array, *args, **kwargs):
        axes.append(len(array.shape))
        return transpose(array, *args, **kwargs)

    monkeypatch.setattr(ops, "transpose", record)
    with export_mode():
        actual = segmenter(inputs)
    assert max(axes) == 6
    for name, output in expected.items():
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(actual[name]),
            keras.ops.convert_to_numpy(output),
            rtol=1e-4,
            atol=1e-5,
        )
