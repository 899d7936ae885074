"""Scores of single masks with a predictor whose masks are known."""

import numpy as np
import pytest

from keras_sam.annotations.coco import CocoAnnotation
from keras_sam.evaluate import Target, boundary_iou, click_ious, jittered_click, score_masks
from keras_sam.masks.coco_rle import coco_rle_to_mask, mask_to_coco_rle
from tests.evaluate.known_masks import BOXES, SIZE, KnownMasks, iou, left_part, rectangle


@pytest.fixture
def targets():
    return [
        Target(rectangle(*box), "a.png", index, f"class {index}") for index, box in enumerate(BOXES)
    ]


def test_target_of_an_annotation():
    mask = rectangle(3, 4, 10, 8)
    rle = mask_to_coco_rle(mask)
    target = Target.from_annotation(CocoAnnotation(5, SIZE, rle, "cell", {"iscrowd": 1}), "a.png")
    np.testing.assert_array_equal(target.mask, mask)
    assert (target.file_name, target.annotation_id, target.category) == ("a.png", 5, "cell")
    assert target.is_crowd
    assert target.area == 28
    np.testing.assert_array_equal(target.box, [3, 4, 10, 8])
    assert not Target.from_annotation(CocoAnnotation(5, SIZE, rle), "a.png").is_crowd


def test_iou_with_a_target_equals_that_of_whole_masks():
    rng = np.random.default_rng(0)
    for _ in range(10):
        mask, other = rng.random((2, 12, 15)) < 0.2
        mask[:, rng.integers(1, 15) :] = False
        mask[5, 0] = True
        assert Target(mask).iou(other) == pytest.approx(iou(other, mask))


def test_scores_of_each_prompt(targets):
    scores, box_masks = score_masks(KnownMasks(), targets)
    assert box_masks == []
    assert [(one.annotation_id, one.category) for one in scores] == [(0, "class 0"), (1, "class 1")]
    for score, target, box in zip(scores, targets, BOXES, strict=True):
        x0, _, x1, _ = box
        narrow = rectangle(*np.subtract(box, (0, 0, 2, 0)))
        quarter = left_part(box, 0.25)
        assert score.area == target.area
        assert score.box_iou == pytest.approx((x1 - x0 - 2) / (x1 - x0))
        assert score.multimask_iou == pytest.approx((0.25, 0.5, 0.75))
        assert score.predicted_iou == pytest.approx((0.9, 0.2, 0.5))
        assert (score.point_iou, score.point_oracle_iou) == (0.25, 0.75)
        assert score.box_boundary_iou == boundary_iou(narrow, target.mask)
        assert score.point_boundary_iou == boundary_iou(quarter, target.mask)
        grown = rectangle(x0, box[1], x0 + (x1 - x0) // 4 + 4 + 8, box[3])
        assert score.three_point_iou == pytest.approx(iou(grown, target.mask))
        assert score.three_point_boundary_iou == boundary_iou(grown, target.mask)
        assert score.box_predicted_iou == 1
        assert (score.jittered_point_iou, score.click_iou) == (None, None)


def test_random_points_are_those_of_the_seed(targets):
    predictors = [KnownMasks(), KnownMasks(), KnownMasks()]
    seeds = [3, 3, 4]
    for predictor, seed in zip(predictors, seeds, strict=True):
        scores, _ = score_masks(predictor, targets, jitter_seed=seed)
        assert [score.jittered_point_iou for score in scores] == pytest.approx([0.25, 0.25])
    points = [predictor.calls[-1][0] for predictor in predictors]
    expected = [jittered_click(one.mask, 3, "a.png", one.annotation_id) for one in targets]
    np.testing.assert_array_equal(points[0][:, 0], expected)
    np.testing.assert_array_equal(points[0], points[1])
    assert (points[0] != points[2]).any()


def test_number_of_clicks_is_measured_if_asked_for(targets):
    scores, _ = score_masks(KnownMasks(), targets, clicks=True)
    expected = click_ious(KnownMasks(), [target.mask for target in targets])
    np.testing.assert_array_equal([score.click_iou for score in scores], expected)
    assert expected.shape == (2, 20)


def test_masks_of_boxes_are_returned_if_asked_for(targets):
    _, box_masks = score_masks(KnownMasks(), targets, box_masks=True)
    for box_mask, target, box in zip(box_masks, targets, BOXES, strict=True):
        narrow = rectangle(*np.subtract(box, (0, 0, 2, 0)))
        np.testing.assert_array_equal(coco_rle_to_mask(box_mask.mask), narrow)
        np.testing.assert_array_equal(coco_rle_to_mask(box_mask.target), target.mask)
        assert box_mask.category == target.category
        assert (box_mask.file_name, box_mask.predicted_iou) == ("a.png", 1)
