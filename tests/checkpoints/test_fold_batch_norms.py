"""Batch norms folded into convolutions. Outputs of models are compared in tests/models."""

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from keras_sam.checkpoints import (
    Checkpoint,
    CheckpointError,
    convert_checkpoint,
    expected_shapes,
    fold_batch_norms,
    read_checkpoint,
)
from tests.checkpoints.conftest import assert_same_arrays, image_encoder_of
from tests.checkpoints.mobile_sam import mobile_sam_tensors

STEM = "image_encoder/patch_embedding/conv1"
MERGING = "image_encoder/stages_0_merging/conv2"


@pytest.fixture
def mobile_sam(tmp_path) -> Checkpoint:
    save_file(mobile_sam_tensors(), tmp_path / "mobile_sam.safetensors")
    return read_checkpoint(tmp_path / "mobile_sam.safetensors")


def scale_and_shift(arrays, layer):
    gamma, beta, mean, variance = (
        arrays[f"{layer}/batch_norm/{part}"].astype("float64")
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return gamma / np.sqrt(variance + 1e-5), beta - mean * gamma / np.sqrt(variance + 1e-5)


def test_kernels_and_biases_follow_the_formula(mobile_sam):
    arrays, folded = mobile_sam.arrays, fold_batch_norms(mobile_sam)
    shapes = expected_shapes("SAMBackbone", folded.config)
    assert {name: array.shape for name, array in folded.arrays.items()} == shapes
    assert not any("batch_norm" in name for name in folded.arrays)
    scale, shift = scale_and_shift(arrays, STEM)
    kernel = folded.arrays[f"{STEM}/convolution/kernel"]
    np.testing.assert_allclose(kernel, arrays[f"{STEM}/convolution/kernel"] * scale, rtol=1e-6)
    np.testing.assert_allclose(folded.arrays[f"{STEM}/convolution/bias"], shift, rtol=1e-6)
    scale, shift = scale_and_shift(arrays, MERGING)
    kernel = folded.arrays[f"{MERGING}/depthwise/kernel"]
    expected = arrays[f"{MERGING}/depthwise/kernel"] * scale[:, None]
    np.testing.assert_allclose(kernel, expected, rtol=1e-6)


def test_other_weights_are_unchanged(mobile_sam):
    folded = fold_batch_norms(mobile_sam)
    for name in (
        "image_encoder/stages_1_blocks_0/attention/distance_bias",
        "image_encoder/neck/conv1/kernel",
        "mask_decoder/iou_token",
    ):
        np.testing.assert_array_equal(folded.arrays[name], mobile_sam.arrays[name])
    assert mobile_sam.config["image_encoder"]["config"]["use_batch_norm"] is True


def test_stored_types_are_kept(mobile_sam):
    arrays = {name: array.astype(ml_dtypes.bfloat16) for name, array in mobile_sam.arrays.items()}
    folded = fold_batch_norms(Checkpoint("SAMBackbone", mobile_sam.config, arrays))
    assert {array.dtype.name for array in folded.arrays.values()} == {"bfloat16"}


def test_config_without_weights(mobile_sam):
    folded = fold_batch_norms(Checkpoint("SAMBackbone", mobile_sam.config))
    assert folded.config["image_encoder"]["config"]["use_batch_norm"] is False
    assert folded.arrays == {}


def test_model_without_batch_norms_raises(mobile_sam, tiny):
    for other in (tiny, fold_batch_norms(mobile_sam)):
        with pytest.raises(CheckpointError, match="has no batch norms to fold"):
            fold_batch_norms(other)


def test_image_encoder_alone(mobile_sam):
    folded = fold_batch_norms(image_encoder_of(mobile_sam))
    assert set(folded.arrays) == set(expected_shapes("TinyViTBackbone", folded.config))
    assert folded.arrays["patch_embedding/conv1/convolution/bias"].shape == (4,)


def test_converted_file_contains_the_folded_weights(mobile_sam, tmp_path):
    report = convert_checkpoint(
        mobile_sam.source, tmp_path / "folded", to="keras", fold_batch_norms=True
    )
    expected, converted = fold_batch_norms(mobile_sam), read_checkpoint(tmp_path / "folded")
    assert converted.config["image_encoder"] == expected.config["image_encoder"]
    assert report.tensors == len(expected.arrays)
    assert_same_arrays(converted.arrays, expected.arrays)
