"""`BatchSettings`: what decides which masks a batch has."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from keras_sam.images.read_image import MAX_PIXELS

OF_GENERATOR = (
    "points_per_side",
    "points_per_batch",
    "pred_iou_thresh",
    "stability_score_thresh",
    "stability_score_offset",
    "box_nms_thresh",
    "crop_n_layers",
    "crop_nms_thresh",
    "crop_overlap_ratio",
    "crop_n_points_downscale_factor",
    "min_mask_region_area",
)


@dataclass(frozen=True)
class BatchSettings:
    """The model and its thresholds. Images of one table have the same.

    Attributes:
        preset: what `SAMImageSegmenter.from_preset` takes: a name, an address or a directory.
        dtype: of the model, such as "bfloat16"; None leaves the preset's.
        multimask_output: three masks for each prompt, or one; None has three where a lone click
            leaves open what is meant. Without prompts it has no effect.
        max_pixels: larger images are errors.
        points_per_side: this and the following are of `SAMMaskGenerator`, and have an effect on
            images without prompts; `stability_score_offset` on those with prompts, too.
        pred_iou_thresh: None leaves the preset's.
        stability_score_thresh: None leaves the preset's.
    """

    preset: str = "sam_tiny_synthetic"
    dtype: str | None = None
    multimask_output: bool | None = None
    max_pixels: int = MAX_PIXELS
    points_per_side: int | str = 32
    points_per_batch: int = 64
    pred_iou_thresh: float | None = None
    stability_score_thresh: float | None = None
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    min_mask_region_area: int = 0

    def generator_arguments(self) -> dict[str, Any]:
        """Those that `SAMMaskGenerator` takes, by name."""
        return {name: getattr(self, name) for name in OF_GENERATOR}

    def to_dict(self) -> dict[str, Any]:
        """All of them as plain values, for a file."""
        return dataclasses.asdict(self)
