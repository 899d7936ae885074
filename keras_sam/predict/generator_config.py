"""`GeneratorConfig`: the options of automatic mask generation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from keras_sam.masks.point_grid import check_point_grids, point_grid, points_per_layer
from keras_sam.transforms.inference_config import MaskThresholds

AUTO = "auto"
COARSE_POINTS_PER_SIDE = 16  # "auto" starts here; its finer points are as dense as Meta's 32
OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")
MINIMUMS = {
    "points_per_batch": 1,
    "stability_score_offset": 0,
    "crop_n_layers": 0,
    "crop_n_points_downscale_factor": 1,
    "min_mask_region_area": 0,
}
FRACTIONS = (
    "pred_iou_thresh",
    "stability_score_thresh",
    "box_nms_thresh",
    "crop_nms_thresh",
    "crop_overlap_ratio",
)


@dataclass(frozen=True)
class GeneratorConfig:
    """Options of `SAMMaskGenerator`. Names and defaults are those of Meta's generator.

    Attributes:
        points_per_side: Points along each side of the point grid. "auto" is faster: it starts
            with 16 and adds finer points only near points that found a mask, or nearly did.
            `None` if `point_grids` is given.
        points_per_batch: Maximum number of points decoded together. Bounds memory.
        pred_iou_thresh: Minimum predicted IoU of a mask, in [0, 1]. 0 keeps all masks. `None`
            uses the value stored in the model's preset, or 0.88.
        stability_score_thresh: Minimum stability score of a mask, in [0, 1]. 0 keeps all masks.
            `None` uses the value stored in the model's preset, or 0.95.
        stability_score_offset: Difference between the mask threshold and the two thresholds of
            the stability score, in logits, at least 0.
        box_nms_thresh: Box IoU in [0, 1] above which non-maximum suppression within a crop drops
            the mask with the lower predicted IoU.
        crop_n_layers: Number of crop layers. Layer n repeats the search in `4 ** n` crops.
        crop_nms_thresh: Box IoU in [0, 1] above which non-maximum suppression between crops
            drops the mask of the larger crop.
        crop_overlap_ratio: Overlap of the crops of layer 1, as a fraction of the image's shorter
            side, in [0, 1].
        crop_n_points_downscale_factor: Factor by which layer n, to the power n, reduces the
            points per side.
        point_grids: Point grid of each layer, `(P, 2)` (x, y) in [0, 1] of a crop, instead of
            `points_per_side`.
        min_mask_region_area: Area in pixels below which holes and islands of a mask are removed.
            0 keeps all.
        output_mode: Format of `segmentation`: "binary_mask", "uncompressed_rle" or "coco_rle".

    Raises:
        ValueError: If an option is out of its range.
    """

    points_per_side: int | str | None = 32
    points_per_batch: int = 64
    pred_iou_thresh: float | None = None
    stability_score_thresh: float | None = None
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    point_grids: Sequence[np.ndarray] | None = None
    min_mask_region_area: int = 0
    output_mode: str = "binary_mask"

    def __post_init__(self) -> None:
        if self.output_mode not in OUTPUT_MODES:
            raise ValueError(
                f"output_mode must be one of {', '.join(OUTPUT_MODES)}, got {self.output_mode!r}"
            )
        for name, minimum in MINIMUMS.items():
            if not getattr(self, name) >= minimum:  # NaN fails the comparison
                raise ValueError(f"{name} must be {minimum} or more, got {getattr(self, name)}")
        for name in FRACTIONS:
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {value}")
        self._check_points()

    def with_thresholds(self, thresholds: MaskThresholds) -> "GeneratorConfig":
        """Return a config in which thresholds that are `None` have these values."""
        names = ("pred_iou_thresh", "stability_score_thresh")
        missing = {name: getattr(thresholds, name) for name in names if getattr(self, name) is None}
        return replace(self, **missing)

    def points_per_side_of_layers(self) -> list[int] | None:
        """Points per side of each layer's first grid, or `None` for custom grids."""
        if self.points_per_side is None:
            return None
        sides = COARSE_POINTS_PER_SIDE if self.adds_finer_points else int(self.points_per_side)
        return points_per_layer(
            sides,
            crop_n_layers=self.crop_n_layers,
            downscale_factor=self.crop_n_points_downscale_factor,
        )

    def layer_point_grids(self) -> list[np.ndarray]:
        """Return the first point grid of each layer, `(P, 2)` (x, y) in [0, 1] of a crop."""
        if self.point_grids is not None:
            return check_point_grids(self.point_grids, crop_n_layers=self.crop_n_layers)
        return [point_grid(side) for side in self.points_per_side_of_layers() or ()]

    @property
    def adds_finer_points(self) -> bool:
        """True if finer points follow near points that found a mask."""
        return self.points_per_side == AUTO

    def _check_points(self) -> None:
        """Check the options of the points together, since they depend on each other."""
        if (self.points_per_side is None) == (self.point_grids is None):
            raise ValueError("give either points_per_side or point_grids")
        side = self.points_per_side
        if isinstance(side, int | np.integer):
            if side < 1:
                raise ValueError(f"points_per_side must be at least 1, got {side}")
        elif side not in (None, AUTO):
            raise ValueError(f'points_per_side must be a whole number or "auto", got {side!r}')
        self.layer_point_grids()
