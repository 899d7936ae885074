"""`SAMMaskGenerator`: everything in an image."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_sam.annotations.label_map import records_to_label_map
from keras_sam.images.read_image import read_image
from keras_sam.masks.point_grid import check_point_grids, point_grid, points_per_layer
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.crop_search import CropSearch, GeneratorConfig
from keras_sam.predict.generated_mask import OUTPUT_MODES, GeneratedMask
from keras_sam.predict.nms import nms_across_crops, nms_within_crop, without_small_regions
from keras_sam.predict.predictor import SAMPredictor
from keras_sam.transforms.check_prompts import check_box

AUTO = "auto"
COARSE_POINTS_PER_SIDE = 16  # of "auto", which goes on to half of Meta's distance


@dataclass(frozen=True)
class GenerationUpdate:
    """What a batch of prompts changed.

    Attributes:
        added: records by number.
        removed: numbers of records that a better one replaced.
        done: prompts so far.
        total: prompts in all; with `points_per_side="auto"`, as far as is known.
    """

    added: dict[int, dict[str, Any]]
    removed: tuple[int, ...]
    done: int
    total: int


class SAMMaskGenerator:
    """Prompts a whole image with a grid of points and keeps the good masks, each once.

    Arguments, defaults, the order of results and their keys are those of Meta's
    `SamAutomaticMaskGenerator`; but a preset may hold thresholds of its own.

    Args:
        model: the segmenter, or a predictor of it, whose compiled programs are used then.
        points_per_side: points along each side; `None` where `point_grids` are given. The fast
            `"auto"` begins with 16 and doubles them only near points that found something new
            or nearly did; docs/masks.md says what it loses.
        points_per_batch: how many points are decoded together at most.
        pred_iou_thresh: only masks that the model rates higher, 0..1; the model's `thresholds`
            tell if left out, which are Meta's 0.88 unless its preset has others.
        stability_score_thresh: only masks at least as stable, 0..1; likewise, 0.95.
        stability_score_offset: of logits, for the stability score.
        box_nms_thresh: of two masks of a crop whose boxes' IoU is higher, the lower rated goes.
        crop_n_layers: the image is searched again in `2 ** n` by `2 ** n` crops for each layer n.
        crop_nms_thresh: likewise between crops, where the smaller crop wins.
        crop_overlap_ratio: of the crops of the first layer, as a share of the short side.
        crop_n_points_downscale_factor: layer n has fewer points per side by this factor ** n.
        point_grids: for each layer points `(P, 2)` (x, y) in 0..1 of its crops.
        min_mask_region_area: holes and islands of fewer pixels are removed; 0 keeps all.
        output_mode: form of `segmentation`: "binary_mask", "uncompressed_rle" or "coco_rle".

    Raises:
        ValueError: for arguments out of their range.
    """

    def __init__(
        self,
        model: SAMImageSegmenter | SAMPredictor,
        points_per_side: int | str | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float | None = None,
        stability_score_thresh: float | None = None,
        stability_score_offset: float = 1.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[np.ndarray] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = "binary_mask",
    ) -> None:
        if output_mode not in OUTPUT_MODES:
            raise ValueError(f"output_mode must be one of {OUTPUT_MODES}, got {output_mode!r}")
        if points_per_batch < 1 or crop_n_layers < 0 or crop_n_points_downscale_factor < 1:
            raise ValueError(
                "points_per_batch and crop_n_points_downscale_factor must be 1 or more and "
                f"crop_n_layers 0 or more, got {points_per_batch}, "
                f"{crop_n_points_downscale_factor} and {crop_n_layers}"
            )
        grids, finer_sides = _grids(
            points_per_side, point_grids, crop_n_layers, crop_n_points_downscale_factor
        )
        self.predictor = model if isinstance(model, SAMPredictor) else SAMPredictor(model)
        thresholds = self.predictor.model.thresholds
        if pred_iou_thresh is None:
            pred_iou_thresh = thresholds["pred_iou_thresh"]
        if stability_score_thresh is None:
            stability_score_thresh = thresholds["stability_score_thresh"]
        self.settings = GeneratorConfig(
            point_grids=grids,
            finer_sides=finer_sides,
            points_per_batch=points_per_batch,
            pred_iou_thresh=pred_iou_thresh,
            stability_score_thresh=stability_score_thresh,
            stability_score_offset=stability_score_offset,
            box_nms_thresh=box_nms_thresh,
            crop_n_layers=crop_n_layers,
            crop_overlap_ratio=crop_overlap_ratio,
        )
        self.crop_nms_thresh = crop_nms_thresh
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode

    def generate(
        self,
        image: Any,
        *,
        boxes: Any = None,
        region: Any = None,
        progress: Callable[[int, int], Any] | None = None,
    ) -> list[dict[str, Any]]:
        """All masks of an image.

        Args:
            image: what `read_image` takes, such as an array `(H, W, 3)` or a path.
            boxes: `(K, 4)` XYXY in pixels, prompts in place of the grid.
            region: XYXY in pixels; only that part of the image is searched, and seen by the
                model, as though it were the image. Records are of the whole image all the same.
            progress: called with the prompts so far, and in all; an exception from it ends the
                search.

        Returns:
            Records as Meta's: `segmentation`, `area` in pixels, `bbox` XYWH whose width counts
            from the first to the last pixel, `predicted_iou`, `point_coords` `[[x, y]]` (of a box
            its center), `stability_score`, `crop_box` XYWH.

        Raises:
            ValueError: for boxes or a region that are not in the image, and what `read_image`
                refuses.
        """
        found = self._find(read_image(image), boxes, region, progress)
        return [mask.to_record(self.output_mode) for mask in found]

    def label_map(
        self,
        image: Any,
        *,
        boxes: Any = None,
        region: Any = None,
        overlap_priority: str = "small",
        progress: Callable[[int, int], Any] | None = None,
    ) -> np.ndarray:
        """All masks of an image as one map of labels.

        Args:
            image: as `generate`.
            boxes: as `generate`.
            region: as `generate`.
            overlap_priority: which of overlapping masks is seen, as in `records_to_label_map`.
            progress: as `generate`.

        Returns:
            `(H, W)` int32: 0 where no mask is, and n where the n-th record of `generate` is.
        """
        pixels = read_image(image)
        found = self._find(pixels, boxes, region, progress)
        records = [{"segmentation": mask.to_rle()} for mask in found]
        return records_to_label_map(
            records, (pixels.shape[0], pixels.shape[1]), overlap_priority=overlap_priority
        )

    def iterate(
        self, image: Any, *, boxes: Any = None, region: Any = None
    ) -> Iterator[GenerationUpdate]:
        """Finds what `generate` finds, and tells of it batch by batch; may be left at any time.

        The records added and not removed are at each time the masks of the prompts so far, and at
        the end those of `generate`.

        Args:
            image: as `generate`.
            boxes: as `generate`.
            region: as `generate`.
        """
        shown: dict[GeneratedMask, int] = {}
        count = done = total = 0
        search = self._search(read_image(image), boxes, region)
        for step in search.steps():
            in_crop = nms_within_crop(step.found, self.settings.box_nms_thresh)
            done, total = step.done, step.total
            update, count = self._update(self._across(step.before + in_crop), shown, count)
            yield GenerationUpdate(*update, done, total)
        update, count = self._update(self._cleaned(list(shown), search), shown, count)
        if any(update):
            yield GenerationUpdate(*update, done, total)

    def _update(
        self, kept: list[GeneratedMask], shown: dict[GeneratedMask, int], count: int
    ) -> tuple[tuple[dict[int, dict[str, Any]], tuple[int, ...]], int]:
        """What changes `shown` to `kept`, which is done; and the next free number."""
        removed = tuple(shown.pop(found) for found in set(shown) - set(kept))
        added = {}
        for found in kept:
            if found not in shown:
                shown[found] = count
                added[count] = found.to_record(self.output_mode)
                count += 1
        for found in kept:  # in the order of `kept`
            shown[found] = shown.pop(found)
        return (added, removed), count

    def _find(
        self,
        pixels: np.ndarray,
        boxes: Any,
        region: Any,
        progress: Callable[[int, int], Any] | None,
    ) -> list[GeneratedMask]:
        found: list[GeneratedMask] = []
        search = self._search(pixels, boxes, region)
        for step in search.steps():
            found = step.before
            if progress is not None:
                progress(step.done, step.total)
        return self._cleaned(self._across(found), search)

    def _search(self, pixels: np.ndarray, boxes: Any, region: Any) -> CropSearch:
        size = (pixels.shape[0], pixels.shape[1])
        x0, y0, x1, y1 = (0, 0, size[1], size[0]) if region is None else check_box(region, size)
        part = (math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1))
        if boxes is not None:
            boxes = np.stack([check_box(box, size) for box in boxes])
            if ((boxes[:, :2] < part[:2]) | (boxes[:, 2:] > part[2:])).any():
                raise ValueError(f"boxes must lie in the region {part}, got {boxes.tolist()}")
        return CropSearch(self.predictor, self.settings, pixels, region=part, boxes=boxes)

    def _across(self, found: list[GeneratedMask]) -> list[GeneratedMask]:
        return (
            nms_across_crops(found, self.crop_nms_thresh) if self.settings.crop_n_layers else found
        )

    def _cleaned(self, found: list[GeneratedMask], search: CropSearch) -> list[GeneratedMask]:
        min_area = self.min_mask_region_area
        if not min_area:
            return found
        threshold = max(self.settings.box_nms_thresh, self.crop_nms_thresh)
        return without_small_regions(found, min_area, threshold, region=search.region)


def _grids(
    points_per_side: int | str | None,
    point_grids: Sequence[np.ndarray] | None,
    crop_n_layers: int,
    downscale_factor: int,
) -> tuple[list[np.ndarray], list[int] | None]:
    """A grid for each layer; and its points per side, where finer points may follow."""
    if (points_per_side is None) == (point_grids is None):
        raise ValueError("give either points_per_side or point_grids")
    if isinstance(points_per_side, str) and points_per_side != AUTO:
        raise ValueError(f'points_per_side must be a number or "auto", got {points_per_side!r}')
    if point_grids is not None:
        return check_point_grids(point_grids, crop_n_layers=crop_n_layers), None
    sides = points_per_layer(
        COARSE_POINTS_PER_SIDE if points_per_side == AUTO else int(points_per_side or 0),
        crop_n_layers=crop_n_layers,
        downscale_factor=downscale_factor,
    )
    return [point_grid(side) for side in sides], sides if points_per_side == AUTO else None
