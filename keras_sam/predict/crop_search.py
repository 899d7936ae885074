"""`CropSearch`: everything in an image, crop by crop and batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from keras_sam.layers.prompts import BOTTOM_RIGHT, NOT_A_POINT, TOP_LEFT
from keras_sam.masks.point_grid import subdivide_points
from keras_sam.predict.batch_decoder import BatchDecoder
from keras_sam.predict.crops import Crop, crop_boxes
from keras_sam.predict.generated_mask import GeneratedMask
from keras_sam.predict.nms import nms_within_crop
from keras_sam.predict.predictor import SAMPredictor

CROP_EDGE = 20  # pixels: a mask that ends so near to a crop's edge is cut by it
HELD_BYTES = 2**26  # of logits that wait for the suppression of duplicates
FOREGROUND = 1
# A point whose best rating reaches this share of the threshold nearly found something: finer
# points around it may (docs/masks.md has what that finds and costs).
NEARLY = 0.95


@dataclass(frozen=True)
class GeneratorConfig:
    """What to look for, and how; the rest of the arguments of `SAMMaskGenerator`.

    Attributes:
        point_grids: for each layer points `(P, 2)` (x, y) in 0..1 of its crops.
        finer_sides: points per side of the grid of each layer, where points twice as fine follow
            near those that found something; `None` for no such points.
    """

    point_grids: Sequence[np.ndarray]
    finer_sides: Sequence[int] | None
    points_per_batch: int
    pred_iou_thresh: float
    stability_score_thresh: float
    stability_score_offset: float
    box_nms_thresh: float
    crop_n_layers: int
    crop_overlap_ratio: float


@dataclass(frozen=True)
class SearchStep:
    """What was found so far.

    Attributes:
        before: masks of the crops that are done, without duplicates in a crop.
        found: all masks of the crop at hand; none at the end.
        done: prompts so far.
        total: prompts in all, as far as is known.
    """

    before: list[GeneratedMask]
    found: list[GeneratedMask]
    done: int
    total: int


class CropSearch:
    """Prompts all crops of a part of an image.

    Args:
        predictor: prepares and encodes the crops; its image is forgotten afterwards.
        settings: what to look for.
        pixels: the image `(H, W, 3)` uint8.
        region: XYXY in whole pixels, the part of the image that is searched.
        boxes: `(K, 4)` XYXY in pixels, prompts in place of the points.
    """

    def __init__(
        self,
        predictor: SAMPredictor,
        settings: GeneratorConfig,
        pixels: np.ndarray,
        *,
        region: tuple[int, int, int, int],
        boxes: np.ndarray | None,
    ) -> None:
        self.predictor = predictor
        self.settings = settings
        self.pixels = pixels
        self.region = region
        self.boxes = boxes

    def steps(self) -> Iterator[SearchStep]:
        """Yields what was found, after each batch of prompts."""
        crops = self._crops()
        self._done, self._total = 0, sum(len(self._points(crop)) for crop in crops)
        before: list[GeneratedMask] = []
        for crop in crops:
            x0, y0, x1, y1 = crop.box
            self.predictor.set_image(np.ascontiguousarray(self.pixels[y0:y1, x0:x1]))
            try:
                found: list[GeneratedMask] = []
                for found in self._search_crop(crop):
                    yield SearchStep(before, found, self._done, self._total)
            finally:
                self.predictor.reset_image()
            before = before + nms_within_crop(found, self.settings.box_nms_thresh)
        yield SearchStep(before, [], self._done, self._total)

    def _crops(self) -> list[Crop]:
        x0, y0, x1, y1 = self.region
        layers = 0 if self.boxes is not None else self.settings.crop_n_layers
        crops = crop_boxes(
            (y1 - y0, x1 - x0),
            crop_n_layers=layers,
            overlap_ratio=self.settings.crop_overlap_ratio,
        )
        return [crop.moved(x0, y0) for crop in crops]

    def _points(self, crop: Crop) -> np.ndarray:
        """Of each prompt the point that stands for it, `(P, 2)` in pixels of the crop."""
        if self.boxes is None:
            return self.settings.point_grids[crop.layer] * np.array(crop.size[::-1])
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2 - crop.box[:2]

    def _search_crop(self, crop: Crop) -> Iterator[list[GeneratedMask]]:
        """Yields all masks of the crop so far, after each batch."""
        candidates = BatchDecoder(
            self.predictor,
            points_per_batch=self.settings.points_per_batch,
            pred_iou_thresh=self.settings.pred_iou_thresh,
            stability_score_thresh=self.settings.stability_score_thresh,
            stability_score_offset=self.settings.stability_score_offset,
        )
        found: list[GeneratedMask] = []
        points, ratings = self._points(crop), []
        for batch, batch_ratings in self._find(candidates, crop, points):
            # A mask that seems a duplicate may not be one in the end, when the better
            # one turns out to be a duplicate itself: all are kept until then.
            found = _compact(found + batch)
            ratings.append(batch_ratings)
            yield found
        if self.settings.finer_sides is None or self.boxes is not None:
            return
        promising = self._is_promising(points, np.concatenate(ratings), found)
        cell = np.array(crop.size[::-1]) / self.settings.finer_sides[crop.layer]
        points = subdivide_points(points[promising], cell)
        self._total += len(points)
        for batch, _ in self._find(candidates, crop, points):
            found = _compact(found + batch)
            yield found

    def _find(
        self, candidates: BatchDecoder, crop: Crop, points: np.ndarray
    ) -> Iterator[tuple[list[GeneratedMask], np.ndarray]]:
        """Yields the masks of each batch of prompts that the crop does not cut, and its ratings."""
        size = (self.pixels.shape[0], self.pixels.shape[1])
        windows = None
        if self.boxes is not None:
            boxes = self.boxes - np.array(crop.box[:2] * 2)
            windows = [self.predictor.frame.window(box) for box in boxes]
        for batch, ratings in candidates.find(points, *self._prompts(crop, points), windows):
            found = [
                GeneratedMask(candidate, crop, size, masks=candidates.masks) for candidate in batch
            ]
            self._done += len(ratings)
            yield [mask for mask in found if not self._is_cut(mask)], ratings

    def _prompts(self, crop: Crop, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Prompts `(P, 2, 2)` of the model frame and labels `(P, 2)`."""
        frame = self.predictor.frame
        if self.boxes is not None:
            origin = np.array(crop.box[:2] * 2)
            corners = frame.apply_boxes(self.boxes - origin).reshape(-1, 2, 2)
            return corners, np.tile(np.array([TOP_LEFT, BOTTOM_RIGHT], np.int32), (len(points), 1))
        prompts = np.zeros((len(points), 2, 2), np.float32)
        prompts[:, 0] = frame.apply_points(points)
        return prompts, np.tile(np.array([FOREGROUND, NOT_A_POINT], np.int32), (len(points), 1))

    def _is_promising(
        self, points: np.ndarray, ratings: np.ndarray, found: list[GeneratedMask]
    ) -> np.ndarray:
        """Which points brought something new, or nearly something: `(P,)` boolean."""
        new = nms_within_crop(found, self.settings.box_nms_thresh)
        nearly = ratings > NEARLY * self.settings.pred_iou_thresh
        brought_new, brought_any = (
            np.array([point in places for point in map(tuple, points.tolist())])
            for places in ({mask.candidate.point for mask in masks} for masks in (new, found))
        )
        return brought_new | (nearly & ~brought_any)

    def _is_cut(self, found: GeneratedMask) -> bool:
        """Whether a mask ends at an edge of its crop that is not one of the region."""
        box = np.array(found.box)
        near_crop = np.abs(box - found.crop.box) <= CROP_EDGE
        near_region = np.abs(box - self.region) <= CROP_EDGE
        return bool((near_crop & ~near_region).any())


def _compact(found: list[GeneratedMask]) -> list[GeneratedMask]:
    """Masks as runs, where their logits would take too much memory together."""
    if sum(mask.held_bytes for mask in found) <= HELD_BYTES:
        return found
    return [replace(mask, rle=mask.to_rle(), masks=None) for mask in found]
