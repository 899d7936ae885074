"""`evaluate`: mean IoU of a model's masks on labeled images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.annotations.coco import CocoDataset, CocoImage
from keras_sam.annotations.labeled_dataset import LabeledDataset
from keras_sam.evaluate.box_ap import BoxAP, box_ap, require_pycocotools
from keras_sam.evaluate.calibration import CalibrationBin, calibration_bins
from keras_sam.evaluate.mean_scores import (
    MeanScores,
    mean_scores,
    scores_by_category,
    scores_by_size,
)
from keras_sam.evaluate.number_of_clicks import ClickScores, summarize_clicks
from keras_sam.evaluate.score_masks import BoxMask, MaskScore, Target, score_masks
from keras_sam.images.read_image import read_image
from keras_sam.predict.predictor import Predictor

MAX_PROMPTS = 32  # decoded together
MIN_PROMPTS = 8  # below, more calls cost as much as padding
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
        jittered_point_iou: Like `point_iou`, for a random point of the target. `None` if not
            measured.
        box_boundary_iou: Boundary IoU of the masks of `box_iou`.
        point_boundary_iou: Boundary IoU of the masks of `point_iou`.
        three_point_boundary_iou: Boundary IoU of the masks of `three_point_iou`.
        clicks: Results of the number-of-clicks protocol. `None` if not measured.
        box_ap: Average precision of the masks of `box_iou`. `None` if not measured, or if there
            are only crowds.
        by_category: Mean scores by category.
        by_size: Mean scores by COCO's size: small, medium, large.
        scores: Scores of each mask, in the order of the dataset.
    """

    box_iou: float
    point_iou: float
    point_oracle_iou: float
    three_point_iou: float
    images: int
    masks: int
    calibration: tuple[CalibrationBin, ...]
    jittered_point_iou: float | None
    box_boundary_iou: float
    point_boundary_iou: float
    three_point_boundary_iou: float
    clicks: ClickScores | None
    box_ap: BoxAP | None
    by_category: Mapping[str, MeanScores]
    by_size: Mapping[str, MeanScores]
    scores: tuple[MaskScore, ...] = field(repr=False)


