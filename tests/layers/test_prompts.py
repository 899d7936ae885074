"""Prompts in every form that is allowed, and errors for the others."""

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.prompts import resolve_prompts
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, "float32")


def test_points_of_rank_3_are_one_prompt_for_each_image():
    prompts = resolve_prompts(
        points=zeros(2, 3, 2),
        labels=zeros(2, 3),
        boxes=zeros(2, 1, 2, 2),
        masks=zeros(2, 0, 8, 8, 1),
    )
    assert prompts.points.shape == (2, 1, 3, 2)
    assert prompts.boxes.shape == (2, 1, 2, 2)
    assert prompts.masks is None
    assert prompts.count == 1
    assert not prompts.has_prompt_axis


def test_points_of_rank_4_keep_their_axis():
    prompts = resolve_prompts(points=zeros(2, 5, 3, 2), labels=zeros(2, 5, 3))
    assert prompts.points.shape == (2, 5, 3, 2)
    assert prompts.count == 5
    assert prompts.has_prompt_axis


def test_boxes_alone_are_prompts():
    prompts = resolve_prompts(boxes=zeros(1, 4, 2, 2))
    assert prompts.count == 4
    assert prompts.has_prompt_axis


@pytest.mark.parametrize(
    "prompts",
    [{}, {"points": zeros(2, 0, 2), "labels": zeros(2, 0)}, {"boxes": zeros(2, 0, 2, 2)}],
)
def test_nothing_is_one_prompt(prompts):
    resolved = resolve_prompts(**prompts)
    assert resolved.points is None
    assert resolved.boxes is None
    assert resolved.count == 1


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"points": zeros(1, 2, 2), "labels": zeros(1, 2), "boxes": zeros(1, 2, 2, 2)}, "write"),
        ({"points": zeros(1, 2, 2)}, "without `labels`"),
        ({"labels": zeros(1, 2)}, "without `points`"),
        ({"points": zeros(1, 2), "labels": zeros(1)}, "must have shape"),
        ({"points": zeros(1, 2, 3), "labels": zeros(1, 2)}, "must have shape"),
        ({"points": zeros(1, 2, 2), "labels": zeros(1, 3)}, "expected"),
        ({"boxes": zeros(1, 4)}, "`boxes`"),
        ({"boxes": zeros(1, 2, 4, 1)}, "corners"),
        ({"masks": zeros(1, 8, 8, 1)}, "`masks`"),
        ({"boxes": zeros(1, 2, 2, 2), "masks": zeros(1, 3, 8, 8, 1)}, "disagree"),
        ({"points": zeros(2, 1, 2), "labels": zeros(1, 1)}, "number of images"),
        ({"images": zeros(2, 8, 8, 3), "boxes": zeros(1, 1, 2, 2)}, "number of images"),
    ],
)
def test_other_forms_are_refused(prompts, message):
    with pytest.raises(ValueError, match=message):
        resolve_prompts(**prompts)


@pytest.fixture(scope="module")
def encoder() -> SAMPromptEncoder:
    layer = SAMPromptEncoder(hidden_size=16, image_embedding_size=(2, 3), input_image_size=(32, 48))
    layer.build()
    return layer


def test_a_position_is_its_fourier_features(encoder):
    matrix = ops.convert_to_numpy(encoder.positional_encoding_gaussian_matrix)
    label = ops.convert_to_numpy(encoder.background_point_embedding)[0]
    place = 2 * np.array([(10 + 0.5) / 48, (7 + 0.5) / 32]) - 1
    angles = 2 * np.pi * (place @ matrix)
    expected = np.concatenate([np.sin(angles), np.cos(angles)]) + label
    outputs = encoder(points=np.array([[[10.0, 7.0]]]), labels=np.array([[0]]))
    found = ops.convert_to_numpy(outputs["prompt_sparse_embeddings"])[0, 0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_labels_2_and_3_are_the_corners_of_a_box(encoder):
    box = np.array([[[[4.0, 5.0], [20.0, 30.0]]]], "float32")
    by_box = encoder(boxes=box)["prompt_sparse_embeddings"]
    by_labels = encoder(points=box[:, 0], labels=np.array([[2, 3]]))["prompt_sparse_embeddings"]
    np.testing.assert_allclose(
        ops.convert_to_numpy(by_box)[:, 0], ops.convert_to_numpy(by_labels), atol=1e-6
    )


def test_padding_and_nan_boxes_are_masked_out(encoder):
    outputs = encoder(
        points=zeros(1, 2, 1, 2),
        labels=np.array([[[1], [-10]]]),
        boxes=np.array([[[[1, 1], [2, 2]], [[np.nan, np.nan], [np.nan, np.nan]]]], "float32"),
    )
    mask = ops.convert_to_numpy(outputs["prompt_sparse_mask"])
    assert mask.tolist() == [[[True, True, True], [False, False, False]]]
    assert np.isfinite(ops.convert_to_numpy(outputs["prompt_sparse_embeddings"])).all()


def test_a_mask_of_another_size_is_refused(encoder):
    with pytest.raises(ValueError, match="four times the embedding grid"):
        encoder(masks=zeros(1, 1, 8, 8, 1))
