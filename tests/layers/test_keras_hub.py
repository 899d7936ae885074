"""Our layers, compared with those of keras-hub that have the same weights."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from itertools import product
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from tests.layers.numpy_reference import assert_close, random, randomize

pytestmark = pytest.mark.filterwarnings(r"default:::keras_hub(\..*)?")

BATCH, GRID_SIZE, D = 2, (2, 3), 16
ENCODER = {"hidden_size": D, "image_embedding_size": GRID_SIZE, "input_image_size": (32, 48)}
DECODER = {
    "hidden_size": D,
    "num_layers": 2,
    "intermediate_dim": 32,
    "num_heads": 2,
    "embedding_dim": D,
    "iou_head_hidden_dim": 8,
}
POINTS = {
    "points": np.array([[[3.0, 4.0], [40.0, 30.0], [7.0, 9.0]]] * BATCH, "float32"),
    "labels": np.array([[1, 0, -1], [0, 1, 1]], "int32"),
}
NO_POINTS = {
    "points": np.zeros((BATCH, 0, 2), "float32"),
    "labels": np.zeros((BATCH, 0), "float32"),
}
BOXES = {"boxes": np.array([[[[4.0, 5.0], [20.0, 30.0]]]] * BATCH, "float32")}
NO_BOXES = {"boxes": np.zeros((BATCH, 0, 2, 2), "float32")}
MASKS = {"masks": random(BATCH, 1, 8, 12, 1)}
NO_MASKS = {"masks": np.zeros((BATCH, 0, 8, 12, 1), "float32")}
EMBEDDINGS = ("foreground_point", "background_point", "top_left_corner", "bottom_right_corner")


@pytest.fixture(scope="module")
def prompt_encoders() -> tuple[Any, Any]:
    theirs, ours = keras_hub.layers.SAMPromptEncoder(**ENCODER), SAMPromptEncoder(**ENCODER)
    theirs.build()
    ours.build()
    randomize(theirs)
    for name in (*EMBEDDINGS, "not_a_point", "no_mask"):
        embedding = getattr(theirs, f"{name}_embed").embeddings
        getattr(ours, f"{name}_embedding").assign(embedding)
    matrix = theirs.positional_embedding_layer.positional_encoding_gaussian_matrix
    ours.positional_encoding_gaussian_matrix.assign(matrix)
    ours.mask_downscaler.set_weights(theirs.mask_downscaler.get_weights())
    return theirs, ours


@pytest.mark.parametrize(
    "prompts",
    [
        points | boxes | masks
        for points, boxes, masks in product(
            ({}, NO_POINTS, POINTS), ({}, NO_BOXES, BOXES), ({}, NO_MASKS, MASKS)
        )
        if points or boxes or masks
    ],
    ids=lambda prompts: "-".join(f"{name}{x.shape[1]}" for name, x in prompts.items()),
)
def test_prompts_of_every_kind(prompt_encoders, prompts):
    """keras-hub needs at least one kind of prompts, which may be empty."""
    theirs, ours = prompt_encoders
    expected, actual = theirs(**prompts), ours(**prompts)
    assert set(actual) == set(expected)
    for name, output in expected.items():
        assert tuple(actual[name].shape) == tuple(output.shape)
        assert_close(actual[name], output)


def test_no_mask_embed(prompt_encoders):
    theirs, ours = prompt_encoders
    assert_close(ours.no_mask_embed(np.arange(1)), theirs.no_mask_embed(np.arange(1)))


@pytest.fixture(scope="module")
def mask_decoders() -> tuple[Any, Any]:
    theirs, ours = keras_hub.layers.SAMMaskDecoder(**DECODER), SAMMaskDecoder(**DECODER)
    theirs.build()
    ours.build()
    randomize(theirs)
    ours.iou_token.assign(theirs.iou_token.embeddings)
    ours.mask_tokens.assign(theirs.mask_tokens.embeddings)
    for index, block in enumerate(theirs.transformer.layers):
        copy_block(block, ours.transformer.blocks[index])
    copy_attention(
        theirs.transformer.final_attention_token_to_image, ours.transformer.final_attention
    )
    parts = [
        (theirs.transformer.final_layer_norm, ours.transformer.final_layer_norm),
        (theirs.output_upscaling, ours.upscaler),
        (theirs.iou_prediction_head, ours.iou_head),
        *zip(theirs.output_hypernetworks_mlps, ours.hypernetworks, strict=True),
    ]
    for source, target in parts:
        target.set_weights(source.get_weights())
    return theirs, ours


def copy_block(source: keras.layers.Layer, target: keras.layers.Layer) -> None:
    copy_attention(source.self_attention, target.self_attention)
    copy_attention(source.cross_attention_token_to_image, target.token_to_image_attention)
    copy_attention(source.cross_attention_image_to_token, target.image_to_token_attention)
    target.mlp.set_weights(source.mlp_block.get_weights())
    for index in range(1, 5):
        norm = getattr(source, f"layer_norm{index}")
        getattr(target, f"layer_norm{index}").set_weights(norm.get_weights())


def copy_attention(source: keras.layers.Layer, target: keras.layers.Layer) -> None:
    for name, dense in (
        ("query_proj", target.query),
        ("key_proj", target.key),
        ("value_proj", target.value),
        ("out_proj", target.output_projection),
    ):
        dense.set_weights(getattr(source, name).get_weights())


def decoder_inputs(
    *, images: int, prompts: int, masks: int, widths: tuple[int, int, int] = (D, D, D)
) -> dict[str, np.ndarray]:
    return {
        "image_embeddings": random(images, *GRID_SIZE, widths[0]),
        "prompt_sparse_embeddings": random(prompts, 3, widths[1], seed=1),
        "prompt_dense_embeddings": random(masks, *GRID_SIZE, widths[2], seed=2),
        "prompt_dense_positional_embeddings": random(1, *GRID_SIZE, widths[0], seed=3),
    }


@pytest.mark.parametrize(("images", "masks"), [(3, 3), (1, 3), (1, 1), (3, 1)])
def test_decoder_broadcasts_images_and_masks(mask_decoders, images, masks):
    theirs, ours = mask_decoders
    inputs = decoder_inputs(images=images, prompts=3, masks=masks)
    expected, actual = theirs(**inputs), ours(**inputs)
    assert set(actual) == set(expected)
    for name, output in expected.items():
        assert tuple(actual[name].shape) == tuple(output.shape)
        assert_close(actual[name], output, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("hidden_size", "embedding_dim"), [(16, 8), (16, 24)])
def test_keras_hub_cannot_call_a_decoder_of_two_widths(hidden_size, embedding_dim):
    settings = DECODER | {"hidden_size": hidden_size, "embedding_dim": embedding_dim}
    theirs, ours = keras_hub.layers.SAMMaskDecoder(**settings), SAMMaskDecoder(**settings)
    theirs.build()
    ours.build()
    assert len(ours.weights) == len(theirs.weights)
    for widths in product((hidden_size, embedding_dim), repeat=3):
        inputs = decoder_inputs(images=1, prompts=1, masks=1, widths=widths)
        with pytest.raises(Exception, match="Exception encountered when calling"):
            theirs(**inputs)
