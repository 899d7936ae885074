"""`MultiScalePredictor`: predicts masks of small objects in crops around the prompt."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_sam.images.read_image import read_image
from keras_sam.point_labels import NOT_A_POINT
from keras_sam.predict.crop_mask import CropMask, build_crop_mask, select_crop_masks
from keras_sam.predict.crop_pyramid import crop_pyramid
from keras_sam.predict.predictor import (
    MASK_THRESHOLD,
    Predictor,
    check_image_format,
    check_mask_inputs,
    count_prompts,
)
from keras_sam.predict.resample_logits import resample_logits
from keras_sam.predict.sam_predictor import PredictorState, SAMPredictor
from keras_sam.transforms.check_prompts import check_box, check_points
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.logits import BACKGROUND_LOGIT
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor
from keras_sam.types import Box, Size


@dataclass(frozen=True)
class CheckedPrompt:
    """One prompt in the original.

    Attributes:
        coords: Points `(N, 2)`, or `None`.
        labels: Labels `(N,)`, or `None`.
        box: Box `(4,)` XYXY, or `None`.
        mask: Low-res logits `(L, L)` of the whole image, or `None`.
    """

    coords: np.ndarray | None
    labels: np.ndarray | None
    box: np.ndarray | None
    mask: np.ndarray | None


class MultiScalePredictor(Predictor):
    """Predicts masks in crops that are enlarged to the model's image size.

    SAM resizes every image to one size, so small objects get coarse masks or none. A box, or the
    mask of an earlier prediction, gives the object's size; the mask is predicted in one crop of
    `crop_pyramid` around it. With points only, the mask is predicted in all crops around them,
    and the best masks are selected (`select_crop_masks`).

    Each crop costs one encoder pass. Encoded crops are cached, and nearby objects share them.
    Prompts and results are those of `SAMPredictor` and refer to the whole image. Predicting
    again in a crop is known as zooming in (arXiv 2001.10331).

    Args:
        predictor: Predictor of the crops. Its image changes.
        max_cached_crops: Maximum number of encoded crops in memory.

    Raises:
        TypeError: If the predictor is not a `SAMPredictor`.
        ValueError: If `max_cached_crops` is below 1.
    """

    def __init__(self, predictor: SAMPredictor, *, max_cached_crops: int = 32) -> None:
        if not isinstance(predictor, SAMPredictor):
            raise TypeError(f"predictor must be a SAMPredictor, got {type(predictor).__name__}")
        if max_cached_crops < 1:
            raise ValueError(f"max_cached_crops must be 1 or more, got {max_cached_crops}")
        self.predictor = predictor
        self.max_cached_crops = max_cached_crops
        self._pixels: np.ndarray | None = None
        self._states: OrderedDict[Box, PredictorState] = OrderedDict()

    def set_image(self, image: Any, image_format: str = "RGB") -> None:
        """Set the image to prompt; see `Predictor.set_image`. Nothing is encoded yet."""
        check_image_format(image_format)
        self.reset_image()
        pixels = read_image(image)
        if isinstance(image, np.ndarray):  # a copy: crops are encoded later
            pixels = np.array(pixels[..., ::-1] if image_format == "BGR" else pixels)
        self._pixels = pixels

    def reset_image(self) -> None:
        """Forget the image and its encoded crops."""
        self._pixels = None
        self._states.clear()
        self.predictor.reset_image()

    @property
    def is_image_set(self) -> bool:
        """True if there is an image to prompt."""
        return self._pixels is not None

    @property
    def original_size(self) -> Size:
        """`(height, width)` of the image."""
        height, width = self._require_pixels().shape[:2]
        return height, width

    def predict_many(
        self,
        point_coords: Sequence[Any] | np.ndarray | None = None,
        point_labels: Sequence[Any] | np.ndarray | None = None,
        boxes: Sequence[Any] | np.ndarray | None = None,
        mask_inputs: np.ndarray | None = None,
        *,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predict the masks of P prompts; see `Predictor.predict_many`.

        If a prompt needs several crops, its masks are ordered by selection, and the first has
        the highest IoU prediction. These IoU predictions are reduced by `ZOOM_PENALTY` per
        halving of the crop's side.
        """
        prompts = self._check_prompts(point_coords, point_labels, boxes, mask_inputs)
        size = self.original_size
        indices_of_crop: dict[Box, list[int]] = {}
        for index, prompt in enumerate(prompts):
            for crop in self._crops(prompt):
                indices_of_crop.setdefault(crop, []).append(index)
        masks_of_crops: list[list[list[CropMask]]] = [[] for _ in prompts]
        for crop, indices in indices_of_crop.items():
            crop_prompts = [prompts[index] for index in indices]
            predicted = self._predict_crop(crop, crop_prompts, multimask_output=multimask_output)
            for index, crop_masks in zip(indices, predicted, strict=True):
                masks_of_crops[index].append(crop_masks)
        transform = self.predictor.model.image_transform(size)
        results = [
            _combine(crop_masks, transform, return_logits=return_logits)
            for crop_masks in masks_of_crops
        ]
        masks, iou_predictions, low_res_logits = map(np.stack, zip(*results, strict=True))
        return masks, iou_predictions, low_res_logits

    def _crops(self, prompt: CheckedPrompt) -> list[Box]:
        """Return the crops in which to predict the masks of a prompt."""
        size = self.original_size
        boxes = [] if prompt.box is None else [prompt.box]
        if prompt.box is None and prompt.mask is not None and (prompt.mask > 0).any():
            transform = self.predictor.model.image_transform(size)
            low_res_size = self.predictor.model.backbone.low_res_size
            postprocessor = MaskPostprocessor(transform, low_res_size, threshold=MASK_THRESHOLD)
            mask_box = postprocessor.compute_box_and_stability(prompt.mask).box
            boxes += [np.array(mask_box, np.float32)] if mask_box[2] else []
        is_size_known = bool(boxes)
        if prompt.coords is not None:
            points = np.floor(prompt.coords[prompt.labels != NOT_A_POINT])
            boxes += [np.concatenate([point, point + 1]) for point in points]
        if not boxes:
            return [(0, 0, size[1], size[0])]
        corners = np.stack(boxes)
        box = np.concatenate([corners[:, :2].min(0), corners[:, 2:].max(0)])
        crops = crop_pyramid(box, size)
        return crops[-1:] if is_size_known else crops

    def _predict_crop(
        self, crop: Box, prompts: list[CheckedPrompt], *, multimask_output: bool
    ) -> list[list[CropMask]]:
        """Predict the masks of each prompt in a crop."""
        self._set_crop(crop)
        corner = np.array(crop[:2], np.float32)
        transform, size = self.predictor.transform, self.original_size
        mask_inputs = None
        if prompts[0].mask is not None:  # all prompts have one, or none
            masks = np.stack([prompt.mask for prompt in prompts if prompt.mask is not None])
            whole = (0, 0, size[1], size[0]), self.predictor.model.image_transform(size)
            mask_inputs = resample_logits(masks, whole, (crop, transform))
        low_res_logits, iou_predictions = self.predictor.predict_low_res(
            [None if one.coords is None else one.coords - corner for one in prompts],
            [one.labels for one in prompts],
            [None if one.box is None else one.box - np.tile(corner, 2) for one in prompts],
            mask_inputs,
            multimask_output=multimask_output,
        )
        return [
            [
                build_crop_mask(crop, transform, logits, float(predicted_iou), size)
                for logits, predicted_iou in zip(*predictions, strict=True)
            ]
            for predictions in zip(low_res_logits, iou_predictions, strict=True)
        ]

    def _set_crop(self, crop: Box) -> None:
        """Set the predictor's image to a crop, encoded now or before."""
        if crop in self._states:
            self._states.move_to_end(crop)
            self.predictor.set_image(self._states[crop])
            return
        x0, y0, x1, y1 = crop
        self.predictor.set_image(np.ascontiguousarray(self._require_pixels()[y0:y1, x0:x1]))
        self._states[crop] = self.predictor.state
        if len(self._states) > self.max_cached_crops:
            self._states.popitem(last=False)

    def _require_pixels(self) -> np.ndarray:
        if self._pixels is None:
            raise RuntimeError("no image is set; call set_image first")
        return self._pixels

    def _check_prompts(
        self, point_coords: Any, point_labels: Any, boxes: Any, mask_inputs: Any
    ) -> list[CheckedPrompt]:
        size = self.original_size
        masks = check_mask_inputs(mask_inputs, self.predictor.model.backbone.low_res_size)
        count = count_prompts(
            point_coords=point_coords, point_labels=point_labels, boxes=boxes, mask_input=masks
        )
        parts = (point_coords, point_labels, boxes, masks)
        columns: list[Any] = [[None] * count if part is None else part for part in parts]
        return [_check_prompt(size, *prompt) for prompt in zip(*columns, strict=True)]


