"""Batch norms folded into convolutions. That outputs stay is checked in tests/models."""

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.checkpoints.fold_batch_norms import fold_batch_norms
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from tests.checkpoints.mobile_sam import mobile_sam_tensors

STEM = "image_encoder/patch_embedding/conv1"
MERGING = "image_encoder/stages_0_merging/conv2"


@pytest.fixture
def checkpoint(tmp_path) -> Checkpoint:
    save_file(mobile_sam_tensors(), tmp_path / "mobile_sam.safetensors")
    return read_checkpoint(tmp_path / "mobile_sam.safetensors")


def scale_and_shift(arrays, layer):
    gamma, beta, mean, variance = (
        arrays[f"{layer}/batch_norm/{part}"].astype("float64")
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return gamma / np.sqrt(variance + 1e-5), beta - mean * gamma / np.sqrt(variance + 1e-5)


def test_what_is_folded(checkpoint):
    arrays, folded = checkpoint.arrays, fold_batch_norms(checkpoint)
    shapes = expected_shapes("SAMBackbone", folded.config)
    assert {name: array.shape for name, array in folded.arrays.items()} == shapes
    assert not any("batch_norm" in name for name in folded.arrays)
    assert "image_encoder/stages_1_blocks_0/attention/distance_bias" in folded.arrays
    scale, shift = scale_and_shift(arrays, STEM)
    kernel = folded.arrays[f"{STEM}/convolution/kernel"]
    np.testing.assert_allclose(kernel, arrays[f"{STEM}/convolution/kernel"] * scale, rtol=1e-6)
    np.testing.assert_allclose(folded.arrays[f"{STEM}/convolution/bias"], shift, rtol=1e-6)
    scale, shift = scale_and_shift(arrays, MERGING)
    kernel = folded.arrays[f"{MERGING}/depthwise/kernel"]
    expected = arrays[f"{MERGING}/depthwise/kernel"] * scale[:, None]
    np.testing.assert_allclose(kernel, expected, rtol=1e-6)
    for name in ("image_encoder/neck/conv1/kernel", "mask_decoder/iou_token"):
        assert np.array_equal(folded.arrays[name], arrays[name])
    assert checkpoint.config["image_encoder"]["config"]["use_batch_norm"] is True


def test_stored_types_stay(checkpoint):
    arrays = {name: array.astype(ml_dtypes.bfloat16) for name, array in checkpoint.arrays.items()}
    folded = fold_batch_norms(Checkpoint("SAMBackbone", checkpoint.config, arrays))
    assert {array.dtype.name for array in folded.arrays.values()} == {"bfloat16"}


def test_a_config_alone(checkpoint):
    folded = fold_batch_norms(Checkpoint("SAMBackbone", checkpoint.config))
    assert folded.config["image_encoder"]["config"]["use_batch_norm"] is False
    assert folded.arrays == {}


def test_no_batch_norms(checkpoint, tiny):
    for other in (tiny, fold_batch_norms(checkpoint)):
        with pytest.raises(CheckpointError, match="has no batch norms to fold"):
            fold_batch_norms(other)


def test_a_lone_image_encoder(checkpoint):
    config = checkpoint.config["image_encoder"]["config"]
    prefix = "image_encoder/"
    arrays = {
        name.removeprefix(prefix): array
        for name, array in checkpoint.arrays.items()
        if name.startswith(prefix)
    }
    folded = fold_batch_norms(Checkpoint("TinyViTBackbone", config, arrays))
    assert set(folded.arrays) == set(expected_shapes("TinyViTBackbone", folded.config))
    assert folded.arrays["patch_embedding/conv1/convolution/bias"].shape == (4,)


def test_conversion(checkpoint, tmp_path):
    report = convert_checkpoint(
        checkpoint.source, tmp_path / "folded", to="keras", fold_batch_norms=True
    )
    expected = fold_batch_norms(checkpoint)
    found = read_checkpoint(tmp_path / "folded")
    assert found.config["image_encoder"] == expected.config["image_encoder"]
    assert report.tensors == len(expected.arrays) == len(found.arrays)
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
