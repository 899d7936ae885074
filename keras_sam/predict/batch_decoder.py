"""`BatchDecoder`: decodes many prompts of one crop and keeps the masks that pass thresholds."""

import functools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from keras_sam.predict.crops import Crop
from keras_sam.predict.generated_mask import GeneratedMask
from keras_sam.predict.generator_config import GeneratorConfig
from keras_sam.predict.predictor import MASK_THRESHOLD
from keras_sam.predict.sam_predictor import SAMPredictor
from keras_sam.transforms.mask_postprocessor import LowResMaskCrop, MaskPostprocessor
from keras_sam.types import Size

# Each prompt has its own copy of the image tokens, and about six arrays of that size coexist.
TOKEN_COPIES = 6
# Memory budget on a CPU for the upscaled image tokens of masks that are computed together.
UPSCALED_BYTES = 2**23
UPSCALED_RATIO = 16 / 8  # 16 times the pixels of the image tokens, an eighth of their channels


class PromptBatch(NamedTuple):
    """Prompts of one crop.

    Attributes:
        centers: Points `(P, 2)` (x, y) in the original that stand for the prompts.
        points: Points `(P, N, 2)` in the model frame, including box corners.
        labels: Labels `(P, N)`.
        boxes: Boxes `(P, 4)` XYXY in the crop, or `None`.
    """

    centers: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray | None = None

    def select(self, rows: slice) -> "PromptBatch":
        """Return some of the prompts."""
        boxes = None if self.boxes is None else self.boxes[rows]
        return PromptBatch(self.centers[rows], self.points[rows], self.labels[rows], boxes)


