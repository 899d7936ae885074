"""The steps of an engine, in another precision than float32."""

import numpy as np
import pytest

from keras_sam.engines.engine import create_engine
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

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
    features = engine.decoder_cache(embedding)
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


def test_decoding_again_equals_decoding_at_first():
    """An engine that has decoded before may do it in another way."""
    segmenter = model()
    used = create_engine(segmenter)
    embedding = used.encode(np.random.default_rng(0).random((1, 64, 64, 3), dtype="float32"))
    features = used.decoder_cache(embedding)
    for _ in range(2):
        used.decode(embedding, features, POINTS, LABELS)
    for points in (POINTS[:, ::-1], POINTS + 8):
        at_first = create_engine(segmenter).decode(embedding, features, points, LABELS)
        for found, expected in zip(
            used.decode(embedding, features, points, LABELS), at_first, strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.training  # programs of OpenVINO hold the weights
def test_decoding_again_uses_weights_assigned_since():
    segmenter = model()
    engine = create_engine(segmenter)
    embedding = engine.encode(np.random.default_rng(0).random((1, 64, 64, 3), dtype="float32"))
    features = engine.decoder_cache(embedding)
    _, before = [engine.decode(embedding, features, POINTS, LABELS) for _ in range(3)][-1]
    for weight in segmenter.backbone.mask_decoder.weights:
        weight.assign(weight * 0.9)
    _, ratings = engine.decode(embedding, features, POINTS, LABELS)
    _, expected = create_engine(segmenter).decode(embedding, features, POINTS, LABELS)
    np.testing.assert_allclose(ratings, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(ratings - before).max() > 0.01
