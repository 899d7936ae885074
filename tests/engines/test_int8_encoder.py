"""An image encoder in 8-bit integers."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_sam.engines.int8_encoder import Int8Encoder
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.predictor import SAMPredictor


def load_model(size=64):
    """Trained: activations of random weights are nothing like a model's."""
    return SAMImageSegmenter.from_preset("sam_tiny_synthetic", image_shape=(size, size, 3))


def images():
    """Smooth colors, of several sizes."""
    rng = np.random.default_rng(0)
    for height, width in ((40, 64), (64, 64), (64, 32), (96, 96)):
        coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        yield coarse.repeat(8, axis=0).repeat(8, axis=1)


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def int8_encoder(model):
    return Int8Encoder.quantize(model, list(images()))


def encode(predictor):
    found = []
    for image in images():
        predictor.set_image(image)
        found.append(predictor.get_image_embedding().embedding)
    return np.concatenate(found)


@pytest.mark.openvino
def test_embeddings_are_near_those_of_the_model_and_are_not_the_same(model, int8_encoder):
    expected = encode(SAMPredictor(model))
    found = encode(SAMPredictor(model, int8_encoder=int8_encoder))
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert 1e-4 < error < 0.1


@pytest.mark.openvino
def test_weights_are_integers(model, int8_encoder):
    encoder = model.backbone.image_encoder
    assert len(int8_encoder.weights) < 0.5 * 4 * encoder.count_params()


@pytest.mark.openvino
def test_several_images_at_once_are_encoded_as_one_by_one(model, int8_encoder):
    engine = SAMPredictor(model, int8_encoder=int8_encoder).engine
    pixels = np.random.default_rng(0).random((2, 64, 64, 3), dtype=np.float32)
    one_by_one = np.concatenate([engine.encode(image[None]) for image in pixels])
    np.testing.assert_array_equal(engine.encode(pixels), one_by_one)


@pytest.mark.openvino
def test_a_file_gives_the_same_encoder(tmp_path, model, int8_encoder):
    int8_encoder.save(tmp_path / "encoder.safetensors")
    assert Int8Encoder.load(tmp_path / "encoder.safetensors") == int8_encoder


@pytest.mark.openvino
def test_another_model_is_refused(int8_encoder):
    with pytest.raises(ValueError, match="made of another model"):
        SAMPredictor(load_model(size=128), int8_encoder=int8_encoder)


@pytest.mark.openvino
def test_a_damaged_graph_is_refused(model, int8_encoder):
    for graph in (b"", b"something else", int8_encoder.graph[:2000]):
        damaged = dataclasses.replace(int8_encoder, graph=graph)
        with pytest.raises(ValueError, match="graph is damaged"):
            SAMPredictor(model, int8_encoder=damaged)


@pytest.mark.openvino
def test_quantizing_needs_images(model):
    with pytest.raises(ValueError, match="needs images like those to come, got none"):
        Int8Encoder.quantize(model, [])


def test_no_other_backend_takes_one(model, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match="runs on OpenVINO, and the backend is torch"):
        SAMPredictor(model, int8_encoder=Int8Encoder(b"", b"", ""))


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    with pytest.raises(FileNotFoundError, match="no int8 encoder at"):
        Int8Encoder.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"encoder.safetensors is damaged"):
        Int8Encoder.load(path)
    encoder = Int8Encoder(b"graph", b"weights", "fingerprint")
    encoder.save(path)
    assert Int8Encoder.load(path) == encoder
    assert dataclasses.replace(encoder, weights=b"") != encoder
