"""Initial weights of training from scratch."""

import numpy as np
import pytest
from keras import ops

from recipes.sam_tiny_synthetic.build_segmenter import build_segmenter
from recipes.sam_tiny_synthetic.initialize_with_priors import (
    IOU_PRIOR,
    MASK_PRIOR,
    initialize_with_priors,
    sine_positions,
)
from tests.tiny_model import tiny_model


def predict(segmenter, point: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Mask probabilities `(M, L, L)` and predicted IoU `(M,)` of a point on a random image."""
    image = np.random.default_rng(0).random((1, 64, 64, 3)).astype("float32")
    outputs = segmenter.decode(
        segmenter.encode_image(ops.convert_to_tensor(image)),
        points=ops.convert_to_tensor(np.array([[[point]]], "float32")),
        labels=ops.ones((1, 1, 1), "int32"),
    )
    masks = ops.convert_to_numpy(ops.sigmoid(outputs["masks"]))[0, 0]
    return masks, ops.convert_to_numpy(outputs["iou_pred"])[0, 0]


def test_masks_and_predicted_iou_start_at_their_priors():
    segmenter = build_segmenter(64)
    initialize_with_priors(segmenter.backbone)
    masks, iou_pred = predict(segmenter, (20, 30))
    assert masks.mean() == pytest.approx(MASK_PRIOR, abs=0.08)  # 0.5 without
    assert iou_pred.mean() == pytest.approx(IOU_PRIOR, abs=0.1)


def test_tokens_and_image_attend_with_equal_queries_and_keys():
    backbone = tiny_model().backbone
    initialize_with_priors(backbone)
    block = backbone.mask_decoder.transformer.blocks[0]
    for attention in (block.token_to_image_attention, block.image_to_token_attention):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(attention.query.kernel), ops.convert_to_numpy(attention.key.kernel)
        )


def test_sine_positions_equal_a_loop_over_the_grid():
    table = sine_positions((3, 5), 14)
    assert table.shape == (3, 5, 14)
    for row, column in np.ndindex(3, 5):
        expected = []
        for position in (row, column):
            angles = [position * 100 ** (-k / 3) for k in range(3)]
            expected += [*np.sin(angles), *np.cos(angles)]
        np.testing.assert_allclose(table[row, column], [*expected, 0, 0], atol=1e-6)
