"""`merge_crop_predictions`: of the masks that windows show of one prompt, the few to give."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from keras_sam.predict.crop_prediction import Look
from keras_sam.predict.select_diverse_masks import (
    likelihood,
    rescore_by_agreement,
    select_diverse_masks,
)
from keras_sam.predict.tiles import Box
from keras_sam.transforms.logits import logit

CLOSENESS_COST = 0.015  # for each halving; ratings are not surer than that


def merge_crop_predictions(
    looks: Sequence[Look], count: int, original_size: tuple[int, int]
) -> tuple[list[tuple[Look, int]], np.ndarray]:
    """Of the masks of some looks those that best cover what the prompt may mean.

    Of a single look they are the ones rated best. Of several, a mask that ends at its
    window's edge goes on outside, and an empty one is none: they are taken only where there are
    not enough others. Of a rating, `CLOSENESS_COST` is taken off for each halving. The first mask
    is what all of them make of the one rated best (`_consensus`), the others cover what it does
    not.

    Args:
        looks: of one prompt.
        count: how many masks.
        original_size: `(height, width)` of the image.

    Returns:
        `count` looks with the number of a mask, and their ratings `(count,)`, of several looks by
        `rescore_by_agreement`. The first is the highest.
    """
    if len(looks) == 1:
        return _best_rated(looks[0], count)
    found = [(look, number) for look in looks for number in range(len(look.iou_predictions))]
    masks = [look.mask(number) for look, number in found]
    windows = [look.window for look, _ in found]
    ratings = np.concatenate(
        [look.iou_predictions - CLOSENESS_COST * look.halvings(original_size) for look in looks]
    )
    is_whole = np.array(
        [
            bool(mask.any()) and not _is_cut(mask, window, original_size)
            for mask, window in zip(masks, windows, strict=True)
        ]
    )
    # Choose among whole masks.
    whole, order = np.flatnonzero(is_whole), np.argsort(-ratings)
    rest = order[~is_whole[order]]
    if not len(whole):
        return [found[index] for index in rest[:count]], ratings[rest[:count]]
    chosen, new_ratings = _choose_whole(
        [found[index] for index in whole],
        [masks[index] for index in whole],
        ratings[whole],
        min(count, len(whole)),
    )
    # Fill up.
    rest = rest[: count - len(chosen)]
    lowest = np.minimum(ratings[rest], new_ratings.min())
    return [*chosen, *(found[index] for index in rest)], np.concatenate([new_ratings, lowest])


def _choose_whole(
    found: Sequence[tuple[Look, int]],
    masks: Sequence[np.ndarray],
    ratings: np.ndarray,
    count: int,
) -> tuple[list[tuple[Look, int]], np.ndarray]:
    """`merge_crop_predictions` where no mask is cut or empty."""
    windows = [look.window for look, _ in found]
    iou = _iou(masks, windows)
    new_ratings = rescore_by_agreement(iou, ratings).astype(np.float32)
    first = int(new_ratings.argmax())
    agreed = _consensus(found[first], found, likelihood(ratings) * iou[first])
    look, number = agreed
    covered = _iou_with(look.mask(number), look.window, masks, windows)
    chosen = select_diverse_masks(iou, ratings, count, first=first, covered=covered)
    return [agreed, *(found[index] for index in chosen[1:])], new_ratings[chosen]


def _consensus(
    best: tuple[Look, int], found: Sequence[tuple[Look, int]], weights: np.ndarray
) -> tuple[Look, int]:
    """The mean of masks, each where its window shows it, as a mask of the best one's look.

    A mask weighs the more the likelier it is what is meant, and the more it is like the best one;
    so what several windows show of one thing evens out where each of them errs.
    """
    look, number = best
    total, share = np.zeros((2, *look.low_res_logits.shape[1:]))
    for (other, its_number), weight in zip(found, weights, strict=True):
        probabilities, is_seen = other.resample_to(its_number, look)
        total += weight * probabilities * is_seen
        share += weight * is_seen
    # What pads the window is seen by none.
    own = look.low_res_logits[number]
    logits = np.where(share > 0, logit(total / np.where(share > 0, share, 1)), own)
    agreed = replace(
        look,
        low_res_logits=logits[None].astype(np.float32),
        iou_predictions=look.iou_predictions[number : number + 1],
    )
    return (agreed, 0) if agreed.mask(0).any() else best


def _best_rated(look: Look, count: int) -> tuple[list[tuple[Look, int]], np.ndarray]:
    """The masks of a look that are rated best, best first, and their ratings."""
    best = np.argsort(-look.iou_predictions, kind="stable")[:count]
    return [(look, int(number)) for number in best], look.iou_predictions[best]


def _is_cut(mask: np.ndarray, window: Box, original_size: tuple[int, int]) -> bool:
    (height, width), (x0, y0, x1, y1) = original_size, window
    return bool(
        (y0 > 0 and mask[0].any())
        or (y1 < height and mask[-1].any())
        or (x0 > 0 and mask[:, 0].any())
        or (x1 < width and mask[:, -1].any())
    )


def _iou(masks: Sequence[np.ndarray], windows: Sequence[Box]) -> np.ndarray:
    """IoU `(N, N)` of every two masks, each `(h, w)` at the pixels of its window."""
    iou = np.eye(len(masks))
    for one in range(1, len(masks)):
        iou[one, :one] = _iou_with(masks[one], windows[one], masks[:one], windows[:one])
    return np.maximum(iou, iou.T)


def _iou_with(
    mask: np.ndarray, window: Box, others: Sequence[np.ndarray], windows: Sequence[Box]
) -> np.ndarray:
    """IoU `(N,)` of one mask with others."""
    areas = [np.count_nonzero(other) for other in others]
    shared = [
        _shared(mask, window, other, its_window)
        for other, its_window in zip(others, windows, strict=True)
    ]
    return np.array(shared) / (np.count_nonzero(mask) + np.array(areas) - shared)


def _shared(one: np.ndarray, window: Box, other: np.ndarray, other_window: Box) -> int:
    """Pixels that are in both masks."""
    left, top = np.maximum(window[:2], other_window[:2])
    right, bottom = np.minimum(window[2:], other_window[2:])
    if left >= right or top >= bottom:
        return 0
    parts = [
        mask[top - y0 : bottom - y0, left - x0 : right - x0]
        for mask, (x0, y0, _, _) in ((one, window), (other, other_window))
    ]
    return int(np.count_nonzero(parts[0] & parts[1]))
