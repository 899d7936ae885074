"""`evaluate`: how well a model's masks fit labelled ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.geometry import (
    CocoDataset,
    CocoImage,
    ModelFrame,
    deepest_point,
    mask_to_box,
    read_image,
)
from keras_sam.models import SAMImageSegmenter
from keras_sam.predict.calibration import CalibrationBin, calibrate
from keras_sam.predict.frame_for_model import frame_for_model
from keras_sam.predict.predictor import SAMPredictor

CORRECTIONS = 2  # clicks behind the first one


@dataclass(frozen=True)
class Evaluation:
    """Mean IoU over all masks, at original size.

    Attributes:
        box: prompted by the true box, the single mask.
        click: by one click at the deepest point, the mask rated best of three.
        click_best: by the same click, the best of three.
        three_clicks: by that click and two more, each at the deepest point of what is wrong
            with the mask before, which is fed back; the single mask.
        images: number of images with masks.
        masks: number of masks.
        calibration: the ratings of the masks of one click beside their IoU.
    """

    box: float
    click: float
    click_best: float
    three_clicks: float
    images: int
    masks: int
    calibration: tuple[CalibrationBin, ...]


@dataclass(frozen=True)
class ImageScores:
    """What an image's masks were given.

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
    model: SAMImageSegmenter | SAMPredictor,
    dataset: CocoDataset,
    images_dir: str | Path,
    *,
    limit: int | None = None,
    max_masks: int | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> Evaluation:
    """Measures a model on labelled images.

    Args:
        model: the segmenter, or a predictor of it.
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
    predictor = model if isinstance(model, SAMPredictor) else SAMPredictor(model)
    found: list[ImageScores] = []
    for done, image in enumerate(images, start=1):
        masks = [mask for note in image.annotations if (mask := note.mask()).any()][:max_masks]
        if masks:
            predictor.set_image(_read_pixels(image, Path(images_dir)))
            found.append(_score_image(predictor, masks))
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
        click_best=float(clicked.max(1).mean()),
        three_clicks=float(np.concatenate([scores.corrected for scores in found]).mean()),
        images=len(found),
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


def _score_image(predictor: SAMPredictor, masks: list[np.ndarray]) -> ImageScores:
    frame = frame_for_model(predictor.model, predictor.original_size)
    boxes = np.stack([mask_to_box(mask) for mask in masks])
    # The centre of the deepest pixel lies half a pixel further in continuous coordinates, but
    # clicks are whole pixels: the model itself shifts them to the centre.
    points = np.array([[deepest_point(mask)] for mask in masks], np.float32)
    labels = np.ones(points.shape[:2], np.int32)
    # A box and a click are two tokens each: together they take one pass, and one program.
    nothing = [None] * len(masks)
    low_res_logits, iou_predictions = predictor.predict_low_res(
        [*nothing, *points],
        [*nothing, *labels],
        [*boxes, *nothing],
        multimask_output=None,
    )
    by_box, by_click = np.split(low_res_logits, 2)
    ratings = iou_predictions[len(masks) :, 1:]
    return ImageScores(
        box=np.array(
            [_iou(frame, by_box[i, :1], mask, boxes[i])[0] for i, mask in enumerate(masks)]
        ),
        clicked=np.stack([_iou(frame, by_click[i, 1:], mask) for i, mask in enumerate(masks)]),
        ratings=ratings,
        corrected=_correct(
            predictor,
            masks,
            points,
            by_click[np.arange(len(masks)), 1 + ratings.argmax(1)],
        ),
    )


def _correct(
    predictor: SAMPredictor, masks: list[np.ndarray], points: np.ndarray, logits: np.ndarray
) -> np.ndarray:
    """IoU `(P,)` after further clicks, from the points `(P, 1, 2)` and logits of the first."""
    frame = frame_for_model(predictor.model, predictor.original_size)
    labels = np.ones(points.shape[:2], np.int32)
    for _ in range(CORRECTIONS):
        clicks = [
            error_click(frame.to_original_masks(one[None])[0], mask)
            for one, mask in zip(logits, masks, strict=True)
        ]
        points = np.concatenate([points, [[click[:2]] for click in clicks]], axis=1)
        labels = np.concatenate([labels, [[click[2]] for click in clicks]], axis=1)
        logits = predictor.predict_low_res(points, labels, None, logits, multimask_output=False)[0]
        logits = logits[:, 0]
    return np.array(
        [_iou(frame, one[None], mask)[0] for one, mask in zip(logits, masks, strict=True)]
    )


def error_click(found: np.ndarray, mask: np.ndarray) -> tuple[int, int, int]:
    """The next click of a person: deepest in what is wrong, or in the mask if nothing is.

    Args:
        found: the mask so far `(H, W)`.
        mask: the true one.

    Returns:
        x, y, and the label: 1 if the mask is to be there, else 0.
    """
    wrong = found ^ mask
    x, y = deepest_point(wrong if wrong.any() else mask)
    return x, y, int(mask[y, x])


def _iou(
    frame: ModelFrame, low_res_logits: np.ndarray, mask: np.ndarray, box: np.ndarray | None = None
) -> np.ndarray:
    """IoU `(M,)` of predicted logits `(M, L, L)`, of a box or not, with one mask `(H, W)`."""
    boxes = None if box is None else np.repeat(box[None], len(low_res_logits), axis=0)
    found = frame.to_original_masks(low_res_logits, boxes=boxes)
    intersection = np.count_nonzero(found & mask, axis=(1, 2))
    return intersection / np.count_nonzero(found | mask, axis=(1, 2))
