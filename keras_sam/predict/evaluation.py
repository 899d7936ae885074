"""`evaluate`: how well a model's masks fit labelled ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.geometry import CocoDataset, ModelFrame, deepest_point, mask_to_box, read_image
from keras_sam.models import SAMImageSegmenter
from keras_sam.predict.frame_for_model import frame_for_model
from keras_sam.predict.predictor import SAMPredictor


@dataclass(frozen=True)
class Evaluation:
    """Mean IoU over all masks, at original size.

    Attributes:
        box: prompted by the true box, the single mask.
        click: by one click at the deepest point, the mask rated best of three.
        click_best: by the same click, the best of three.
        images: number of images with masks.
        masks: number of masks.
    """

    box: float
    click: float
    click_best: float
    images: int
    masks: int


def evaluate(
    model: SAMImageSegmenter,
    dataset: CocoDataset,
    images_dir: str | Path,
    *,
    limit: int | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> Evaluation:
    """Measures a model on labelled images.

    Args:
        model: the segmenter.
        dataset: of `read_coco`.
        images_dir: the folder of its images.
        limit: only the first images.
        progress: called with the number of images done, and of all.

    Raises:
        FileNotFoundError: if an image is missing.
        ValueError: if an image has another size than its annotations, or there is no mask.
    """
    images = dataset.images[:limit]
    predictor = SAMPredictor(model)
    scores: list[np.ndarray] = []
    seen = 0
    for done, image in enumerate(images, start=1):
        masks = [mask for note in image.annotations if (mask := note.mask()).any()]
        if masks:
            pixels = read_image(Path(images_dir) / image.file_name)
            if pixels.shape[:2] != image.size:
                raise ValueError(
                    f"{image.file_name} has size {pixels.shape[:2]}, its annotations {image.size}"
                )
            predictor.set_image(pixels)
            scores.append(_score_image(predictor, masks))
            seen += 1
        if progress is not None:
            progress(done, len(images))
    if not scores:
        raise ValueError("there is no mask to compare with")
    box, click, click_best = np.concatenate(scores).mean(axis=0)
    return Evaluation(
        box=float(box),
        click=float(click),
        click_best=float(click_best),
        images=seen,
        masks=sum(map(len, scores)),
    )


def _score_image(predictor: SAMPredictor, masks: list[np.ndarray]) -> np.ndarray:
    """IoU `(P, 3)` of each mask: by box, by click, and the best by click."""
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
    scores = np.empty((len(masks), 3))
    for index, mask in enumerate(masks):
        clicked = len(masks) + index
        scores[index, 0] = _iou(frame, low_res_logits[index, :1], mask)[0]
        found = _iou(frame, low_res_logits[clicked, 1:], mask)
        scores[index, 1:] = found[np.argmax(iou_predictions[clicked, 1:])], found.max()
    return scores


def _iou(frame: ModelFrame, low_res_logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """IoU `(M,)` of predicted logits `(M, L, L)` with one mask `(H, W)`."""
    found = frame.to_original_masks(low_res_logits)
    intersection = np.count_nonzero(found & mask, axis=(1, 2))
    return intersection / np.count_nonzero(found | mask, axis=(1, 2))
