"""The prompt encoder: positions, labels, padding, and shapes of its outputs."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from tests.layers.numpy_reference import assert_close, random, randomize, to_numpy

HEIGHT, WIDTH, D = 2, 3, 16  # of the embedding grid
IMAGE_SIZE = (32, 48)
POINTS = np.array([[[10.0, 7.0], [40.0, 30.0]]], "float32")
LABELS = np.array([[1, 0]])
BOX = np.array([[[[4.0, 5.0], [20.0, 30.0]]]], "float32")
MASK = random(1, 1, 4 * HEIGHT, 4 * WIDTH, 1)


def build_encoder() -> SAMPromptEncoder:
    return SAMPromptEncoder(
        hidden_size=D, image_embedding_size=(HEIGHT, WIDTH), input_image_size=IMAGE_SIZE
    )


@pytest.fixture(scope="module")
def encoder() -> SAMPromptEncoder:
    layer = build_encoder()
    layer.build()
    return randomize(layer)


def fourier_features(encoder, x, y):
    """Features of a position in [0, 1]."""
    matrix = to_numpy(encoder.positional_encoding_gaussian_matrix)
    angles = 2 * math.pi * ((2 * np.array([x, y]) - 1) @ matrix)
    return np.concatenate([np.sin(angles), np.cos(angles)])


@pytest.mark.parametrize(
    ("label", "embedding"),
    [
        (0, "background_point_embedding"),
        (1, "foreground_point_embedding"),
        (2, "top_left_corner_embedding"),
        (3, "bottom_right_corner_embedding"),
    ],
)
def test_a_point_is_its_position_and_its_label(encoder, label, embedding):
    """Positions are those of pixel centers."""
    expected = fourier_features(encoder, (10 + 0.5) / 48, (7 + 0.5) / 32)
    expected = expected + to_numpy(getattr(encoder, embedding))[0]
    outputs = encoder(points=POINTS[:, :1], labels=np.array([[label]]))
    assert_close(outputs["prompt_sparse_embeddings"][0, 0], expected, atol=1e-4)


def test_not_a_point_has_no_position(encoder):
    outputs = encoder(points=POINTS, labels=np.array([[-1, -1]]))
    expected = np.broadcast_to(to_numpy(encoder.not_a_point_embedding), (1, 2, D))
    assert_close(outputs["prompt_sparse_embeddings"], expected, atol=0)


def test_dense_positions_are_centers_of_grid_cells(encoder):
    positions = to_numpy(encoder.dense_positions())
    for row in range(HEIGHT):
        for column in range(WIDTH):
            expected = fourier_features(encoder, (column + 0.5) / WIDTH, (row + 0.5) / HEIGHT)
            assert_close(positions[0, row, column], expected)


def test_box_corners_equal_points_with_labels_2_and_3(encoder):
    from_box = encoder(boxes=BOX)["prompt_sparse_embeddings"]
    from_labels = encoder(points=BOX[:, 0], labels=np.array([[2, 3]]))["prompt_sparse_embeddings"]
    assert_close(from_box, from_labels, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "num_tokens"),
    [
        ([], 0),
        (["points"], 2),
        (["boxes"], 2),
        (["masks"], 0),
        (["points", "boxes"], 4),
        (["points", "masks"], 2),
        (["boxes", "masks"], 2),
        (["points", "boxes", "masks"], 4),
    ],
)
def test_one_prompt_per_image_has_no_prompt_axis(encoder, names, num_tokens):
    prompts = {"points": POINTS, "boxes": BOX, "masks": MASK}
    prompts = {name: prompts[name] for name in names}
    prompts |= {"labels": LABELS} if "points" in names else {}
    shapes = {name: tuple(output.shape) for name, output in encoder(**prompts).items()}
    assert shapes == {
        "prompt_sparse_embeddings": (1, num_tokens, D),
        "prompt_dense_embeddings": (1, HEIGHT, WIDTH, D),
        "prompt_dense_positional_embeddings": (1, HEIGHT, WIDTH, D),
    }


@pytest.mark.parametrize("names", [["points"], ["boxes"], ["masks"], ["points", "boxes", "masks"]])
def test_several_prompts_equal_one_prompt_each(encoder, names):
    points = np.stack([POINTS, POINTS + 3], axis=1)  # (1, 2, N, 2)
    labels = np.stack([LABELS, 1 - LABELS], axis=1)
    boxes, masks = (np.concatenate([x, x + 2], axis=1) for x in (BOX, MASK))
    together = {"points": points, "boxes": boxes, "masks": masks}
    together = {name: together[name] for name in names}
    together |= {"labels": labels} if "points" in names else {}
    outputs = encoder(**together)
    for index in range(2):
        alone = {
            name: array[:, index] if name in ("points", "labels") else array[:, index : index + 1]
            for name, array in together.items()
        }
        expected = encoder(**alone)
        for name in ("prompt_sparse_embeddings", "prompt_dense_embeddings"):
            assert_close(outputs[name][:, index], expected[name], atol=1e-5)


def test_padding_and_nan_boxes_are_masked(encoder):
    outputs = encoder(
        points=np.zeros((1, 2, 1, 2), "float32"),
        labels=np.array([[[1], [-10]]]),
        boxes=np.array([[[[1, 1], [2, 2]], [[np.nan, np.nan], [np.nan, np.nan]]]], "float32"),
    )
    mask = to_numpy(outputs["prompt_sparse_mask"])
    assert mask.tolist() == [[[True, True, True], [False, False, False]]]
    assert np.isfinite(to_numpy(outputs["prompt_sparse_embeddings"])).all()


def test_a_mask_of_nan_is_no_mask(encoder):
    masks = np.concatenate([MASK, np.full_like(MASK, np.nan)], axis=1)
    dense = encoder(masks=masks)["prompt_dense_embeddings"]
    assert_close(dense[:, 0], encoder(masks=MASK)["prompt_dense_embeddings"])
    expected = np.broadcast_to(to_numpy(encoder.no_mask_embedding), (1, HEIGHT, WIDTH, D))
    assert_close(dense[:, 1], expected, atol=0)
    assert_close(encoder()["prompt_dense_embeddings"], expected, atol=0)
    assert_close(encoder.no_mask_embed(np.arange(1)), expected[0, 0, :1], atol=0)


def test_a_mask_of_another_size_raises(encoder):
    with pytest.raises(ValueError, match=r"with shape \(B, P, 8, 12, 1\); got \(1, 1, 8, 8, 1\)"):
        encoder(masks=MASK[:, :, :, :8])


@pytest.mark.parametrize(
    "arguments", [{"hidden_size": 15}, {"hidden_size": 16, "mask_in_channels": 3}]
)
def test_invalid_arguments_raise(arguments):
    with pytest.raises(ValueError, match=list(arguments)[-1]):
        SAMPromptEncoder(**arguments)


def test_build_takes_the_shapes_of_call():
    layer = build_encoder()
    layer.build(points_shape=(1, 2, 2), labels_shape=(1, 2), boxes_shape=None, masks_shape=None)
    called = build_encoder()
    called(points=POINTS, labels=LABELS)
    shapes = [[tuple(weight.shape) for weight in x.weights] for x in (layer, called)]
    assert shapes[0] == shapes[1]


def test_symbolic_inputs_of_unknown_length():
    points, labels = keras.Input((None, 2)), keras.Input((None,), dtype="int32")
    outputs = build_encoder()(points=points, labels=labels)
    assert outputs["prompt_sparse_embeddings"].shape == (None, None, D)
    assert outputs["prompt_dense_embeddings"].shape[1:] == (HEIGHT, WIDTH, D)


def test_positions_are_float32_in_low_precision(encoder):
    layer = SAMPromptEncoder(
        hidden_size=D,
        image_embedding_size=(HEIGHT, WIDTH),
        input_image_size=IMAGE_SIZE,
        dtype="mixed_bfloat16",
    )
    layer.build()
    layer.set_weights(encoder.get_weights())
    prompts = {"points": POINTS, "labels": LABELS}
    actual = ops.cast(layer(**prompts)["prompt_sparse_embeddings"], "float32")
    expected = encoder(**prompts)["prompt_sparse_embeddings"]
    assert_close(actual, expected, atol=2**-8, rtol=2**-8)  # rounded once
