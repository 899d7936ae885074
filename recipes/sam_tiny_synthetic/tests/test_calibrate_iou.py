"""Calibration of the predicted IoU of refined masks."""

import numpy as np
import pytest

from keras_sam.masks.measures import mask_interior_point
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.sam_predictor import SAMPredictor
from keras_sam.transforms.mask_refiner import MaskRefiner
from recipes.sam_tiny_synthetic.calibrate_iou import calibrate_iou
from recipes.sam_tiny_synthetic.scenes.scene import draw_scene

SEEDS = range(9_000_000, 9_000_004)


@pytest.fixture(scope="module")
def segmenter():
    return SAMImageSegmenter.from_preset("sam_tiny_synthetic")


def true_and_predicted_iou(segmenter, iou_calibration):
    """IoU of each mask that a predictor returns for a point, and the IoU that it predicts."""
    refiner = MaskRefiner("guided_filter", iou_calibration=iou_calibration)
    predictor = SAMPredictor(segmenter, mask_refiner=refiner)
    rows = []
    for seed in SEEDS:
        scene = draw_scene(seed)
        predictor.set_image(scene.image)
        for target in [mask for mask in scene.masks() if 0.004 < mask.mean() < 0.9][:16]:
            logits, predicted = predictor.predict_low_res(
                [[mask_interior_point(target)]], [[1]], multimask_output=None
            )
            masks = predictor.transform.postprocess_masks(logits)[0]
            intersection, union = masks & target, masks | target
            iou = intersection.sum((1, 2)) / union.sum((1, 2))
            rows += zip(iou, predicted[0], strict=True)
    return np.array(rows).T


def test_coefficients_are_the_least_squares_fit_of_a_predictors_masks(segmenter):
    fitted = calibrate_iou(segmenter, SEEDS)
    iou, predicted = true_and_predicted_iou(segmenter, None)
    confidence = true_and_predicted_iou(segmenter, (0, 1, 0))[1]
    terms = np.stack([predicted, confidence, np.ones_like(iou)], axis=1)
    expected = np.linalg.solve(terms.T @ terms, terms.T @ iou)
    np.testing.assert_allclose(fitted, expected, atol=0.02)
    calibrated = true_and_predicted_iou(segmenter, fitted)[1]
    assert calibrated.mean() == pytest.approx(iou.mean(), abs=0.01)
    assert ((calibrated - iou) ** 2).mean() < ((predicted - iou) ** 2).mean()


def test_without_masks_there_is_no_calibration(segmenter):
    assert calibrate_iou(segmenter, []) is None
