"""Exports by Keras' own method, with the formats of each backend."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.models.export_with_keras import export_signature
from tests.tiny_model import tiny_model

IMAGE_SHAPE = (64, 64, 3)


def example(*, prompts=1, points=8):
    random = np.random.default_rng(0)
    return {
        "images": random.uniform(size=(1, *IMAGE_SHAPE)).astype("float32"),
        "points": random.uniform(0, 64, (1, prompts, points, 2)).astype("float32"),
        "labels": random.choice([1, 0, -10], (1, prompts, points)).astype("int32"),
    }


def expected_outputs(model, inputs):
    outputs = model({name: ops.convert_to_tensor(array) for name, array in inputs.items()})
    return {name: ops.convert_to_numpy(output) for name, output in outputs.items()}


def assert_equal_outputs(actual, expected):
    assert len(actual) == len(expected)
    for array in expected.values():  # names of outputs depend on the format
        (found,) = (one for one in actual if one.shape == array.shape)
        np.testing.assert_allclose(found, array, rtol=1e-3, atol=1e-4)


def check_openvino(model, inputs, path):
    """Export a model, and compare OpenVINO's outputs with the model's."""
    import openvino

    model.export(str(path), format="openvino", verbose=False)
    hint = {openvino.properties.hint.inference_precision: openvino.Type.f32}
    outputs = openvino.compile_model(path, "CPU", hint)(inputs)
    assert_equal_outputs(list(outputs.values()), expected_outputs(model, inputs))


def test_signature_has_named_inputs():
    (specs,) = export_signature(IMAGE_SHAPE)
    assert [spec.name for spec in specs.values()] == ["images", "points", "labels"]
    is_dynamic = keras.backend.backend() == "tensorflow"
    assert specs["points"].shape == ((None, None, None, 2) if is_dynamic else (1, 1, 8, 2))


@pytest.mark.torch
def test_torch_program(tmp_path):
    import torch

    model, inputs = tiny_model(), example()
    model.export(tmp_path / "model.pt2", format="torch", verbose=False)
    program = torch.export.load(tmp_path / "model.pt2").module()
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    actual = [output.detach().numpy() for output in program(tensors)]
    assert_equal_outputs(actual, expected_outputs(model, inputs))


@pytest.mark.tensorflow
def test_saved_model_is_dynamic(tiny_segmenter, tmp_path):
    import tensorflow as tf

    model, inputs = tiny_segmenter(0), example(prompts=3, points=2)
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    actual = loaded.serve({name: tf.constant(array) for name, array in inputs.items()})
    expected = expected_outputs(model, inputs)
    assert set(actual) == set(expected)
    assert_equal_outputs([output.numpy() for output in actual.values()], expected)


@pytest.mark.tensorflow
def test_openvino_from_tensorflow_is_right(tiny_segmenter, tmp_path):
    """Loops of OpenVINO's TensorFlow frontend would return zeros."""
    check_openvino(tiny_segmenter(0), example(prompts=3, points=2), tmp_path / "model.xml")


@pytest.mark.openvino
def test_openvino_has_named_inputs(tiny_segmenter, tmp_path):
    check_openvino(tiny_segmenter(0), example(), tmp_path / "model.xml")


@pytest.mark.jax
def test_formats_that_fail_have_an_alternative(segmenter, tmp_path):
    with pytest.raises(ValueError, match="use the backend openvino, tensorflow or torch"):
        segmenter.export(tmp_path / "model.xml", format="openvino")
