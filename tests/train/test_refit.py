"""Settings of a preset that are fitted after training."""

import numpy as np
import pytest

from keras_sam.masks.measures import mask_interior_point
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.sam_mask_generator import SAMMaskGenerator
from keras_sam.predict.sam_predictor import SAMPredictor
from keras_sam.train.refit import fit_iou_calibration, fit_mask_thresholds
from keras_sam.transforms.inference_config import MaskThresholds
from keras_sam.transforms.mask_refiner import MaskRefiner


@pytest.fixture(scope="module")
def segmenter():
    return SAMImageSegmenter.from_preset("sam_tiny_synthetic")


@pytest.fixture(scope="module")
def samples():
    return [draw_disks(seed) for seed in range(2)]


def draw_disks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Disks of one color each on noise, where later ones cover earlier ones."""
    random = np.random.default_rng(seed)
    image = random.integers(60, 110, (120, 160, 3))
    y, x = np.mgrid[:120, :160]
    masks = []
    for _ in range(6):
        center, radius = random.uniform((10, 10), (150, 110)), random.uniform(8, 30)
        disk = (x - center[0]) ** 2 + (y - center[1]) ** 2 < radius**2
        image[disk] = random.integers(0, 256, 3) + random.integers(-15, 15, (disk.sum(), 1))
        masks = [mask & ~disk for mask in masks] + [disk]
    return image.clip(0, 255).astype(np.uint8), np.array([mask for mask in masks if mask.any()])


def true_and_predicted_iou(segmenter, samples, iou_calibration):
    """IoU of each mask that a predictor returns for a point, and the IoU that it predicts."""
    refiner = MaskRefiner("guided_filter", iou_calibration=iou_calibration)
    predictor = SAMPredictor(segmenter, mask_refiner=refiner)
    rows = []
    for image, targets in samples:
        predictor.set_image(image)
        for target in targets:
            logits, predicted = predictor.predict_low_res(
                [[mask_interior_point(target)]], [[1]], multimask_output=None
            )
            masks = predictor.transform.postprocess_masks(logits)[0]
            intersection, union = masks & target, masks | target
            iou = intersection.sum((1, 2)) / union.sum((1, 2))
            rows += zip(iou, predicted[0], strict=True)
    return np.array(rows).T


def test_coefficients_are_the_least_squares_fit_of_a_predictors_masks(segmenter, samples):
    fitted = fit_iou_calibration(segmenter, samples)
    iou, predicted = true_and_predicted_iou(segmenter, samples, None)
    confidence = true_and_predicted_iou(segmenter, samples, (0, 1, 0))[1]
    terms = np.stack([predicted, confidence, np.ones_like(iou)], axis=1)
    expected = np.linalg.solve(terms.T @ terms, terms.T @ iou)
    np.testing.assert_allclose(fitted, expected, atol=0.02)
    calibrated = true_and_predicted_iou(segmenter, samples, fitted)[1]
    assert calibrated.mean() == pytest.approx(iou.mean(), abs=0.02)
    assert ((calibrated - iou) ** 2).mean() < ((predicted - iou) ** 2).mean()


def test_without_masks_there_is_no_calibration(segmenter):
    assert fit_iou_calibration(segmenter, []) is None


def f1_score(predictor, samples, thresholds):
    """F1 score by counting, one mask at a time."""
    generator = SAMMaskGenerator(
        predictor,
        points_per_side=6,
        pred_iou_thresh=thresholds.pred_iou_thresh,
        stability_score_thresh=thresholds.stability_score_thresh,
    )
    right = total = found = targets = 0
    for image, masks in samples:
        generated = [record["segmentation"] for record in generator.generate(image)]
        matches = [
            {
                index
                for index, target in enumerate(masks)
                if (mask & target).sum() >= 0.5 * (mask | target).sum()
            }
            for mask in generated
        ]
        right += sum(bool(match) for match in matches)
        total += len(matches)
        found += len(set().union(*matches))
        targets += len(masks)
    if not right:
        return 0.0
    return 2 / (total / right + targets / found)


def test_thresholds_have_a_higher_f1_score(segmenter, samples):
    predictor = SAMPredictor(segmenter)
    start = MaskThresholds(0.1, 0.1)
    fitted = fit_mask_thresholds(predictor, samples, start=start, points_per_side=6)
    before, after = (f1_score(predictor, samples, each) for each in (start, fitted))
    assert after > before > 0
    assert after >= f1_score(predictor, samples, MaskThresholds())


def test_thresholds_are_kept_without_a_better_score(segmenter, samples):
    empty = [(image, masks & False) for image, masks in samples[:1]]
    start = MaskThresholds(0.6, 0.7)
    predictor = SAMPredictor(segmenter)
    assert fit_mask_thresholds(predictor, empty, start=start, points_per_side=2) == start