class BatchDecoder:
    """Decodes the prompts of the image that is set in a predictor.

    The IoU of a prompt's masks is predicted before the masks. Masks below the threshold are
    never computed. Only the part of the logits that determines a mask's pixels is kept.

    Args:
        predictor: Predictor whose image is the crop.
        config: Options with resolved thresholds.
        crop: Position of the crop in the original.
        original_size: `(height, width)` of the original.
    """

    def __init__(
        self, predictor: SAMPredictor, config: GeneratorConfig, crop: Crop, original_size: Size
    ) -> None:
        self.predictor = predictor
        self.config = config
        self.crop = crop
        self.original_size = original_size
        self.batch_size = config.points_per_batch
        # Masks are computed by one of two programs, for small or for large batches of prompts.
        self._small_batch, self._large_batch = -(-self.batch_size // 4), self.batch_size
        if predictor.engine.is_on_cpu:
            max_prompts = _max_prompts(predictor, predictor.engine.decoder_bytes / TOKEN_COPIES)
            self.batch_size = min(self.batch_size, max_prompts)
            max_prompts = _max_prompts(predictor, UPSCALED_BYTES / UPSCALED_RATIO)
            self._small_batch = self._large_batch = min(self.batch_size, max_prompts)
        self.postprocessor = MaskPostprocessor(
            predictor.transform,
            predictor.model.backbone.low_res_size,
            threshold=MASK_THRESHOLD,
            offset=config.stability_score_offset,
        )

    def decode(self, prompts: PromptBatch) -> Iterator[tuple[list[GeneratedMask], np.ndarray]]:
        """Yield the masks that pass, and each prompt's highest predicted IoU, batch by batch.

        Args:
            prompts: P prompts.

        Yields:
            Masks of a batch of prompts, and the highest predicted IoU `(batch,)` of each prompt.
        """
        with ThreadPoolExecutor(_num_threads()) as pool:
            for start in range(0, len(prompts.centers), self.batch_size):
                yield self._decode_batch(
                    prompts.select(slice(start, start + self.batch_size)), pool
                )

    def _decode_batch(
        self, prompts: PromptBatch, pool: ThreadPoolExecutor
    ) -> tuple[list[GeneratedMask], np.ndarray]:
        # Predict the IoU of all masks.
        count = len(prompts.centers)
        points, labels = (_pad(part, self.batch_size) for part in (prompts.points, prompts.labels))
        engine, cache = self.predictor.engine, self.predictor.state.cache
        predicted_iou, tokens = engine.predict_iou(cache, points[None], labels[None])
        predicted_iou = predicted_iou[:count]
        passes = self._passes_iou(predicted_iou)
        selected = np.flatnonzero(passes.any(axis=1))
        if not len(selected):
            return [], predicted_iou.max(axis=1)
        # Predict the masks of the prompts that have one above the threshold.
        logits = self._predict_masks(tokens, selected)
        rows, mask_indices = np.nonzero(passes[selected])
        jobs = list(zip(rows.tolist(), mask_indices.tolist(), strict=True))

        def postprocess(job: tuple[int, int]) -> tuple[LowResMaskCrop, float]:
            row, mask_index = job
            prompt = selected[row]
            box = None if prompts.boxes is None else prompts.boxes[prompt]
            return self._postprocess(logits[job], float(predicted_iou[prompt, mask_index]), box)

        # The pool computes in parallel. Threads of NumPy's library would spin for 50 ms
        # afterwards and take a core from the engine.
        with _numpy_threads().limit(limits=1, user_api="blas"):
            results = list(pool.map(postprocess, jobs))
        # Keep the masks that pass all thresholds.
        masks = []
        for (row, _), (low_res, mask_iou) in zip(jobs, results, strict=True):
            if self._is_stable(low_res) and self._passes_iou(mask_iou):
                x, y = prompts.centers[selected[row]].tolist()
                masks.append(self._generated_mask(low_res, mask_iou, (x, y)))
        return masks, predicted_iou.max(axis=1)

    def _predict_masks(self, tokens: tuple[Any, Any], selected: np.ndarray) -> np.ndarray:
        """Return logits `(K, M, L, L)` of the selected prompts `(K,)`, followed by padding."""
        engine, cache = self.predictor.engine, self.predictor.state.cache
        size = self._small_batch if len(selected) <= self._small_batch else self._large_batch
        padded = _pad(selected, len(selected) + -len(selected) % size).astype(np.int32)
        parts = [
            engine.predict_masks(cache, tokens, padded[start : start + size])
            for start in range(0, len(padded), size)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _postprocess(
        self, logits: np.ndarray, predicted_iou: float, box: np.ndarray | None
    ) -> tuple[LowResMaskCrop, float]:
        """Refine and measure a mask. The stability score is that of the unrefined mask."""
        low_res = self.postprocessor.compute_box_and_stability(logits)
        refiner = self.predictor.state.refiner
        if refiner is None or not self._is_stable(low_res):
            return low_res, predicted_iou
        refined_logits, refined_iou = refiner.refine(logits, predicted_iou, box)
        refined = self.postprocessor.compute_box_and_stability(refined_logits)
        return replace(refined, stability_score=low_res.stability_score), refined_iou

    def _generated_mask(
        self, low_res: LowResMaskCrop, predicted_iou: float, point: tuple[float, float]
    ) -> GeneratedMask:
        return GeneratedMask(
            crop=self.crop,
            original_size=self.original_size,
            low_res=low_res,
            predicted_iou=predicted_iou,
            point=point,
            postprocessor=self.postprocessor,
        )

    def _passes_iou(self, predicted_iou: Any) -> Any:
        threshold = self.config.pred_iou_thresh or 0
        return (predicted_iou > threshold) | (threshold <= 0)

    def _is_stable(self, low_res: LowResMaskCrop) -> bool:
        threshold = self.config.stability_score_thresh or 0
        return threshold <= 0 or low_res.stability_score >= threshold


def _pad(values: np.ndarray, length: int) -> np.ndarray:
    """Repeat the first entry at the end, so that one program fits all batches."""
    return np.concatenate([values, values[:1].repeat(length - len(values), axis=0)])


def _max_prompts(predictor: SAMPredictor, max_bytes: float) -> int:
    """Return the number of prompts whose image tokens fit; at least 1."""
    backbone = predictor.model.backbone
    height, width = backbone.embedding_size
    return max(1, int(max_bytes / (4 * height * width * backbone.mask_decoder.hidden_size)))


@functools.cache
def _numpy_threads() -> ThreadpoolController:
    return ThreadpoolController()


def _num_threads() -> int | None:
    """Number of threads assigned to this process, or `None` if not limited."""
    value = os.environ.get("OMP_NUM_THREADS", "")
    return int(value) if value.isdecimal() and int(value) else None
