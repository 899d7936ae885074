"""An image encoder with 8-bit integer matrix products."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_sam.engines.create_engine import create_engine
from keras_sam.engines.int8_encoder import Int8Encoder
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.sam_predictor import SAMPredictor


def load_model(size=64):
    """Load trained weights, since quantization fits the distributions of trained activations."""
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
    embeddings = []
    for image in images():
        predictor.set_image(image)
        embeddings.append(predictor.get_image_embedding().arrays["image_embeddings"])
    return np.concatenate(embeddings)


@pytest.mark.openvino
def test_embeddings_are_close_to_the_model_but_not_equal(model, int8_encoder):
    expected = encode(SAMPredictor(model))
    actual = encode(SAMPredictor(model, int8_encoder=int8_encoder))
    error = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
    assert 1e-4 < error < 0.1


@pytest.mark.openvino
def test_weights_are_integers(model, int8_encoder):
    encoder = model.backbone.image_encoder
    assert len(int8_encoder.weights) < 0.5 * 4 * encoder.count_params()


@pytest.mark.openvino
def test_encoding_several_images_equals_one_by_one(model, int8_encoder):
    engine = create_engine(model, int8_encoder)
    pixels = np.random.default_rng(0).random((2, 64, 64, 3), dtype=np.float32)
    one_by_one = [engine.encode(image[None])["image_embeddings"] for image in pixels]
    together = engine.encode(pixels)["image_embeddings"]
    np.testing.assert_array_equal(together, np.concatenate(one_by_one))


@pytest.mark.openvino
def test_save_and_load_give_the_same_encoder(tmp_path, model, int8_encoder):
    int8_encoder.save(tmp_path / "encoder.safetensors")
    assert Int8Encoder.load(tmp_path / "encoder.safetensors") == int8_encoder


@pytest.mark.openvino
def test_another_model_is_an_error(int8_encoder):
    with pytest.raises(ValueError, match="made for another model or image size"):
        SAMPredictor(load_model(size=128), int8_encoder=int8_encoder)


@pytest.mark.openvino
def test_a_damaged_graph_is_an_error(model, int8_encoder):
    for graph in (b"", b"something else", int8_encoder.graph[:2000]):
        damaged = dataclasses.replace(int8_encoder, graph=graph)
        with pytest.raises(ValueError, match="graph is damaged"):
            SAMPredictor(model, int8_encoder=damaged)


@pytest.mark.openvino
def test_quantizing_needs_images(model):
    with pytest.raises(ValueError, match="expected typical images to quantize with, got none"):
        Int8Encoder.quantize(model, [])


def test_another_backend_is_an_error(model, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match="needs the OpenVINO backend, got torch"):
        SAMPredictor(model, int8_encoder=Int8Encoder(b"", b"", ""))


def test_a_file_with_other_content_is_an_error(tmp_path):
    path = tmp_path / "encoder.safetensors"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Int8Encoder.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"encoder.safetensors is damaged"):
        Int8Encoder.load(path)
    encoder = Int8Encoder(b"graph", b"weights", "fingerprint")
    encoder.save(path)
    assert Int8Encoder.load(path) == encoder
    assert dataclasses.replace(encoder, weights=b"") != encoder
