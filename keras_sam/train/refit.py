"""Settings of a preset that depend on its weights, fitted to labeled images after training."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from keras_sam.masks.measures import mask_interior_point, mask_iou
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.sam_mask_generator import SAMMaskGenerator
from keras_sam.predict.sam_predictor import SAMPredictor
from keras_sam.transforms.inference_config import InferenceConfig, MaskThresholds
from keras_sam.transforms.mask_refiner import MaskRefiner

Sample = tuple[np.ndarray, np.ndarray]  # image (H, W, 3), uint8, and masks (P, H, W), bool
MATCH_IOU = 0.5  # above, a generated mask shows a target
THRESHOLDS = [float(value) for value in np.linspace(0.0, 0.95, 20).round(2)]


def refit_inference_config(
    predictor: SAMPredictor,
    samples: Iterable[Sample],
    *,
    score: Callable[[SAMPredictor], float],
    max_masks: int,
) -> InferenceConfig:
    """Fit the mask refiner and the thresholds of a preset to labeled images, after training.

    Compared are the preset's mask refiner, the same with fitted coefficients, and none.

    Args:
        predictor: Predictor of the trained model.
        samples: Images `(H, W, 3)`, uint8, and all of their masks `(P, H, W)`, bool.
        score: Function of a predictor with another refiner; higher is better.
        max_masks: Maximum number of masks per image to which coefficients are fitted.
    """
    model, samples = predictor.model, list(samples)
    config = model.inference_config
    refiner = config.mask_refiner
    if refiner is not None:
        refiners = [refiner, None]
        if refiner.iou_calibration is not None:
            few = [(image, masks[:max_masks]) for image, masks in samples]
            calibration = fit_iou_calibration(model, few)
            refiners.append(dataclasses.replace(refiner, iou_calibration=calibration))
        refiner = max(
            refiners,
            key=lambda one: score(SAMPredictor(model, mask_refiner=one, engine=predictor.engine)),
        )
    thresholds = fit_mask_thresholds(
        SAMPredictor(model, mask_refiner=refiner, engine=predictor.engine),
        samples,
        start=config.mask_thresholds,
    )
    return dataclasses.replace(config, mask_refiner=refiner, mask_thresholds=thresholds)


def fit_iou_calibration(
    segmenter: SAMImageSegmenter, samples: Iterable[Sample]
) -> tuple[float, float, float] | None:
    """Fit the coefficients of `MaskRefiner.iou_calibration` by least squares.

    The data are the masks that a model predicts from the most interior point of each target. The
    calibrated IoU is `a * predicted IoU + b * foreground confidence + c`.

    Args:
        segmenter: Segmenter to calibrate.
        samples: Images `(H, W, 3)`, uint8, and their masks `(P, H, W)`, bool.

    Returns:
        The coefficients `(a, b, c)`, or `None` if no mask was refined.
    """
    predictor = SAMPredictor(segmenter, mask_refiner=None)
    rows = [row for sample in samples for row in _measure_refined(predictor, *sample)]
    if not rows:
        return None
    predicted, confidence, iou = np.array(rows).T
    terms = np.stack([predicted, confidence, np.ones_like(iou)], axis=1)
    coefficients = np.linalg.lstsq(terms, iou, rcond=None)[0]
    a, b, c = (round(float(coefficient), 3) for coefficient in coefficients)
    return a, b, c


def fit_mask_thresholds(
    predictor: SAMPredictor,
    samples: Iterable[Sample],
    *,
    start: MaskThresholds,
    points_per_side: int = 16,
) -> MaskThresholds:
    """Choose the thresholds of automatic mask generation with the highest F1 score.

    Recall is the share of targets that a generated mask shows with an IoU of at least 0.5, and
    precision is the share of generated masks that show a target. The present thresholds are
    compared with the best ones, among those of SAM and a grid, for masks that are generated
    without thresholds.

    Args:
        predictor: Predictor of the trained model.
        samples: Images and all of their masks, as for `fit_iou_calibration`.
        start: Present thresholds. They are kept unless others have a higher score.
        points_per_side: Points along each side of the point grid.
    """
    samples = list(samples)

    def generate(thresholds: MaskThresholds) -> list[_GeneratedMasks]:
        options = {"points_per_side": points_per_side, **dataclasses.asdict(thresholds)}
        generator = SAMMaskGenerator(predictor, **options)
        return [_generate(generator, *sample) for sample in samples]

    all_masks = generate(MaskThresholds(0.0, 0.0))
    grid = [MaskThresholds(iou, stability) for iou in THRESHOLDS for stability in THRESHOLDS]
    best = max(
        (MaskThresholds(), *grid),
        key=lambda thresholds: _f1_score([image.select(thresholds) for image in all_masks]),
    )
    # The first one of equal scores. The best one is generated again, since its score is not exact:
    # without thresholds, masks that would be dropped suppress others.
    candidates = dict.fromkeys((start, best))
    return max(candidates, key=lambda thresholds: _f1_score(generate(thresholds)))


@dataclass(frozen=True)
class _GeneratedMasks:
    """Generated masks of one image.

    Attributes:
        predicted_iou: `(N,)`.
        stability: `(N,)`.
        shows: `(N, P)`, True if a mask shows a target.
    """

    predicted_iou: np.ndarray
    stability: np.ndarray
    shows: np.ndarray

    def select(self, thresholds: MaskThresholds) -> "_GeneratedMasks":
        """Return the masks that pass thresholds."""
        passes = (self.predicted_iou > thresholds.pred_iou_thresh) & (
            self.stability >= thresholds.stability_score_thresh
        )
        return _GeneratedMasks(
            self.predicted_iou[passes], self.stability[passes], self.shows[passes]
        )


def _generate(
    generator: SAMMaskGenerator, image: np.ndarray, targets: np.ndarray
) -> _GeneratedMasks:
    records = generator.generate(image)
    ious = [mask_iou(record["segmentation"], targets) for record in records]
    return _GeneratedMasks(
        np.array([record["predicted_iou"] for record in records]),
        np.array([record["stability_score"] for record in records]),
        np.array(ious).reshape(len(records), len(targets)) >= MATCH_IOU,
    )


def _f1_score(images: list[_GeneratedMasks]) -> float:
    """Return `2 * precision * recall / (precision + recall)` over all images."""
    right = sum(np.count_nonzero(image.shows.any(axis=1)) for image in images)
    found = sum(np.count_nonzero(image.shows.any(axis=0)) for image in images)
    if not right:
        return 0.0
    precision = right / sum(len(image.shows) for image in images)
    recall = found / sum(image.shows.shape[1] for image in images)
    return 2 * precision * recall / (precision + recall)


def _measure_refined(
    predictor: SAMPredictor, image: np.ndarray, targets: np.ndarray
) -> Iterator[tuple[float, float, float]]:
    """Yield predicted IoU, foreground confidence and true IoU of the refined masks of an image."""
    if not len(targets):
        return
    predictor.set_image(image)
    points = np.array([[mask_interior_point(target)] for target in targets], np.float32)
    logits, predicted_iou = predictor.predict_low_res(
        points, np.ones(points.shape[:2], np.int32), multimask_output=None
    )
    transform, low_res_size = predictor.transform, predictor.model.backbone.low_res_size
    refiner = MaskRefiner(boundary_refinement="guided_filter")
    arrays = refiner.image_arrays(transform.apply_image(image), transform, low_res_size)
    guide = refiner.for_image(arrays, transform, low_res_size).guide
    assert guide is not None
    for prompt, index in np.ndindex(*predicted_iou.shape):
        refined = guide.refine(logits[prompt, index])
        if refined.foreground_confidence is not None:
            mask = transform.postprocess_masks(refined.low_res_logits)
            iou = float(mask_iou(mask, targets[prompt]))
            yield float(predicted_iou[prompt, index]), refined.foreground_confidence, iou
