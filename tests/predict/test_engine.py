"""The steps of an engine, in another precision than float32."""

import numpy as np
import pytest

from keras_sam.models import SAMImageSegmenter
from keras_sam.predict.engine import create_engine

POINTS = np.array([[[[20, 30], [0, 0]], [[50, 40], [0, 0]]]], np.float32)
LABELS = np.array([[[1, -1], [1, -1]]], np.int32)


def model(dtype="float32"):
    """Trained: random layer norms of few channels turn with the last bit."""
    return SAMImageSegmenter.from_preset("sam_tiny_synthetic", image_shape=(64, 64, 3), dtype=dtype)


@pytest.fixture(scope="module")
def in_float32():
    return steps(model())


def steps(model):
    """The results of each step, as float32."""
    engine = create_engine(model)
    embedding = engine.encode(np.random.default_rng(0).random((1, 64, 64, 3), dtype="float32"))
    features = engine.image_features(embedding)
    logits, ratings = engine.decode(embedding, features, POINTS, LABELS)
    rated, attended = engine.rate(features, POINTS, LABELS)
    drawn = engine.draw(features, attended, np.array([1], np.int32))
    return [engine.to_numpy(array) for array in (embedding, logits, ratings, rated, drawn)]


def test_rating_and_drawing_equal_decoding(in_float32):
    _, logits, ratings, rated, drawn = in_float32
    np.testing.assert_allclose(rated, ratings, atol=1e-5)
    np.testing.assert_allclose(drawn, logits[1:], atol=1e-4)


def test_each_step_in_bfloat16_agrees_with_float32(in_float32):
    for found, expected in zip(steps(model("bfloat16")), in_float32, strict=True):
        assert np.linalg.norm(found - expected) < 2**-5 * np.linalg.norm(expected)
