"""`evaluate`: mean IoU of a model's masks on labeled images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.annotations.coco import CocoDataset, CocoImage
from keras_sam.evaluate.calibration import CalibrationBin, calibration_bins
from keras_sam.images.read_image import read_image
from keras_sam.masks.measures import mask_interior_point, mask_to_box
from keras_sam.predict.predictor import Predictor

EXTRA_CLICKS = 2  # after the first one
MAX_PROMPTS = 32  # decoded together
MAX_MASK_BYTES = 2**28  # memory for the masks of prompts that are decoded together


@dataclass(frozen=True)
class Evaluation:
    """Mean IoU of all masks, in the original, by prompt.

    Attributes:
        box_iou: For the target's box, with the single mask.
        point_iou: For the target's interior point, with the mask of the highest predicted IoU
            among three.
        point_oracle_iou: For the same point, with the best of the three masks.
        three_point_iou: For the same point and two corrections, with the single mask. Each
            correction is a point in the largest error, given with the previous mask.
        images: Number of images with masks.
        masks: Number of masks.
        calibration: Predicted and true IoU of all masks for a point.
    """

    box_iou: float
    point_iou: float
    point_oracle_iou: float
    three_point_iou: float
    images: int
    masks: int
    calibration: tuple[CalibrationBin, ...]


@dataclass(frozen=True)
class MaskScores:
    """True IoU of P masks, by prompt, and predicted IoU.

    Attributes:
        box_iou: IoU `(P,)` for boxes.
        point_iou: IoU `(P, 3)` for points.
        predicted_iou: Predicted IoU `(P, 3)` for points.
        three_point_iou: IoU `(P,)` after all corrections.
    """

    box_iou: np.ndarray
    point_iou: np.ndarray
    predicted_iou: np.ndarray
    three_point_iou: np.ndarray


def evaluate(
    predictor: Predictor,
    dataset: CocoDataset,
    images_dir: str | Path,
    *,
    max_images: int | None = None,
    max_masks: int | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> Evaluation:
    """Evaluate a predictor on labeled images.

    Args:
        predictor: Predictor of the model, such as a `SAMPredictor`.
        dataset: Annotations, from `read_coco`.
        images_dir: Folder of the images.
        max_images: Maximum number of images.
        max_masks: Maximum number of masks per image.
        progress: Function called with the number of images processed and their total.

    Raises:
        FileNotFoundError: If an image is missing.
        ValueError: If an image and its annotations have different sizes, or there are no masks.
    """
    images = dataset.images[:max_images]
    scores: list[MaskScores] = []
    num_images = 0
    for completed, image in enumerate(images, start=1):
        masks = [mask for note in image.annotations if (mask := note.mask()).any()][:max_masks]
        if masks:
            num_images += 1
            predictor.set_image(_read_pixels(image, Path(images_dir)))
            count = max(1, min(MAX_PROMPTS, MAX_MASK_BYTES // (3 * masks[0].size)))
            scores += [
                _score(predictor, masks[start : start + count])
                for start in range(0, len(masks), count)
            ]
        if progress is not None:
            progress(completed, len(images))
    if not scores:
        raise ValueError("the images have no masks to compare with")
    point_iou = np.concatenate([part.point_iou for part in scores])
    predicted_iou = np.concatenate([part.predicted_iou for part in scores])
    best = np.take_along_axis(point_iou, predicted_iou.argmax(1)[:, None], axis=1)
    return Evaluation(
        box_iou=float(np.concatenate([part.box_iou for part in scores]).mean()),
        point_iou=float(best.mean()),
        point_oracle_iou=float(point_iou.max(1).mean()),
        three_point_iou=float(np.concatenate([part.three_point_iou for part in scores]).mean()),
        images=num_images,
        masks=len(point_iou),
        calibration=calibration_bins(predicted_iou.ravel(), point_iou.ravel()),
    )


def _read_pixels(image: CocoImage, images_dir: Path) -> np.ndarray:
    pixels = read_image(images_dir / image.file_name)
    if pixels.shape[:2] != image.size:
        raise ValueError(
            f"{image.file_name} has size {pixels.shape[:2]}, but its annotations have {image.size}"
        )
    return pixels


def _score(predictor: Predictor, targets: list[np.ndarray]) -> MaskScores:
    """Predict some targets of the image that is set, and compute their IoU."""
    boxes = np.stack([mask_to_box(target) for target in targets])
    # Points are whole pixels. The model itself shifts them to the pixel center.
    points = np.array([[mask_interior_point(target)] for target in targets], np.float32)
    labels = np.ones(points.shape[:2], np.int32)
    # Boxes and points.
    box_masks = predictor.predict_many(boxes=boxes, multimask_output=False)[0]
    masks, predicted_iou, low_res_logits = predictor.predict_many(points, labels)
    point_iou = [
        [_iou(mask, target) for mask in three] for three, target in zip(masks, targets, strict=True)
    ]
    # Corrections of the mask with the highest predicted IoU.
    rows = np.arange(len(targets))
    best = predicted_iou.argmax(1)
    masks, low_res_logits = masks[rows, best], low_res_logits[rows, best]
    for _ in range(EXTRA_CLICKS):
        clicks = [next_click(mask, target) for mask, target in zip(masks, targets, strict=True)]
        points = np.concatenate([points, [[click[:2]] for click in clicks]], axis=1)
        labels = np.concatenate([labels, [[click[2]] for click in clicks]], axis=1)
        masks, _, low_res_logits = (
            output[:, 0]
            for output in predictor.predict_many(
                points, labels, None, low_res_logits, multimask_output=False
            )
        )
    return MaskScores(
        box_iou=_ious(box_masks[:, 0], targets),
        point_iou=np.array(point_iou),
        predicted_iou=predicted_iou,
        three_point_iou=_ious(masks, targets),
    )


def next_click(mask: np.ndarray, target: np.ndarray) -> tuple[int, int, int]:
    """Simulate the next click of an annotator.

    Args:
        mask: Current mask `(H, W)`, bool.
        target: Target mask `(H, W)`, bool.

    Returns:
        x, y and the label. The point is the interior point of the error, or of the target if
        there is no error. The label is 1 if the point is in the target, else 0.
    """
    error = mask ^ target
    x, y = mask_interior_point(error if error.any() else target)
    return x, y, int(target[y, x])


def _ious(masks: np.ndarray, targets: list[np.ndarray]) -> np.ndarray:
    return np.array([_iou(mask, target) for mask, target in zip(masks, targets, strict=True)])


def _iou(mask: np.ndarray, target: np.ndarray) -> float:
    return np.count_nonzero(mask & target) / np.count_nonzero(mask | target)