def evaluate(
    predictor: Predictor,
    dataset: CocoDataset,
    images_dir: str | Path,
    *,
    max_images: int | None = None,
    max_masks: int | None = None,
    clicks: bool = False,
    jitter_seed: int | None = None,
    with_box_ap: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> Evaluation:
    """Evaluate a predictor on labeled images.

    Args:
        predictor: Predictor of the model, such as a `SAMPredictor`.
        dataset: Annotations, from `read_coco`.
        images_dir: Folder of the images.
        max_images: Maximum number of images.
        max_masks: Maximum number of masks per image.
        clicks: If True, the number-of-clicks protocol runs as well, with up to 20 predictions
            per mask.
        jitter_seed: Seed of `jittered_point_iou`. `None` to skip it.
        with_box_ap: If True, `box_ap` is computed, by pycocotools.
        progress: Function called with the number of images processed and their total.

    Raises:
        FileNotFoundError: If an image is missing.
        ImportError: If `with_box_ap` is True and pycocotools is not installed.
        ValueError: If an image and its annotations have different sizes, or there are no masks.
    """
    if with_box_ap:
        require_pycocotools()
    images = dataset.images[:max_images]
    scores: list[MaskScore] = []
    box_masks: list[BoxMask] = []
    num_images = 0
    for completed, image in enumerate(images, start=1):
        targets = _read_targets(image, max_masks)
        if targets:
            num_images += 1
            predictor.set_image(_read_pixels(image, Path(images_dir)))
            image_scores, image_masks = _score_image(
                predictor,
                targets,
                clicks=clicks,
                jitter_seed=jitter_seed,
                box_masks=with_box_ap,
            )
            scores += image_scores
            box_masks += image_masks
        if progress is not None:
            progress(completed, len(images))
    if not scores:
        raise ValueError("the images have no masks to compare with")
    return _summarize(scores, box_masks, num_images)


def evaluate_dataset(
    predictor: Predictor,
    dataset: LabeledDataset,
    *,
    max_masks: int | None = None,
    clicks: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> Evaluation:
    """Evaluate a predictor on labeled images of any format.

    Args:
        predictor: Predictor of the model, such as a `SAMPredictor`.
        dataset: Images with their masks, from `open_dataset`.
        max_masks: Maximum number of masks per image.
        clicks: If True, the number-of-clicks protocol runs as well, with up to 20 predictions
            per mask.
        progress: Function called with the number of images processed and their total.

    Raises:
        FileNotFoundError: If an image is missing.
        ValueError: If an image and its masks have different sizes, or there are no masks.
    """
    scores: list[MaskScore] = []
    num_images = 0
    for completed, image in enumerate(dataset.images, start=1):
        masks, categories = image.masks(), [label.category for label in image.labels()]
        targets = [
            Target(mask, image.name, index, category)
            for index, (mask, category) in enumerate(zip(masks, categories, strict=True))
            if mask.any()
        ][:max_masks]
        if targets:
            num_images += 1
            predictor.set_image(image.image())
            scores += _score_image(predictor, targets, clicks=clicks)[0]
        if progress is not None:
            progress(completed, len(dataset))
    if not scores:
        raise ValueError("the images have no masks to compare with")
    return _summarize(scores, [], num_images)


def _score_image(
    predictor: Predictor, targets: Sequence[Target], **options: Any
) -> tuple[list[MaskScore], list[BoxMask]]:
    """Score the targets of an image in groups; `options` are those of `score_masks`."""
    scores: dict[int, MaskScore] = {}
    box_masks: list[BoxMask] = []
    for group in _groups(targets):
        group_targets = [targets[index] for index in group]
        group_scores, group_masks = score_masks(predictor, group_targets, **options)
        scores |= zip(group, group_scores, strict=True)
        box_masks += group_masks
    return [scores[index] for index in range(len(targets))], box_masks


def _summarize(
    scores: Sequence[MaskScore], box_masks: Sequence[BoxMask], num_images: int
) -> Evaluation:
    means = mean_scores(scores)
    return Evaluation(
        box_iou=means.box_iou,
        point_iou=means.point_iou,
        point_oracle_iou=means.point_oracle_iou,
        three_point_iou=means.three_point_iou,
        images=num_images,
        masks=means.masks,
        calibration=calibration_bins(
            np.concatenate([score.predicted_iou for score in scores]),
            np.concatenate([score.multimask_iou for score in scores]),
        ),
        jittered_point_iou=means.jittered_point_iou,
        box_boundary_iou=means.box_boundary_iou,
        point_boundary_iou=means.point_boundary_iou,
        three_point_boundary_iou=means.three_point_boundary_iou,
        clicks=_summarize_clicks(scores),
        box_ap=None if all(mask.is_crowd for mask in box_masks) else box_ap(box_masks),
        by_category=scores_by_category(scores),
        by_size=scores_by_size(scores),
        scores=tuple(scores),
    )


def _summarize_clicks(scores: Sequence[MaskScore]) -> ClickScores | None:
    ious = [score.click_iou for score in scores if score.click_iou is not None]
    return summarize_clicks(np.array(ious)) if ious else None


def _read_targets(image: CocoImage, max_masks: int | None) -> list[Target]:
    """Decode the masks of an image that are not empty."""
    targets = [Target.from_annotation(note, image.file_name) for note in image.annotations]
    return [target for target in targets if target.area][:max_masks]


def _read_pixels(image: CocoImage, images_dir: Path) -> np.ndarray:
    pixels = read_image(images_dir / image.file_name)
    if pixels.shape[:2] != image.size:
        raise ValueError(
            f"{image.file_name} has size {pixels.shape[:2]}, but its annotations have {image.size}"
        )
    return pixels


def _groups(targets: Sequence[Target]) -> Iterator[list[int]]:
    """Yield the indices of targets that are prompted together.

    Neighbors are in one group, so that `MultiScalePredictor` encodes few crops for each. The
    numbers are powers of two, to which prompts would be padded.
    """
    order = sorted(range(len(targets)), key=lambda index: _z_order(*targets[index].point))
    limit = max(1, min(MAX_PROMPTS, MAX_MASK_BYTES // (3 * targets[0].mask.size)))
    while order:
        count = min(limit, len(order))
        if count > MIN_PROMPTS:
            count = 1 << (count.bit_length() - 1)
        yield order[:count]
        order = order[count:]


def _z_order(x: int, y: int) -> int:
    """Interleave the bits of a pixel's coordinates. Pixels of similar numbers are neighbors."""
    bits = range(max(x, y).bit_length())
    return sum((x >> bit & 1) << 2 * bit | (y >> bit & 1) << 2 * bit + 1 for bit in bits)
