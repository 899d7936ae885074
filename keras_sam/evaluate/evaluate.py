"""`evaluate`: how well a model's masks fit labeled ones."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.annotations.coco import CocoDataset, CocoImage
from keras_sam.evaluate.calibration import CalibrationBin, calibrate
from keras_sam.images.read_image import read_image
from keras_sam.masks.measures import mask_interior_point, mask_to_box
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
from keras_sam.predict.predictor import SAMPredictor

EXTRA_CLICKS = 2  # clicks behind the first one
MASKS_AT_ONCE = 32  # bounds the logits at original size

Predict = Callable[..., tuple[np.ndarray, np.ndarray]]
ToMasks = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """Mean IoU over all masks, at original size.

    Attributes:
        box: prompted by the true box, the single mask.
        click: by one click at the deepest point, the mask rated best of three.
        point_oracle_iou: by the same click, the best of three.
        three_point_iou: by that click and two more, each at the deepest point of what is wrong
            with the mask before, which is fed back; the single mask.
        images: number of images with masks.
        masks: number of masks.
        calibration: the ratings of the masks of one click beside their IoU.
    """

    box: float
    click: float
    point_oracle_iou: float
    three_point_iou: float
    images: int
    masks: int
    calibration: tuple[CalibrationBin, ...]


@dataclass(frozen=True)
class MaskScores:
    """What some masks of an image were given.

    Attributes:
        box: IoU `(P,)` by box.
        clicked: IoU `(P, 3)` of the masks of one click.
        ratings: `(P, 3)`, as the model rates them.
        corrected: IoU `(P,)` after all clicks.
    """

    box: np.ndarray
    clicked: np.ndarray
    ratings: np.ndarray
    corrected: np.ndarray


def evaluate(
    model: SAMImageSegmenter | SAMPredictor | MultiScalePredictor,
    dataset: CocoDataset,
    images_dir: str | Path,
    *,
    limit: int | None = None,
    max_masks: int | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> Evaluation:
    """Measures a model on labeled images.

    Args:
        model: the segmenter, or a predictor of it: one that zooms, if small things are to be
            looked at closer.
        dataset: of `read_coco`.
        images_dir: the folder of its images.
        limit: only the first images.
        max_masks: of an image, only the first masks.
        progress: called with the number of images done, and of all.

    Raises:
        FileNotFoundError: if an image is missing.
        ValueError: if an image has another size than its annotations, or there is no mask.
    """
    images = dataset.images[:limit]
    predictor = SAMPredictor(model) if isinstance(model, SAMImageSegmenter) else model
    found: list[MaskScores] = []
    count = 0
    for done, image in enumerate(images, start=1):
        masks = [mask for note in image.annotations if (mask := note.mask()).any()][:max_masks]
        if masks:
            count += 1
            predictor.set_image(_read_pixels(image, Path(images_dir)))
            predict, to_masks = _steps(predictor)
            found += [
                _score(predict, to_masks, masks[first : first + MASKS_AT_ONCE])
                for first in range(0, len(masks), MASKS_AT_ONCE)
            ]
        if progress is not None:
            progress(done, len(images))
    if not found:
        raise ValueError("there is no mask to compare with")
    clicked = np.concatenate([scores.clicked for scores in found])
    ratings = np.concatenate([scores.ratings for scores in found])
    rated_best = np.take_along_axis(clicked, ratings.argmax(1)[:, None], axis=1)
    return Evaluation(
        box=float(np.concatenate([scores.box for scores in found]).mean()),
        click=float(rated_best.mean()),
        point_oracle_iou=float(clicked.max(1).mean()),
        three_point_iou=float(np.concatenate([scores.corrected for scores in found]).mean()),
        images=count,
        masks=len(clicked),
        calibration=calibrate(ratings.ravel(), clicked.ravel()),
    )


def _read_pixels(image: CocoImage, images_dir: Path) -> np.ndarray:
    pixels = read_image(images_dir / image.file_name)
    if pixels.shape[:2] != image.size:
        raise ValueError(
            f"{image.file_name} has size {pixels.shape[:2]}, its annotations {image.size}"
        )
    return pixels


def _steps(predictor: SAMPredictor | MultiScalePredictor) -> tuple[Predict, ToMasks]:
    """Of a predictor, from prompts to logits and ratings, and from such logits to masks.

    The first takes logits back as mask inputs; the second takes the boxes that they are of.
    """
    if isinstance(predictor, MultiScalePredictor):
        # At original size; they end at their boxes already.
        return partial(predictor.predict_many, return_logits=True), lambda logits, **_: logits > 0
    return predictor.predict_low_res, predictor.frame.postprocess_masks


def _score(predict: Predict, to_masks: ToMasks, masks: list[np.ndarray]) -> MaskScores:
    """Scores some masks of the image that is set."""
    boxes = np.stack([mask_to_box(mask) for mask in masks])
    # The center of the deepest pixel lies half a pixel further in continuous coordinates, but
    # clicks are whole pixels: the model itself shifts them to the center.
    points = np.array([[mask_interior_point(mask)] for mask in masks], np.float32)
    labels = np.ones(points.shape[:2], np.int32)
    # By a box and by a click.
    by_box, _ = predict(boxes=boxes, multimask_output=False)
    box = [
        _iou(to_masks(one, boxes=limit[None])[0], mask)
        for one, limit, mask in zip(by_box[:, None, 0], boxes, masks, strict=True)
    ]
    by_click, ratings = predict(points, labels, multimask_output=True)
    clicked = [
        [_iou(to_masks(one[None])[0], mask) for one in three]
        for three, mask in zip(by_click, masks, strict=True)
    ]
    # By further clicks.
    logits = by_click[np.arange(len(masks)), ratings.argmax(1)]
    for _ in range(EXTRA_CLICKS):
        clicks = [
            next_click(to_masks(one[None])[0], mask)
            for one, mask in zip(logits, masks, strict=True)
        ]
        points = np.concatenate([points, [[click[:2]] for click in clicks]], axis=1)
        labels = np.concatenate([labels, [[click[2]] for click in clicks]], axis=1)
        logits = predict(points, labels, None, logits, multimask_output=False)[0][:, 0]
    corrected = [
        _iou(to_masks(one[None])[0], mask) for one, mask in zip(logits, masks, strict=True)
    ]
    return MaskScores(np.array(box), np.array(clicked), ratings, np.array(corrected))


def next_click(found: np.ndarray, mask: np.ndarray) -> tuple[int, int, int]:
    """The next click of a person: deepest in what is wrong, or in the mask if nothing is.

    Args:
        found: the mask so far `(H, W)`.
        mask: the true one.

    Returns:
        x, y, and the label: 1 if the mask is to be there, else 0.
    """
    wrong = found ^ mask
    x, y = mask_interior_point(wrong if wrong.any() else mask)
    return x, y, int(mask[y, x])


def _iou(found: np.ndarray, mask: np.ndarray) -> float:
    return np.count_nonzero(found & mask) / np.count_nonzero(found | mask)
