"""`SAMMaskGenerator`: everything in an image."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_sam.geometry import check_box, mask_to_box, mask_to_coco_rle, read_image
from keras_sam.geometry.box_nms import box_nms
from keras_sam.geometry.crop_boxes import Crop, crop_boxes
from keras_sam.geometry.point_grid import layer_point_grids
from keras_sam.geometry.small_regions import remove_small_regions
from keras_sam.layers.prompts import BOTTOM_RIGHT, NOT_A_POINT, TOP_LEFT
from keras_sam.models import SAMImageSegmenter
from keras_sam.predict.found_mask import OUTPUT_MODES, FoundMask
from keras_sam.predict.mask_candidates import MaskCandidates
from keras_sam.predict.predictor import SAMPredictor

CROP_EDGE = 20  # pixels: a mask that ends so near to a crop's edge is cut by it
HELD_BYTES = 2**26  # of logits that wait for the suppression of duplicates
FOREGROUND = 1


@dataclass(frozen=True)
class MaskUpdate:
    """What a batch of prompts changed.

    Attributes:
        added: records by number.
        removed: numbers of records that a better one replaced.
        done: prompts so far.
        total: prompts in all.
    """

    added: dict[int, dict[str, Any]]
    removed: tuple[int, ...]
    done: int
    total: int


class SAMMaskGenerator:
    """Prompts a whole image with a grid of points and keeps the good masks, each once.

    Arguments, defaults, the order of results and their keys are those of Meta's
    `SamAutomaticMaskGenerator`.

    Args:
        model: the segmenter.
        points_per_side: points along each side; `None` where `point_grids` are given.
        points_per_batch: how many points are decoded together at most.
        pred_iou_thresh: only masks that the model rates higher, 0..1.
        stability_score_thresh: only masks at least as stable, 0..1.
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
        model: SAMImageSegmenter,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.88,
        stability_score_thresh: float = 0.95,
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
        if (points_per_side is None) == (point_grids is None):
            raise ValueError("give either points_per_side or point_grids")
        if output_mode not in OUTPUT_MODES:
            raise ValueError(f"output_mode must be one of {OUTPUT_MODES}, got {output_mode!r}")
        if points_per_batch < 1 or crop_n_layers < 0 or crop_n_points_downscale_factor < 1:
            raise ValueError(
                "points_per_batch and crop_n_points_downscale_factor must be 1 or more and "
                f"crop_n_layers 0 or more, got {points_per_batch}, "
                f"{crop_n_points_downscale_factor} and {crop_n_layers}"
            )
        if points_per_side is not None:
            point_grids = layer_point_grids(
                points_per_side,
                crop_n_layers=crop_n_layers,
                downscale_factor=crop_n_points_downscale_factor,
            )
        self.point_grids = _check_point_grids(point_grids, crop_n_layers)
        self.predictor = SAMPredictor(model)
        self.points_per_batch = points_per_batch
        self.pred_iou_thresh = pred_iou_thresh
        self.stability_score_thresh = stability_score_thresh
        self.stability_score_offset = stability_score_offset
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode

    def generate(
        self, image: Any, *, boxes: Any = None, progress: Callable[[int, int], Any] | None = None
    ) -> list[dict[str, Any]]:
        """All masks of an image.

        Args:
            image: what `read_image` takes, such as an array `(H, W, 3)` uint8 or a path.
            boxes: `(K, 4)` XYXY in pixels, prompts in place of the grid.
            progress: called with the prompts so far, and in all; an exception from it ends the
                search.

        Returns:
            Records as Meta's: `segmentation`, `area` in pixels, `bbox` XYWH whose width counts
            from the first to the last pixel, `predicted_iou`, `point_coords` `[[x, y]]` (of a box
            its centre), `stability_score`, `crop_box` XYWH.
        """
        kept: list[FoundMask] = []
        for kept, _, done, total in self._search(image, boxes):  # noqa: B007 (the last is kept)
            if progress is not None:
                progress(done, total)
        return [found.to_record(self.output_mode) for found in self._cleaned(self._across(kept))]

    def iterate(self, image: Any, *, boxes: Any = None) -> Iterator[MaskUpdate]:
        """Finds what `generate` finds, and tells of it batch by batch; may be left at any time.

        The records added and not removed are at each time the masks of the prompts so far, and at
        the end those of `generate`.

        Args:
            image: as `generate`.
            boxes: as `generate`.
        """
        shown: dict[FoundMask, int] = {}
        count = done = total = 0
        for before, found, done, total in self._search(image, boxes):
            kept = self._across(before + self._within(found))
            update, count = self._update(kept, shown, count)
            yield MaskUpdate(*update, done, total)
        update, count = self._update(self._cleaned(list(shown)), shown, count)
        if any(update):
            yield MaskUpdate(*update, done, total)

    def _update(
        self, kept: list[FoundMask], shown: dict[FoundMask, int], count: int
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

    def _search(
        self, image: Any, boxes: Any
    ) -> Iterator[tuple[list[FoundMask], list[FoundMask], int, int]]:
        """Yields what was found, after each batch of prompts.

        That is the masks of the crops that are done, without duplicates; all of the crop at hand;
        and how many prompts are done, and there are. At the end no crop is at hand.
        """
        pixels = read_image(image)
        size = (pixels.shape[0], pixels.shape[1])
        crops = crop_boxes(
            size, crop_n_layers=self.crop_n_layers, overlap_ratio=self.crop_overlap_ratio
        )
        if boxes is not None:
            boxes = np.stack([check_box(box, size) for box in boxes])
            crops = crops[:1]
        total = len(boxes) if boxes is not None else sum(self._count(crop) for crop in crops)
        done = 0
        before: list[FoundMask] = []
        for crop in crops:
            x0, y0, x1, y1 = crop.box
            self.predictor.set_image(np.ascontiguousarray(pixels[y0:y1, x0:x1]))
            try:
                found: list[FoundMask] = []
                for batch, prompts in self._search_crop(crop, size, boxes):
                    # A mask that seems a duplicate may not be one in the end, when the better
                    # one turns out to be a duplicate itself: all are kept until then.
                    found = _compact(found + batch)
                    done += prompts
                    yield before, found, done, total
            finally:
                self.predictor.reset_image()
            before = before + self._within(found)
        yield before, [], done, total

    def _search_crop(
        self, crop: Crop, original_size: tuple[int, int], boxes: np.ndarray | None
    ) -> Iterator[tuple[list[FoundMask], int]]:
        candidates = MaskCandidates(
            self.predictor,
            points_per_batch=self.points_per_batch,
            pred_iou_thresh=self.pred_iou_thresh,
            stability_score_thresh=self.stability_score_thresh,
            stability_score_offset=self.stability_score_offset,
        )
        points, prompts, labels = self._prompts(crop, boxes)
        left = len(points)
        for batch in candidates.find(points, prompts, labels):
            count = min(left, candidates.batch_size)
            left -= count
            found = [
                FoundMask(candidate, crop, original_size, masks=candidates.masks)
                for candidate in batch
            ]
            yield [mask for mask in found if not _is_cut(mask)], count

    def _prompts(
        self, crop: Crop, boxes: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points `(P, 2)` of the crop, prompts `(P, 2, 2)` of the model frame, labels `(P, 2)`."""
        frame = self.predictor.frame
        if boxes is not None:
            corners = frame.to_model_boxes(boxes).reshape(-1, 2, 2)
            labels = np.tile(np.array([TOP_LEFT, BOTTOM_RIGHT], np.int32), (len(boxes), 1))
            return (boxes[:, :2] + boxes[:, 2:]) / 2, corners, labels
        height, width = crop.size
        points = self.point_grids[crop.layer] * np.array([width, height])
        prompts = np.zeros((len(points), 2, 2), np.float32)
        prompts[:, 0] = frame.to_model_points(points)
        labels = np.tile(np.array([FOREGROUND, NOT_A_POINT], np.int32), (len(points), 1))
        return points, prompts, labels

    def _count(self, crop: Crop) -> int:
        return len(self.point_grids[crop.layer])

    def _within(self, found: list[FoundMask]) -> list[FoundMask]:
        """Without duplicates in a crop, by falling rating."""
        ratings = np.array([mask.candidate.predicted_iou for mask in found])
        return _suppressed(found, ratings, self.box_nms_thresh)

    def _across(self, found: list[FoundMask]) -> list[FoundMask]:
        """Without duplicates between crops, the masks of smaller crops first."""
        if not self.crop_n_layers:
            return found
        areas = np.array([mask.crop.size[0] * mask.crop.size[1] for mask in found], np.float64)
        return _suppressed(found, 1 / areas, self.crop_nms_thresh)

    def _cleaned(self, found: list[FoundMask]) -> list[FoundMask]:
        """Without small holes and islands, and the duplicates that this makes."""
        if not self.min_mask_region_area:
            return found
        cleaned = [_without_small_regions(mask, self.min_mask_region_area) for mask in found]
        # Those that were left alone go first.
        scores = [float(new is old) for new, old in zip(cleaned, found, strict=True)]
        threshold = max(self.box_nms_thresh, self.crop_nms_thresh)
        return _suppressed(cleaned, np.array(scores), threshold)


def _suppressed(found: list[FoundMask], scores: np.ndarray, threshold: float) -> list[FoundMask]:
    boxes = np.array([mask.box for mask in found], np.float32).reshape(-1, 4)
    return [found[index] for index in box_nms(boxes, scores, threshold)]


def _is_cut(found: FoundMask) -> bool:
    """Whether a mask ends at an edge of its crop that is not one of the image."""
    height, width = found.original_size
    box = np.array(found.box)
    near_crop = np.abs(box - found.crop.box) <= CROP_EDGE
    near_image = np.abs(box - (0, 0, width, height)) <= CROP_EDGE
    return bool((near_crop & ~near_image).any())


def _compact(found: list[FoundMask]) -> list[FoundMask]:
    """Masks as runs, where their logits would take too much memory together."""
    if sum(mask.held_bytes for mask in found) <= HELD_BYTES:
        return found
    return [replace(mask, rle=mask.to_rle(), masks=None) for mask in found]


def _without_small_regions(found: FoundMask, min_area: int) -> FoundMask:
    mask, is_changed = remove_small_regions(found.mask(), min_area)
    if not is_changed:
        return found
    x0, y0, x1, y1 = (int(side) for side in mask_to_box(mask))
    left, top = found.crop.box[:2]
    box = (x0 - left, y0 - top, x1 - left, y1 - top) if x1 else (0, 0, 0, 0)
    part = replace(found.candidate.part, box=box)
    candidate = replace(found.candidate, part=part)
    return replace(found, candidate=candidate, masks=None, rle=mask_to_coco_rle(mask))


def _check_point_grids(grids: Any, crop_n_layers: int) -> list[np.ndarray]:
    checked = [np.asarray(grid, np.float64) for grid in grids]
    if len(checked) <= crop_n_layers:
        raise ValueError(
            f"point_grids must hold one grid for each of {crop_n_layers + 1} layers, got "
            f"{len(checked)}"
        )
    for grid in checked:
        is_inside = grid.ndim == 2 and grid.shape[1:] == (2,) and len(grid)
        if not is_inside or not ((grid >= 0) & (grid <= 1)).all():
            raise ValueError(
                f"a point grid holds points (P, 2) (x, y) in 0..1, got shape {grid.shape}"
            )
    return checked
