"""`MultiScalePredictor`: masks of small things, looked at closer."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.images.read_image import read_image
from keras_sam.layers.prompts import NOT_A_POINT
from keras_sam.masks.measures import mask_to_box
from keras_sam.predict.crop_prediction import Look
from keras_sam.predict.crop_pyramid import crop_pyramid
from keras_sam.predict.merge_crop_predictions import merge_crop_predictions
from keras_sam.predict.predictor import PredictorState, SAMPredictor, count_prompts
from keras_sam.predict.tiles import Box
from keras_sam.transforms.check_prompts import check_box, check_points
from keras_sam.transforms.logits import OUTSIDE


@dataclass(frozen=True)
class _Prompt:
    """One prompt, in pixels of the original."""

    coords: np.ndarray | None
    labels: np.ndarray | None
    box: np.ndarray | None
    logits: np.ndarray | None

    def windows(self, original_size: tuple[int, int]) -> list[Box]:
        """Where to look: at once from near if it is known how large the thing is."""
        boxes = [] if self.box is None else [self.box]
        if self.box is None and self.logits is not None and (mask := self.logits > 0).any():
            boxes.append(mask_to_box(mask))
        is_known = bool(boxes)
        if self.coords is not None:
            points = np.floor(self.coords[self.labels != NOT_A_POINT])
            boxes += [np.concatenate([point, point + 1]) for point in points]
        if not boxes:
            return crop_pyramid((0, 0, *original_size[::-1]), original_size)
        corners = np.stack(boxes)
        box = np.concatenate([corners[:, :2].min(0), corners[:, 2:].max(0)])
        windows = crop_pyramid(box, original_size)
        return windows[-1:] if is_known else windows


class MultiScalePredictor:
    """Predicts a mask from the part of the image around it, enlarged to what the model sees.

    A model sees an image at one size: what is a few pixels there gets a coarse mask or none. Here
    a box, or the mask of an earlier prediction, is looked at through its closest window of
    `crop_pyramid`. Clicks alone leave open how large the thing is: they are looked at through all
    windows around them, and of all masks those are taken that best cover what may be meant
    (`merge_crop_predictions`), the first of them as all windows together show it. The single mask is the
    best rated one of those that are for ambiguous prompts. Prompts and masks are of the whole
    image throughout.

    Windows cost one encoding each and are shared by what lies in them; the last ones are kept, so
    that further clicks on a thing often cost none. To predict again from near is known as zooming
    in (arXiv 2001.10331).

    Args:
        predictor: encodes and predicts; the image that is set there changes.
        windows: how many encoded windows are kept.
    """

    def __init__(self, predictor: SAMPredictor, *, windows: int = 32) -> None:
        if not isinstance(predictor, SAMPredictor):
            raise TypeError(f"predictor must be a SAMPredictor, got {type(predictor).__name__}")
        if windows < 1:
            raise ValueError(f"windows must be 1 or more, got {windows}")
        self.predictor = predictor
        self.windows = windows
        self._pixels: np.ndarray | None = None
        self._encoded: OrderedDict[Box, PredictorState] = OrderedDict()

    def set_image(self, image: np.ndarray | str | Path | Any) -> None:
        """Takes an image; what of it is encoded, the prompts tell.

        Args:
            image: what `read_image` takes: an array `(H, W, 3)` uint8 RGB, a path, a PIL image.

        Raises:
            ValueError: for a picture that cannot be read.
        """
        self._pixels = None
        self._encoded.clear()
        self._pixels = read_image(image)

    @property
    def original_size(self) -> tuple[int, int]:
        """`(height, width)` of the image."""
        height, width = self._require_pixels().shape[:2]
        return height, width

    def predict(
        self,
        point_coords: Any = None,
        point_labels: Any = None,
        box: Any = None,
        mask_input: np.ndarray | None = None,
        *,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Masks of one prompt: points, a box, or both.

        Args:
            point_coords: `(N, 2)` pixels (x, y).
            point_labels: `(N,)`: 1 foreground, 0 background.
            box: `(4,)` XYXY pixels.
            mask_input: logits `(H, W)` of an earlier prediction with `return_logits`.
            multimask_output: three masks, for an ambiguous prompt, or the single one. The one
                rated best comes first.
            return_logits: logits instead of boolean masks; -16 outside of the window.

        Returns:
            masks `(M, H, W)`, and the estimate of their IoU `(M,)`.

        Raises:
            RuntimeError: if no image is set.
            ValueError: for prompts of wrong shapes or outside the image.
        """
        masks, iou_predictions = self.predict_many(
            None if point_coords is None else [point_coords],
            None if point_labels is None else [point_labels],
            None if box is None else [box],
            None if mask_input is None else [mask_input],
            multimask_output=multimask_output,
            return_logits=return_logits,
        )
        return masks[0], iou_predictions[0]

    def predict_many(
        self,
        point_coords: Sequence[Any] | np.ndarray | None = None,
        point_labels: Sequence[Any] | np.ndarray | None = None,
        boxes: Sequence[Any] | np.ndarray | None = None,
        mask_inputs: Sequence[Any] | np.ndarray | None = None,
        *,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Masks of P prompts of the image.

        Args:
            point_coords: `(P, N, 2)`, or a list of P arrays of any lengths, None where a prompt
                has no points.
            point_labels: `(P, N)`, or a list alike.
            boxes: `(P, 4)`, or a list with None where a prompt has no box.
            mask_inputs: logits `(P, H, W)` of the original.
            multimask_output: as `predict`.
            return_logits: as `predict`.

        Returns:
            `(P, M, H, W)` and `(P, M)`.
        """
        size = self.original_size
        prompts = _check_prompts(point_coords, point_labels, boxes, mask_inputs, size)
        asked: dict[Box, list[int]] = {}
        for index, prompt in enumerate(prompts):
            for window in prompt.windows(size):
                asked.setdefault(window, []).append(index)
        seen: list[list[Look]] = [[] for _ in prompts]
        for window, indices in asked.items():
            looks = self._look(window, [prompts[index] for index in indices])
            for index, look in zip(indices, looks, strict=True):
                seen[index].append(look)
        decoder = self.predictor.model.backbone.mask_decoder
        count = decoder.num_multimask_outputs if multimask_output else 1
        nothing, dtype = (OUTSIDE, np.float32) if return_logits else (False, bool)
        masks = np.full((len(prompts), count, *size), nothing, dtype)
        iou_predictions = np.empty((len(prompts), count), np.float32)
        for index, looks in enumerate(seen):
            chosen, iou_predictions[index] = merge_crop_predictions(looks, count, size)
            for place, (look, number) in zip(masks[index], chosen, strict=True):
                x0, y0, x1, y1 = look.window
                place[y0:y1, x0:x1] = look.logits(number) if return_logits else look.mask(number)
        return masks, iou_predictions

    def _look(self, window: Box, prompts: list[_Prompt]) -> list[Look]:
        """What a window shows of prompts."""
        self._set_window(window)
        x0, y0, x1, y1 = window
        corner = np.array([x0, y0], np.float32)
        boxes = [None if one.box is None else one.box - np.tile(corner, 2) for one in prompts]
        frame, mask_inputs = self.predictor.frame, None
        if prompts[0].logits is not None:  # all have one, or none has
            parts = [one.logits[y0:y1, x0:x1] for one in prompts if one.logits is not None]
            low_res_size = self.predictor.model.backbone.low_res_size
            mask_inputs = frame.to_low_res_logits(np.stack(parts), low_res_size)
        logits, iou_predictions = self.predictor.predict_low_res(
            [None if one.coords is None else one.coords - corner for one in prompts],
            [one.labels for one in prompts],
            boxes,
            mask_inputs,
        )
        return [
            Look(window, frame, *found)
            for found in zip(logits, iou_predictions, boxes, strict=True)
        ]

    def _set_window(self, window: Box) -> None:
        if window in self._encoded:
            self._encoded.move_to_end(window)
            self.predictor.set_image(self._encoded[window])
            return
        x0, y0, x1, y1 = window
        self.predictor.set_image(np.ascontiguousarray(self._require_pixels()[y0:y1, x0:x1]))
        self._encoded[window] = self.predictor.encoded_image
        if len(self._encoded) > self.windows:
            self._encoded.popitem(last=False)

    def _require_pixels(self) -> np.ndarray:
        if self._pixels is None:
            raise RuntimeError("no image is set; call set_image first")
        return self._pixels


def _check_prompts(
    point_coords: Any, point_labels: Any, boxes: Any, mask_inputs: Any, size: tuple[int, int]
) -> list[_Prompt]:
    given = {
        "point_coords": point_coords,
        "point_labels": point_labels,
        "boxes": boxes,
        "mask_inputs": mask_inputs,
    }
    count = count_prompts(given)
    if mask_inputs is not None and any(logits is None for logits in mask_inputs):
        raise ValueError("mask_inputs must hold logits for every prompt, got None for some")
    columns: list[Any] = [[None] * count if part is None else part for part in given.values()]
    return [_check_prompt(size, *parts) for parts in zip(*columns, strict=True)]


def _check_prompt(
    size: tuple[int, int], coords: Any, labels: Any, box: Any, logits: Any
) -> _Prompt:
    if coords is not None or labels is not None:
        coords, labels = check_points(coords, labels, size)
    if box is not None:
        box = check_box(box, size)
    if logits is not None:
        logits = np.asarray(logits, np.float32)
        if logits.shape != size or not np.isfinite(logits).all():
            raise ValueError(
                f"a mask input holds finite logits of the image, {size}, got {logits.shape}"
            )
    return _Prompt(coords, labels, box, logits)
