"""Programs of TensorFlow."""

import keras
import numpy as np
import pytest

from keras_sam.engines.tensorflow_engine import TensorflowEngine
from tests.engines.count_calls import count_calls

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)


@pytest.fixture
def images():
    return np.random.default_rng(0).random((1, 64, 64, 3), dtype="float32")


def test_a_step_is_traced_once_for_each_shape(tiny_segmenter, images, monkeypatch):
    model = tiny_segmenter(0)
    calls = count_calls(monkeypatch, model, "encode_image")
    engine = TensorflowEngine(model)
    for _ in range(3):
        engine.encode(images)
    assert len(calls) == 1
    engine.encode(np.concatenate([images, images]))
    assert len(calls) == 2


def test_assigned_weights_need_no_new_trace(tiny_segmenter, images, monkeypatch):
    model = tiny_segmenter(0)
    calls = count_calls(monkeypatch, model, "encode_image")
    engine = TensorflowEngine(model)
    before = engine.to_numpy(engine.encode(images)["image_embeddings"])
    for weight in model.weights:
        weight.assign(0.5 * weight)
    after = engine.to_numpy(engine.encode(images)["image_embeddings"])
    assert len(calls) == 1
    assert np.abs(after - before).max() > 0.01


def test_results_are_tensors_with_values(segmenter, images):
    import tensorflow as tf

    embedding = TensorflowEngine(segmenter).encode(images)
    for array in embedding.values():
        assert tf.is_tensor(array)
        assert np.isfinite(array.numpy()).all()
