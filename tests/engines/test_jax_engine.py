"""Programs of JAX."""

import keras
import numpy as np
import pytest

from keras_sam.engines.jax_engine import JaxEngine
from tests.engines.count_calls import count_calls

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="needs the JAX backend")


@pytest.fixture
def images():
    return np.random.default_rng(0).random((1, 64, 64, 3), dtype="float32")


def test_a_step_is_traced_once_for_each_shape(tiny_segmenter, images, monkeypatch):
    model = tiny_segmenter(0)
    calls = count_calls(monkeypatch, model, "encode_image")
    engine = JaxEngine(model)
    for _ in range(3):
        engine.encode(images)
    assert len(calls) == 1
    engine.encode(np.concatenate([images, images]))
    assert len(calls) == 2


def test_assigned_weights_need_no_new_trace(tiny_segmenter, images, monkeypatch):
    """Weights are arguments of the programs, not constants."""
    model = tiny_segmenter(0)
    calls = count_calls(monkeypatch, model, "encode_image")
    engine = JaxEngine(model)
    before = engine.to_numpy(engine.encode(images)["image_embeddings"])
    for weight in model.weights:
        weight.assign(0.5 * weight)
    after = engine.to_numpy(engine.encode(images)["image_embeddings"])
    assert len(calls) == 1
    expected = keras.ops.convert_to_numpy(model.encode_image(images)["image_embeddings"])
    np.testing.assert_allclose(after, expected, rtol=1e-3, atol=1e-4)
    assert np.abs(after - before).max() > 0.01


def test_results_are_arrays_on_the_device(segmenter, images):
    import jax

    embedding = JaxEngine(segmenter).encode(images)
    assert all(isinstance(array, jax.Array) for array in embedding.values())
