"""`GeneratedMask`: a mask of automatic mask generation, rendered only when needed."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from keras_sam.annotations.mask_record import MaskRecord
from keras_sam.masks.coco_rle import (
    coco_rle_to_counts,
    coco_rle_to_mask,
    mask_to_coco_rle,
    runs_to_coco_rle,
)
from keras_sam.masks.measures import mask_to_box
from keras_sam.masks.run_length_mask import mask_to_runs
from keras_sam.predict.crops import Crop
from keras_sam.transforms.mask_postprocessor import LowResMaskCrop, MaskPostprocessor
from keras_sam.types import Box, Size


@dataclass(frozen=True, eq=False)
class GeneratedMask:
    """A mask with its scores.

    Attributes:
        crop: Crop of the image in which the mask was predicted.
        original_size: `(height, width)` of the image.
        low_res: Mask in the crop, as low-res logits.
        predicted_iou: IoU that the model predicts for the mask.
        point: Prompt `(x, y)` in the original.
        postprocessor: Renders the mask in the crop, or `None` if `rle` is given.
        rle: Mask as a compressed COCO RLE of the original, or `None`.
    """

    crop: Crop
    original_size: Size
    low_res: LowResMaskCrop
    predicted_iou: float
    point: tuple[float, float]
    postprocessor: MaskPostprocessor | None = field(default=None, repr=False)
    rle: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def box(self) -> Box:
        """Corners XYXY from the first to the last pixel, as Meta has them.

        The box of an empty mask has size 0 and lies in the corner of the crop.
        """
        x0, y0, x1, y1 = self.low_res.box
        left, top = self.crop.box[:2]
        is_empty = x0 == x1
        return x0 + left, y0 + top, x1 + left - (not is_empty), y1 + top - (not is_empty)

    @property
    def nbytes(self) -> int:
        """Size of the logits in memory, in bytes."""
        return 0 if self.rle is not None else self.low_res.values.nbytes

    def to_mask(self) -> np.ndarray:
        """Return the mask `(H, W)`, bool, with contiguous columns as the RLE encoder needs."""
        if self.rle is not None:
            return coco_rle_to_mask(self.rle)
        height, width = self.original_size
        transposed = np.zeros((width, height), bool)
        left, top = self.crop.box[:2]
        x0, y0, x1, y1 = self.low_res.box
        transposed[x0 + left : x1 + left, y0 + top : y1 + top] = self._render().T
        return transposed.T

    def to_rle(self) -> dict[str, Any]:
        """Return the mask as a compressed COCO RLE. Only its box is rendered."""
        if self.rle is not None:
            return self.rle
        (left, top), (x0, y0) = self.crop.box[:2], self.low_res.box[:2]
        runs = mask_to_runs(self._render()).shifted(x0 + left, y0 + top)
        return runs_to_coco_rle(runs, self.original_size)

    def to_record(self, output_mode: str) -> MaskRecord:
        """Return the mask and its scores under the keys of Meta's generator."""
        segmentation, area = self._segmentation(output_mode)
        x0, y0, x1, y1 = self.box
        left, top, right, bottom = self.crop.box
        return {
            "segmentation": segmentation,
            "area": area,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "predicted_iou": self.predicted_iou,
            "point_coords": [[*self.point]],
            "stability_score": self.low_res.stability_score,
            "crop_box": [left, top, right - left, bottom - top],
        }

    def compressed(self) -> "GeneratedMask":
        """Return the mask as an RLE, which is smaller than logits."""
        return replace(self, rle=self.to_rle(), postprocessor=None)

    def with_mask(self, mask: np.ndarray) -> "GeneratedMask":
        """Return a copy with other pixels.

        Args:
            mask: Mask `(H, W)` of the original, bool. It does not extend beyond the crop.
        """
        x0, y0, x1, y1 = (int(side) for side in mask_to_box(mask))
        left, top = self.crop.box[:2]
        box = (x0 - left, y0 - top, x1 - left, y1 - top) if x1 else (0, 0, 0, 0)
        low_res = replace(self.low_res, box=box)
        return replace(self, low_res=low_res, postprocessor=None, rle=mask_to_coco_rle(mask))

    def _segmentation(self, output_mode: str) -> tuple[Any, int]:
        """Return the mask in an output mode, and its area."""
        if output_mode == "binary_mask":
            mask = self.to_mask()
            return mask, int(np.count_nonzero(mask))
        rle = self.to_rle()
        counts = coco_rle_to_counts(rle)
        is_compressed = output_mode == "coco_rle"
        return rle if is_compressed else rle | {"counts": counts}, sum(counts[1::2])

    def _render(self) -> np.ndarray:
        """Compute the pixels of the mask's box."""
        if self.postprocessor is None:
            raise ValueError("a GeneratedMask needs an rle or a postprocessor")
        return self.postprocessor.render(self.low_res)
