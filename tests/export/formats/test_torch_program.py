"""Programs as graphs of `torch.export`, for each kind of model."""

import numpy as np
import pytest
from keras import ops

from keras_sam.export.formats.torch_program import trace_with_torch
from keras_sam.export.layouts.registry import LAYOUTS
from keras_sam.export.options import ExportOptions

pytestmark = pytest.mark.torch


def outputs(program, exported, sizes):
    random = np.random.default_rng(0)
    arrays = {
        spec.name: random.normal(size=spec.sized(sizes)).astype(spec.dtype)
        if spec.sample is None
        else spec.sample(random, spec.sized(sizes))
        for spec in program.inputs
    }
    tensors = [ops.convert_to_tensor(array) for array in arrays.values()]
    actual, expected = exported.module()(*tensors), program.function(*tensors)
    return [tuple(map(ops.convert_to_numpy, pair)) for pair in zip(actual, expected, strict=True)]


def test_high_quality_decoder_has_dynamic_axes(high_quality_segmenter):
    _, decoder = LAYOUTS["meta"].build(high_quality_segmenter, ExportOptions())
    assert [spec.name for spec in decoder.inputs][:2] == ["image_embeddings", "interm_embeddings"]
    exported = trace_with_torch(decoder)
    for sizes in decoder.check_sizes:
        for actual, expected in outputs(decoder, exported, sizes):
            np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-5)


def test_early_features_are_those_of_the_encoder(high_quality_segmenter):
    encoder, _ = LAYOUTS["meta"].build(high_quality_segmenter, ExportOptions())
    assert [spec.name for spec in encoder.outputs] == ["image_embeddings", "interm_embeddings"]
    exported = trace_with_torch(encoder)
    for actual, expected in outputs(encoder, exported, {}):
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-5)
