"""Compiled models of OpenVINO."""

import numpy as np
import pytest

from keras_sam.engines.openvino_engine import OpenvinoEngine

pytestmark = pytest.mark.openvino


@pytest.fixture
def images():
    return np.random.default_rng(0).random((2, 64, 64, 3), dtype="float32")


def encode(engine, images):
    return engine.encode(images)["image_embeddings"]


def test_programs_contain_the_weights(tiny_segmenter, images):
    model = tiny_segmenter(0)
    engine = OpenvinoEngine(model)
    before = encode(engine, images)
    for weight in model.weights:
        weight.assign(0.5 * np.asarray(weight))
    np.testing.assert_array_equal(encode(engine, images), before)
    assert np.abs(encode(OpenvinoEngine(model), images) - before).max() > 0.01


def test_inputs_need_not_be_contiguous(segmenter, images):
    engine = OpenvinoEngine(segmenter)
    flipped = images[:, ::-1, ::-1]
    expected = encode(engine, np.ascontiguousarray(flipped))
    np.testing.assert_array_equal(encode(engine, flipped), expected)


def test_results_of_an_earlier_call_stay_as_they_are(segmenter, images):
    engine = OpenvinoEngine(segmenter)
    first = encode(engine, images)
    copy = first.copy()
    encode(engine, 1 - images)
    np.testing.assert_array_equal(first, copy)
