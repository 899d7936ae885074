"""The number-of-clicks protocol with masks that are known for each number of clicks."""

import numpy as np
import pytest

from keras_sam.evaluate import click_ious, number_of_clicks, summarize_clicks
from tests.evaluate.known_masks import BOXES, KnownMasks, left_part, rectangle, target_of

TARGETS = [rectangle(*box) for box in BOXES]


class ScheduledMasks(KnownMasks):
    """Predicts the left part of a target, with a share for each number of clicks.

    The low-res logits contain the index of the target and the number of clicks.
    """

    def __init__(self, shares):
        super().__init__()
        self.shares = shares

    def predict_many(
        self, point_coords, point_labels, boxes=None, mask_inputs=None, *, multimask_output=True
    ):
        self.calls.append((point_coords, point_labels, boxes, mask_inputs, multimask_output))
        clicks = point_coords.shape[1]
        indices = [BOXES.index(target_of(points[0])) for points in point_coords]
        if mask_inputs is not None:
            expected = [(index, clicks - 1) for index in indices]
            assert [tuple(map(int, logits[0, :2])) for logits in mask_inputs] == expected
        shares = [self.shares[index][clicks - 1] for index in indices]
        masks = np.array(
            [[left_part(BOXES[i], share)] for i, share in zip(indices, shares, strict=True)]
        )
        logits = np.zeros((len(indices), 1, 4, 4), np.float32)
        logits[:, 0, 0, 0], logits[:, 0, 0, 1] = indices, clicks
        if not multimask_output:
            return masks, np.ones((len(indices), 1)), logits
        masks = np.concatenate([np.zeros_like(masks), masks, ~masks], axis=1)
        predicted_iou = np.tile([0.3, 0.6, 0.2], (len(indices), 1))
        return masks, predicted_iou, np.concatenate([-logits, logits, -logits], axis=1)


def test_iou_after_each_click():
    shares = [[0.5, 0.6, 0.7, 0.8, 0.9, 0.975, 0], [0.2, 1.0, 0.6, 0.4, 0.6, 0.8, 0.9]]
    predictor = ScheduledMasks(shares)
    ious = click_ious(predictor, TARGETS, max_clicks=7)
    # The first is finished after six clicks, and keeps its IoU. The second had no error after
    # two clicks, so there was no third.
    np.testing.assert_allclose(ious[0], [0.5, 0.6, 0.7, 0.8, 0.9, 0.975, 0.975])
    np.testing.assert_allclose(ious[1], [0.2, 1, 1, 1, 1, 1, 1])
    assert [len(call[0]) for call in predictor.calls] == [2, 2, 1, 1, 1, 1]
    assert [call[4] for call in predictor.calls] == [True] + 5 * [False]


def test_first_five_clicks_are_always_measured():
    shares = [[0.975, 0.975, 0.975, 0.5, 0.975, 0.5]] * 2
    predictor = ScheduledMasks(shares)
    ious = click_ious(predictor, TARGETS[:1], max_clicks=6)
    np.testing.assert_allclose(ious, [[0.975, 0.975, 0.975, 0.5, 0.975, 0.975]])
    assert len(predictor.calls) == 5


def test_clicks_are_in_the_errors_and_never_twice():
    predictor = ScheduledMasks([[0.5] * 8] * 2)
    click_ious(predictor, TARGETS, max_clicks=8)
    points, labels, boxes, _, _ = predictor.calls[-1]
    assert boxes is None
    np.testing.assert_array_equal(labels, np.ones((2, 8)))
    for target, prompt in zip(TARGETS, points.astype(int), strict=True):
        assert len({tuple(point) for point in prompt}) == 8
        assert target[prompt[:, 1], prompt[:, 0]].all()
    first = predictor.calls[0][0][:, 0]
    np.testing.assert_array_equal(first, [[22, 17], [69, 29]])  # the first of the deepest pixels


def test_number_of_clicks():
    ious = [[0.1, 0.85, 0.8], [0.9, 0.1, 0.2], [0.1, 0.2, 0.3]]
    np.testing.assert_array_equal(number_of_clicks(ious, 0.85), [2, 1, 0])
    np.testing.assert_array_equal(number_of_clicks(ious, 0.1), [1, 1, 1])


def test_summary():
    ious = np.zeros((4, 20))
    ious[0] = 0.96  # at once
    ious[1, 2:] = 0.86  # 3 clicks for 0.80 and 0.85
    ious[2, 19] = 0.91  # 20 clicks for 0.90, so it is reached
    result = summarize_clicks(ious)
    assert result.max_clicks == 20
    assert result.mean_iou == pytest.approx([0.24, 0.24, 0.455, 0.455, 0.455])
    assert [(one.iou, one.noc, one.nof) for one in result.thresholds] == [
        (0.80, (1 + 3 + 20 + 20) / 4, 1),
        (0.85, (1 + 3 + 20 + 20) / 4, 1),
        (0.90, (1 + 20 + 20 + 20) / 4, 2),
        (0.95, (1 + 20 + 20 + 20) / 4, 3),
    ]


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="max_clicks must be 1 or more, got 0"):
        click_ious(KnownMasks(), TARGETS, max_clicks=0)
    with pytest.raises(ValueError, match="at least one target, got none"):
        click_ious(KnownMasks(), [])
    with pytest.raises(ValueError, match=r"shape \(P, N\)"):
        summarize_clicks(np.zeros((0, 20)))
