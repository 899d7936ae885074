"""`GeneratedMask`: a mask of everything mode, on its way from a part of its logits to a record."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_sam.masks.coco_rle import coco_rle_to_counts, coco_rle_to_mask, runs_to_coco_rle
from keras_sam.masks.run_length_mask import mask_to_runs
from keras_sam.predict.batch_decoder import Candidate
from keras_sam.predict.crops import Crop
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")


@dataclass(frozen=True, eq=False)
class GeneratedMask:
    """A mask in the original frame.

    Attributes:
        candidate: what was found in the crop.
        crop: the part of the image that the model saw.
        original_size: `(height, width)` of the image.
        masks: what draws it, unless `rle` holds it.
        rle: the mask as a COCO RLE of the original.
    """

    candidate: Candidate
    crop: Crop
    original_size: tuple[int, int]
    masks: MaskPostprocessor | None = field(default=None, repr=False)
    rle: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """XYXY as Meta has it, the last pixels included; zeros at the crop's corner if empty."""
        x0, y0, x1, y1 = self.candidate.part.box
        left, top = self.crop.box[:2]
        is_empty = x0 == x1
        return x0 + left, y0 + top, x1 + left - (not is_empty), y1 + top - (not is_empty)

    @property
    def held_bytes(self) -> int:
        """Of the logits that are kept to draw it."""
        return 0 if self.rle is not None else self.candidate.part.values.nbytes

    def mask(self) -> np.ndarray:
        """Boolean `(H, W)`; its columns are contiguous, as the encoder wants them."""
        if self.rle is not None:
            return coco_rle_to_mask(self.rle)
        height, width = self.original_size
        transposed = np.zeros((width, height), bool)
        left, top = self.crop.box[:2]
        x0, y0, x1, y1 = self.candidate.part.box
        transposed[x0 + left : x1 + left, y0 + top : y1 + top] = self._drawn().T
        return transposed.T

    def to_rle(self) -> dict[str, Any]:
        """The mask as a compressed COCO RLE, of which no more than its box is drawn."""
        if self.rle is not None:
            return self.rle
        (left, top), (x0, y0) = self.crop.box[:2], self.candidate.part.box[:2]
        runs = mask_to_runs(self._drawn()).shifted(x0 + left, y0 + top)
        return runs_to_coco_rle(runs, self.original_size)

    def to_record(self, output_mode: str) -> dict[str, Any]:
        """The record of Meta's generator, with the keys that it has."""
        segmentation, area = self._segmentation(output_mode)
        x0, y0, x1, y1 = self.box
        left, top, right, bottom = self.crop.box
        return {
            "segmentation": segmentation,
            "area": area,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "predicted_iou": self.candidate.predicted_iou,
            "point_coords": [[self.candidate.point[0] + left, self.candidate.point[1] + top]],
            "stability_score": self.candidate.part.stability_score,
            "crop_box": [left, top, right - left, bottom - top],
        }

    def _segmentation(self, output_mode: str) -> tuple[Any, int]:
        """The mask in a form, and how many pixels it has."""
        if output_mode == "binary_mask":
            mask = self.mask()
            return mask, int(np.count_nonzero(mask))
        rle = self.to_rle()
        runs = coco_rle_to_counts(rle)
        return rle | {"counts": runs} if output_mode == "uncompressed_rle" else rle, sum(runs[1::2])

    def _drawn(self) -> np.ndarray:
        """The pixels of its box."""
        if self.masks is None:
            raise ValueError("a found mask has either runs or what draws it")
        return self.masks.draw(self.candidate.part)