def _check_prompt(size: Size, coords: Any, labels: Any, box: Any, mask: Any) -> CheckedPrompt:
    if coords is not None or labels is not None:
        coords, labels = check_points(coords, labels, size)
    return CheckedPrompt(coords, labels, None if box is None else check_box(box, size), mask)


def _combine(
    masks_of_crops: list[list[CropMask]], transform: ImageTransform, *, return_logits: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the masks `(M, H, W)`, scores `(M,)` and low-res logits `(M, L, L)` of a prompt."""
    size, count = transform.original_size, len(masks_of_crops[0])
    if len(masks_of_crops) == 1:
        (selected,) = masks_of_crops
        scores = np.array([mask.predicted_iou for mask in selected], np.float32)
    else:
        selected, scores = select_crop_masks(
            [mask for masks in masks_of_crops for mask in masks], count
        )
    dtype, background = (np.float32, BACKGROUND_LOGIT) if return_logits else (bool, False)
    masks = np.full((count, *size), background, dtype)
    for target, mask in zip(masks, selected, strict=True):
        (x0, y0, x1, y1), crop_transform = mask.box, mask.transform
        if return_logits:
            target[y0:y1, x0:x1] = crop_transform.postprocess_logits(mask.low_res_logits)
        else:
            target[y0:y1, x0:x1] = crop_transform.postprocess_masks(
                mask.low_res_logits, threshold=MASK_THRESHOLD
            )
    whole = (0, 0, size[1], size[0]), transform
    low_res_logits = np.stack(
        [resample_logits(one.low_res_logits, (one.box, one.transform), whole) for one in selected]
    )
    return masks, scores, low_res_logits
