"""`click_ious` and `summarize_clicks`: the number-of-clicks protocol (NoC)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_sam.evaluate.simulate_clicks import largest_error_click
from keras_sam.masks.measures import mask_area
from keras_sam.predict.predictor import Predictor

MAX_CLICKS = 20
IOU_THRESHOLDS = (0.80, 0.85, 0.90, 0.95)
NUM_MEANS = 5  # mean IoU is reported after 1 to 5 clicks


@dataclass(frozen=True)
class ClicksToIoU:
    """Number of clicks until masks have an IoU.

    Attributes:
        iou: IoU to reach, in [0, 1].
        noc: Mean number of clicks, known as NoC. A mask that is not reached counts as the
            maximum number of clicks.
        nof: Number of masks that are not reached, known as NoF.
    """

    iou: float
    noc: float
    nof: int


@dataclass(frozen=True)
class ClickScores:
    """Results of the number-of-clicks protocol.

    Attributes:
        mean_iou: Mean IoU after 1, 2, 3, 4 and 5 clicks.
        thresholds: Number of clicks for the IoU 0.80, 0.85, 0.90 and 0.95.
        max_clicks: Maximum number of clicks per mask.
    """

    mean_iou: tuple[float, ...]
    thresholds: tuple[ClicksToIoU, ...]
    max_clicks: int


def click_ious(
    predictor: Predictor, targets: Sequence[np.ndarray], *, max_clicks: int = MAX_CLICKS
) -> np.ndarray:
    """Click in the largest errors of masks, and compute the IoU after each click.

    The first click is in the target's center, and the mask of the highest predicted IoU among
    three is taken. Later clicks use the single mask, with the previous low-res logits as mask
    input. All targets are clicked together. A target is finished after five clicks at the
    earliest, when its IoU is at least 0.95, or when there is no wrong pixel left to click.

    Args:
        predictor: Predictor with an image.
        targets: P target masks `(H, W)` of the image, bool and not empty.
        max_clicks: Maximum number of clicks per mask.

    Returns:
        IoU `(P, max_clicks)`, float64, in [0, 1]. A finished target keeps its last IoU.

    Raises:
        ValueError: If `max_clicks` is below 1, or there are no targets.
    """
    if max_clicks < 1:
        raise ValueError(f"max_clicks must be 1 or more, got {max_clicks}")
    if not len(targets):
        raise ValueError("expected at least one target, got none")
    ious = np.zeros((len(targets), max_clicks))
    areas = [np.count_nonzero(target) for target in targets]
    masks: list[np.ndarray] = [np.zeros_like(target) for target in targets]
    points: list[list[tuple[int, int]]] = [[] for _ in targets]
    labels: list[list[int]] = [[] for _ in targets]
    active, logits = list(range(len(targets))), None
    for click in range(max_clicks):
        # Choose the next click of each target.
        positions = []  # of the targets with a click, among the active ones
        for position, index in enumerate(active):
            chosen = largest_error_click(masks[index], targets[index], np.array(points[index]))
            if chosen is None:
                continue
            positions.append(position)
            points[index].append(chosen[:2])
            labels[index].append(chosen[2])
        active = [active[position] for position in positions]
        if not active:
            break
        # Predict all masks together.
        predicted, iou_predictions, low_res_logits = predictor.predict_many(
            np.array([points[index] for index in active], np.float32),
            np.array([labels[index] for index in active], np.int32),
            None,
            None if logits is None else logits[positions],
            multimask_output=click == 0,
        )
        rows, best = np.arange(len(active)), iou_predictions.argmax(1)
        predicted, logits = predicted[rows, best], low_res_logits[rows, best]
        # Compute the IoU, and finish targets.
        unfinished = []
        for position, (index, mask) in enumerate(zip(active, predicted, strict=True)):
            intersection = np.count_nonzero(mask & targets[index])
            iou = intersection / (areas[index] + int(mask_area(mask)) - intersection)
            masks[index], ious[index, click:] = mask, iou
            if iou < max(IOU_THRESHOLDS) or click + 1 < NUM_MEANS:
                unfinished.append(position)
        active, logits = [active[position] for position in unfinished], logits[unfinished]
    return ious


def number_of_clicks(ious: np.ndarray, threshold: float) -> np.ndarray:
    """Return the number of clicks after which the IoU first reaches a threshold.

    Args:
        ious: IoU `(P, N)` after each of N clicks.
        threshold: IoU to reach, in [0, 1].

    Returns:
        Number of clicks `(P,)`, at least 1. 0 for masks that do not reach the threshold.
    """
    is_reached = np.asarray(ious) >= threshold
    return np.where(is_reached.any(axis=1), is_reached.argmax(axis=1) + 1, 0)


def summarize_clicks(ious: np.ndarray) -> ClickScores:
    """Compute the published figures of the protocol.

    Args:
        ious: IoU `(P, N)` after each of N clicks.

    Raises:
        ValueError: If there are no masks or no clicks.
    """
    ious = np.asarray(ious)
    if ious.ndim != 2 or 0 in ious.shape:
        raise ValueError(f"ious must have shape (P, N), neither of them 0, got {ious.shape}")
    max_clicks = ious.shape[1]
    thresholds = []
    for threshold in IOU_THRESHOLDS:
        clicks = number_of_clicks(ious, threshold)
        noc = float(np.where(clicks == 0, max_clicks, clicks).mean())
        thresholds.append(ClicksToIoU(threshold, noc, int(np.count_nonzero(clicks == 0))))
    means = tuple(float(mean) for mean in ious[:, :NUM_MEANS].mean(axis=0))
    return ClickScores(means, tuple(thresholds), max_clicks)
