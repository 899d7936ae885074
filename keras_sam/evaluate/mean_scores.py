"""`mean_scores`: mean IoU of masks, over all, by category and by size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_sam.evaluate.score_masks import MaskScore

# Names of COCO for areas below each limit, in pixels of the original.
SIZE_LIMITS = (("small", 32.0**2), ("medium", 96.0**2), ("large", float("inf")))


@dataclass(frozen=True)
class MeanScores:
    """Mean of some masks' scores. See `MaskScore`.

    Attributes:
        masks: Number of masks.
        box_iou: Mean IoU for boxes.
        point_iou: Mean IoU for points.
        point_oracle_iou: Mean IoU for points, with the best of three masks.
        three_point_iou: Mean IoU for points and two corrections.
        jittered_point_iou: Mean IoU for random points. `None` if not measured.
        box_boundary_iou: Mean boundary IoU for boxes.
        point_boundary_iou: Mean boundary IoU for points.
        three_point_boundary_iou: Mean boundary IoU for points and two corrections.
    """

    masks: int
    box_iou: float
    point_iou: float
    point_oracle_iou: float
    three_point_iou: float
    jittered_point_iou: float | None
    box_boundary_iou: float
    point_boundary_iou: float
    three_point_boundary_iou: float


def mean_scores(scores: Sequence[MaskScore]) -> MeanScores:
    """Average the scores of masks.

    Raises:
        ValueError: If there are no scores.
    """
    if not scores:
        raise ValueError("expected the scores of at least one mask, got none")

    def mean(name: str) -> float:
        return float(np.mean([getattr(score, name) for score in scores]))

    is_jittered = all(score.jittered_point_iou is not None for score in scores)
    return MeanScores(
        masks=len(scores),
        box_iou=mean("box_iou"),
        point_iou=mean("point_iou"),
        point_oracle_iou=mean("point_oracle_iou"),
        three_point_iou=mean("three_point_iou"),
        jittered_point_iou=mean("jittered_point_iou") if is_jittered else None,
        box_boundary_iou=mean("box_boundary_iou"),
        point_boundary_iou=mean("point_boundary_iou"),
        three_point_boundary_iou=mean("three_point_boundary_iou"),
    )


def scores_by_category(scores: Sequence[MaskScore]) -> dict[str, MeanScores]:
    """Average the scores of each category.

    Returns:
        Mean scores by category, in alphabetical order.
    """
    groups = _group(scores, lambda score: score.category)
    return {name: mean_scores(groups[name]) for name in sorted(groups)}


def scores_by_size(scores: Sequence[MaskScore]) -> dict[str, MeanScores]:
    """Average the scores of small, medium and large targets.

    Returns:
        Mean scores by size, in ascending order, without sizes that have no masks.
    """
    groups = _group(scores, lambda score: size_name(score.area))
    return {name: mean_scores(groups[name]) for name, _ in SIZE_LIMITS if name in groups}


def size_name(area: float) -> str:
    """Return COCO's name of a size.

    Args:
        area: Number of pixels in the original.

    Returns:
        "small" below 32 * 32 pixels, "medium" below 96 * 96, else "large".
    """
    return next(name for name, limit in SIZE_LIMITS if area < limit)


def _group(
    scores: Sequence[MaskScore], key: Callable[[MaskScore], str]
) -> dict[str, list[MaskScore]]:
    groups: dict[str, list[MaskScore]] = {}
    for score in scores:
        groups.setdefault(key(score), []).append(score)
    return groups
