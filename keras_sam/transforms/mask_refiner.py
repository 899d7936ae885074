"""`MaskRefiner`: optional refinement of coarse masks after the network."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_sam.transforms.fit_mask_to_box import (
    cells_in_box,
    clip_mask_to_box,
    clip_pixels_to_box,
    expand_mask_to_box,
)
from keras_sam.transforms.guided_filter import GuidedFilterRefiner
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.validate_choices import validate_choices
from keras_sam.types import Size

CHOICES = {
    "boundary_refinement": ("none", "guided_filter"),
    "box_constraint": ("none", "clip", "expand"),
}
GUIDE_PIXELS = "guide_pixels"


@dataclass(frozen=True)
class MaskRefiner:
    """Refinement of the masks of small models, whose boundaries are coarse.

    Large models do not need it. A preset may contain one, which `SAMPredictor` and
    `SAMMaskGenerator` then apply to every mask.

    Attributes:
        boundary_refinement: If "guided_filter", mask boundaries move to nearby edges of the
            image (`GuidedFilterRefiner`).
        box_constraint: If "clip", the masks of a box prompt end at the box. If "expand", they
            also extend to its sides (`expand_mask_to_box`), for boxes that are drawn tightly.
        iou_calibration: Coefficients `(a, b, c)` that replace the predicted IoU of a refined
            mask by `a * predicted IoU + b * foreground confidence + c`, clipped to [0, 1]. They
            belong to a model's weights. `None` keeps the model's prediction.

    Raises:
        ValueError: If an option is not one of the choices, the coefficients are not three
            numbers, or there are coefficients without boundary refinement.
    """

    boundary_refinement: str = "none"
    box_constraint: str = "none"
    iou_calibration: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        validate_choices(self, CHOICES)
        if self.iou_calibration is None:
            return
        if not _are_coefficients(self.iou_calibration):
            raise ValueError(
                f"iou_calibration must be None or three numbers, got {self.iou_calibration!r:.80}"
            )
        if self.boundary_refinement == "none":
            raise ValueError(
                'iou_calibration needs boundary_refinement="guided_filter", got "none"'
            )
        object.__setattr__(self, "iou_calibration", tuple(map(float, self.iou_calibration)))

    def image_arrays(
        self, model_image: np.ndarray, transform: ImageTransform, low_res_size: Size
    ) -> dict[str, np.ndarray]:
        """Return the arrays of an image that refinement needs, to be stored with its embedding.

        Args:
            model_image: Prepared image, from `ImageTransform.apply_image`.
            transform: Transform of the image.
            low_res_size: `(height, width)` of low-res logits; divides the model frame.

        Returns:
            Named arrays; empty if refinement does not depend on the image.
        """
        if self.boundary_refinement == "none":
            return {}
        rows, columns = low_res_size
        sides = transform.image_size[0] // rows, transform.image_size[1] // columns
        cells = model_image.reshape(rows, sides[0], columns, sides[1], 3).mean((1, 3))
        height, width = transform.low_res_input_size(low_res_size)
        pixels = np.clip(cells[:height, :width], 0, 1) * 255 + 0.5
        return {GUIDE_PIXELS: pixels.astype(np.uint8)}

    def for_image(
        self, arrays: dict[str, np.ndarray], transform: ImageTransform, low_res_size: Size
    ) -> "ImageMaskRefiner":
        """Create the refiner of one image's masks.

        Args:
            arrays: Output of `image_arrays` for the image; other arrays are ignored.
            transform: Transform of the image.
            low_res_size: `(height, width)` of low-res logits.

        Raises:
            ValueError: If an array is missing or has another shape than this image needs.
        """
        guide = None
        if self.boundary_refinement == "guided_filter":
            expected = (*transform.low_res_input_size(low_res_size), 3)
            pixels = arrays.get(GUIDE_PIXELS)
            if pixels is None or pixels.shape != expected:
                raise ValueError(
                    f"refining masks needs the array {GUIDE_PIXELS} of shape {expected}, got "
                    f"{None if pixels is None else pixels.shape}"
                )
            guide = GuidedFilterRefiner(pixels)
        return ImageMaskRefiner(self, transform, guide)

    def calibrate(self, predicted_iou: float, foreground_confidence: float | None) -> float:
        """Return the predicted IoU of a refined mask, in [0, 1]."""
        if self.iou_calibration is None or foreground_confidence is None:
            return predicted_iou
        by_model, by_confidence, constant = self.iou_calibration
        calibrated = by_model * predicted_iou + by_confidence * foreground_confidence + constant
        return min(1.0, max(0.0, calibrated))


@dataclass(frozen=True)
class ImageMaskRefiner:
    """A `MaskRefiner` for the masks of one image.

    Attributes:
        settings: Options of the refinement.
        transform: Transform of the image.
        guide: Boundary refinement by the image, or `None`.
    """

    settings: MaskRefiner
    transform: ImageTransform
    guide: GuidedFilterRefiner | None

    def refine(
        self, low_res_logits: np.ndarray, predicted_iou: float, box: np.ndarray | None = None
    ) -> tuple[np.ndarray, float]:
        """Refine one mask.

        Args:
            low_res_logits: Logits `(L, L)`.
            predicted_iou: IoU that the model predicts for the mask.
            box: Box prompt `(4,)` XYXY in the original, or `None`.

        Returns:
            Refined logits `(L, L)` and the predicted IoU of the refined mask.
        """
        constraint = "none" if box is None else self.settings.box_constraint
        if self.guide is not None:
            region = None
            if constraint != "none" and box is not None:
                size = (low_res_logits.shape[0], low_res_logits.shape[1])
                region = cells_in_box(self.transform, size, box)
            refined = self.guide.refine(low_res_logits, region=region)
            low_res_logits = refined.low_res_logits
            predicted_iou = self.settings.calibrate(predicted_iou, refined.foreground_confidence)
        if constraint == "expand" and box is not None:
            low_res_logits = expand_mask_to_box(low_res_logits, self.transform, box)
        if constraint != "none" and box is not None:
            low_res_logits = clip_mask_to_box(low_res_logits, self.transform, box)
        return low_res_logits, predicted_iou

    def clip_pixels(self, pixels: np.ndarray, boxes: Iterable[np.ndarray | None]) -> None:
        """Remove what is outside the box prompts, if masks are constrained to them.

        Args:
            pixels: Masks `(P, M, H, W)` or logits of the original, changed in place.
            boxes: Box prompt `(4,)` XYXY of each P, or `None`.
        """
        if self.settings.box_constraint == "none":
            return
        for masks, box in zip(pixels, boxes, strict=True):
            if box is not None:
                clip_pixels_to_box(masks, self.transform, np.asarray(box))


def _are_coefficients(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and all(
            isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e6
            for number in value
        )
    )
