"""`BatchDecoder`: of the masks of many prompts of an image, those that are good enough."""

import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from keras_sam.predict.predictor import MASK_THRESHOLD, SAMPredictor
from keras_sam.transforms.mask_postprocessor import LowResMaskCrop, MaskPostprocessor

# Each prompt has its own copy of the image tokens, and about six arrays of that size live at once.
COPIES = 6
# What the upscaled images of the prompts that are drawn at once may take there.
DRAWING_BYTES = 2**23
UPSCALED = 16 / 8  # pixels of an image token, and its width over theirs

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Candidate:
    """A mask that passed the thresholds.

    Attributes:
        part: what draws it.
        predicted_iou: the estimate of its IoU.
        point: `(x, y)` of its prompt in pixels of the image.
    """

    part: LowResMaskCrop
    predicted_iou: float
    point: tuple[float, float]


class BatchDecoder:
    """Prompts the image that a predictor holds, and keeps what passes.

    A prompt is rated before its masks are drawn; those that do not pass are never drawn. A mask
    whose outline is moved is rated again where the model's preprocessing says so. Only the part
    of the logits that draws a mask is kept of it.

    Args:
        predictor: with an image set.
        points_per_batch: so many prompts are decoded together; fewer on a CPU where they would
            take too much memory.
        pred_iou_thresh: masks rated higher pass; 0 lets all pass.
        stability_score_thresh: masks at least as stable pass; 0 lets all pass.
        stability_score_offset: of the thresholds that the stability score compares.
    """

    def __init__(
        self,
        predictor: SAMPredictor,
        *,
        points_per_batch: int,
        pred_iou_thresh: float,
        stability_score_thresh: float,
        stability_score_offset: float,
    ) -> None:
        self.predictor = predictor
        self.pred_iou_thresh = pred_iou_thresh
        self.stability_score_thresh = stability_score_thresh
        self.batch_size = points_per_batch
        # Masks are drawn by a program for few prompts, or by one for many.
        self.few, self.many = -(-points_per_batch // 4), points_per_batch
        if predictor.engine.is_on_cpu:
            fitting = _prompts_that_fit(predictor, predictor.engine.decoder_bytes / COPIES)
            self.batch_size = min(points_per_batch, fitting)
            fitting = _prompts_that_fit(predictor, DRAWING_BYTES / UPSCALED)
            self.few = self.many = min(self.batch_size, fitting)
        self.masks = MaskPostprocessor(
            predictor.frame,
            predictor.model.backbone.low_res_size,
            threshold=MASK_THRESHOLD,
            offset=stability_score_offset,
        )

    def find(
        self,
        points: np.ndarray,
        prompts: np.ndarray,
        labels: np.ndarray,
        windows: Sequence[Window | None] | None = None,
    ) -> Iterator[tuple[list[Candidate], np.ndarray]]:
        """Yields the candidates of each batch of prompts, and each prompt's best rating `(P,)`.

        Args:
            points: `(P, 2)` (x, y) of the image, to be told of the masks.
            prompts: `(P, N, 2)` points of the model frame.
            labels: `(P, N)`.
            windows: of each prompt the rows and columns that its masks may lie in, if limited.
        """
        windows = [None] * len(points) if windows is None else windows
        with ThreadPoolExecutor(_computing_threads()) as pool:
            for start in range(0, len(points), self.batch_size):
                batch = slice(start, start + self.batch_size)
                yield self._find(points[batch], prompts[batch], labels[batch], windows[batch], pool)

    def _find(
        self,
        points: np.ndarray,
        prompts: np.ndarray,
        labels: np.ndarray,
        windows: Sequence[Window | None],
        pool: ThreadPoolExecutor,
    ) -> tuple[list[Candidate], np.ndarray]:
        count = len(points)
        missing = self.batch_size - count  # repeated, so that one program does for all batches
        prompts = np.concatenate([prompts, prompts[:1].repeat(missing, axis=0)])
        labels = np.concatenate([labels, labels[:1].repeat(missing, axis=0)])
        engine, features = self.predictor.engine, self.predictor.decoder_cache
        ratings, attended = engine.rate(features, prompts[None], labels[None])
        ratings = ratings[:count]
        is_wanted = self._is_good(ratings)
        chosen = np.flatnonzero(is_wanted.any(axis=1))
        if not len(chosen):
            return [], ratings.max(axis=1)
        logits = self._draw(attended, chosen)
        guide = self.predictor.encoded_image.guide
        rows, masks = np.nonzero(is_wanted[chosen])
        places = list(zip(rows.tolist(), masks.tolist(), strict=True))

        def measure(place: tuple[int, int]) -> tuple[LowResMaskCrop, float]:
            within = windows[chosen[place[0]]]
            rating = float(ratings[chosen[place[0]], place[1]])
            part = self.masks.measure(logits[place], within=within)
            if guide is None or not self._is_stable(part):
                return part, rating
            outlined = guide.refined(logits[place], within=within)
            moved = self.masks.measure(outlined.low_res_logits, within=within)
            rating = self.predictor.frame.preprocessing.rating(rating, outlined.support)
            return replace(moved, stability_score=part.stability_score), rating

        # The pool computes in parallel. Threads of NumPy's library would wait for more work in a
        # loop afterwards, and take a processor from the engine for 50 ms.
        with _numpy_threads().limit(limits=1, user_api="blas"):
            parts = list(pool.map(measure, places))
        found = []
        for (row, _), (part, rating) in zip(places, parts, strict=True):
            if self._is_stable(part) and self._is_good(rating):
                x, y = points[chosen[row]]
                found.append(Candidate(part, rating, (float(x), float(y))))
        return found, ratings.max(axis=1)

    def _draw(self, attended: tuple[Any, Any], chosen: np.ndarray) -> np.ndarray:
        """Logits `(K, M, L, L)` of the chosen prompts `(K,)`, and of some again at the end."""
        engine, features = self.predictor.engine, self.predictor.decoder_cache
        size = self.few if len(chosen) <= self.few else self.many
        padded = np.concatenate([chosen, chosen[:1].repeat(-len(chosen) % size)]).astype(np.int32)
        parts = [
            engine.draw(features, attended, padded[start : start + size])
            for start in range(0, len(padded), size)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _is_good(self, rating: Any) -> Any:
        return (rating > self.pred_iou_thresh) | (self.pred_iou_thresh <= 0)

    def _is_stable(self, part: LowResMaskCrop) -> bool:
        limit = self.stability_score_thresh
        return limit <= 0 or part.stability_score >= limit


def _prompts_that_fit(predictor: SAMPredictor, most_bytes: float) -> int:
    """How many prompts' image tokens take so much memory; 1 at least."""
    backbone = predictor.model.backbone
    height, width = backbone.embedding_size
    return max(1, int(most_bytes / (4 * height * width * backbone.mask_decoder.hidden_size)))


@functools.cache
def _numpy_threads() -> ThreadpoolController:
    return ThreadpoolController()


def _computing_threads() -> int | None:
    """How many threads this process was given to compute with; None if nobody said."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else None
