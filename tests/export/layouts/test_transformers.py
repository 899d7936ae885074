"""The layout of transformers.js, compared with the model of transformers."""

import json

import numpy as np
import pytest

from keras_sam.export.layouts.registry import LAYOUTS
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import run_reference
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from tests.models.transformers_sam import build_sam

LAYOUT = LAYOUTS["transformers"]
OPTIONS = ExportOptions(layout="transformers")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A random model of transformers, and ours from its file."""
    theirs = build_sam().eval()
    path = tmp_path_factory.mktemp("transformers")
    theirs.save_pretrained(path)
    return theirs, SAMImageSegmenter.from_preset(path)


def test_outputs_are_those_of_transformers(models):
    import torch

    theirs, ours = models
    encoder, decoder = LAYOUT.build(ours, OPTIONS)
    random = np.random.default_rng(0)
    pixels = random.normal(size=(1, 3, 64, 64)).astype("float32")
    prompts = {
        "input_points": random.uniform(0, 64, (1, 3, 2, 2)).astype("float32"),
        "input_labels": np.array([[[1, 0], [1, 1], [0, 1]]], "int64"),
    }
    embedding = run_reference(encoder, {"pixel_values": pixels}, with_stages=True)
    actual = run_reference(decoder, prompts | embedding, with_stages=True)
    with torch.no_grad():
        tensors = {name: torch.from_numpy(array) for name, array in prompts.items()}
        expected = theirs(pixel_values=torch.from_numpy(pixels), **tensors)
        positions = theirs.get_image_wide_positional_embeddings()
    np.testing.assert_allclose(embedding["image_positional_embeddings"], positions, atol=1e-5)
    for name, output in actual.items():
        np.testing.assert_allclose(output, getattr(expected, name), rtol=1e-3, atol=1e-4)


def test_names_and_types(models):
    encoder, decoder = LAYOUT.build(models[1], OPTIONS)
    assert encoder.name == "onnx/vision_encoder"
    assert [spec.name for spec in encoder.inputs] == ["pixel_values"]
    assert [spec.name for spec in encoder.outputs] == [
        *("image_embeddings", "image_positional_embeddings"),
    ]
    assert decoder.name == "onnx/prompt_encoder_mask_decoder"
    assert [(spec.name, spec.dtype) for spec in decoder.inputs] == [
        ("input_points", "float32"),
        ("input_labels", "int64"),
        ("image_embeddings", "float32"),
        ("image_positional_embeddings", "float32"),
    ]
    assert [spec.name for spec in decoder.outputs] == ["iou_scores", "pred_masks"]


def test_config_files_contain_the_sizes(models):
    files = LAYOUT.files(models[1], OPTIONS)
    assert json.loads(files["config.json"])["model_type"] == "sam"
    preprocessor = json.loads(files["preprocessor_config.json"])
    assert preprocessor["size"] == {"longest_edge": 64}
    assert preprocessor["pad_size"] == {"height": 64, "width": 64}
    assert preprocessor["mask_size"] == {"longest_edge": 16}
