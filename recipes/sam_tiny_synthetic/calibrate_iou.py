"""`calibrate_iou`: fit the predicted IoU of masks whose boundaries were refined."""

from collections.abc import Iterable, Iterator

import numpy as np

from keras_sam.masks.measures import mask_interior_point
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.sam_predictor import SAMPredictor
from keras_sam.transforms.mask_refiner import MaskRefiner
from recipes.sam_tiny_synthetic.batches import MAX_MASK_AREA
from recipes.sam_tiny_synthetic.scenes.scene import Scene, draw_scene

MIN_MASK_AREA = 0.004  # of a mask, as a share of the scene
MAX_MASKS = 16  # of a scene


def calibrate_iou(
    segmenter: SAMImageSegmenter, seeds: Iterable[int]
) -> tuple[float, float, float] | None:
    """Fit the coefficients of `MaskRefiner.iou_calibration` by least squares.

    The data are the masks that a model predicts from the most interior point of each mask of
    scenes. The calibrated IoU is `a * predicted IoU + b * foreground confidence + c`.

    Args:
        segmenter: Segmenter to calibrate.
        seeds: Seeds of scenes that were not trained on.

    Returns:
        The coefficients `(a, b, c)`, or `None` if no mask was refined.
    """
    predictor = SAMPredictor(segmenter, mask_refiner=None)
    rows = [row for seed in seeds for row in _measure(predictor, draw_scene(seed))]
    if not rows:
        return None
    predicted, confidence, iou = np.array(rows).T
    terms = np.stack([predicted, confidence, np.ones_like(iou)], axis=1)
    coefficients = np.linalg.lstsq(terms, iou, rcond=None)[0]
    a, b, c = (round(float(coefficient), 3) for coefficient in coefficients)
    return a, b, c


def _measure(predictor: SAMPredictor, scene: Scene) -> Iterator[tuple[float, float, float]]:
    """Yield predicted IoU, foreground confidence and true IoU of the refined masks of a scene."""
    masks = [mask for mask in scene.masks() if MIN_MASK_AREA < mask.mean() < MAX_MASK_AREA]
    masks = masks[:MAX_MASKS]
    if not masks:
        return
    predictor.set_image(scene.image)
    points = np.array([[mask_interior_point(mask)] for mask in masks], np.float32)
    logits, predicted_iou = predictor.predict_low_res(
        points, np.ones(points.shape[:2], np.int32), multimask_output=None
    )
    transform, low_res_size = predictor.transform, predictor.model.backbone.low_res_size
    refiner = MaskRefiner(boundary_refinement="guided_filter")
    arrays = refiner.image_arrays(transform.apply_image(scene.image), transform, low_res_size)
    guide = refiner.for_image(arrays, transform, low_res_size).guide
    assert guide is not None
    for prompt, index in np.ndindex(*predicted_iou.shape):
        refined = guide.refine(logits[prompt, index])
        if refined.foreground_confidence is not None:
            mask, target = transform.postprocess_masks(refined.low_res_logits), masks[prompt]
            iou = np.count_nonzero(mask & target) / np.count_nonzero(mask | target)
            yield float(predicted_iou[prompt, index]), refined.foreground_confidence, iou
