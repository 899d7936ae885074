"""`CropSearch`: prompts every crop of an image region, batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_sam.masks.point_grid import subdivide_points
from keras_sam.point_labels import BOTTOM_RIGHT, FOREGROUND, NOT_A_POINT, TOP_LEFT
from keras_sam.predict.batch_decoder import BatchDecoder, PromptBatch
from keras_sam.predict.crops import Crop, crop_boxes
from keras_sam.predict.generated_mask import GeneratedMask
from keras_sam.predict.generator_config import GeneratorConfig
from keras_sam.predict.nms import nms_within_crop
from keras_sam.predict.sam_predictor import SAMPredictor
from keras_sam.types import Box

CROP_EDGE = 20  # pixels; a mask whose box ends this close to a crop's side is cut, as in Meta's
MAX_LOGIT_BYTES = 2**26  # memory for the logits of a crop's masks; beyond, masks become RLEs
# Finer points are added near a point whose best predicted IoU reaches this fraction of the
# threshold. docs/masks.md has the effect on results and time.
NEAR_RATIO = 0.95


@dataclass(frozen=True)
class SearchStep:
    """Masks after one batch of prompts.

    Attributes:
        finished: Masks of all completed crops, without duplicates within a crop.
        current: Masks of the current crop, with duplicates. Empty at the end.
        completed: Number of prompts processed.
        total: Number of prompts planned.
    """

    finished: list[GeneratedMask]
    current: list[GeneratedMask]
    completed: int
    total: int


class CropSearch:
    """A search of one region of an image.

    Args:
        predictor: Predictor that encodes the crops. Its image is reset afterwards.
        config: Options with resolved thresholds.
        pixels: Image `(H, W, 3)`, uint8.
        region: Part of the image to search, XYXY in whole pixels.
        boxes: Box prompts `(K, 4)` XYXY in the original, used instead of points; or `None`.
    """

    def __init__(
        self,
        predictor: SAMPredictor,
        config: GeneratorConfig,
        pixels: np.ndarray,
        *,
        region: Box,
        boxes: np.ndarray | None,
    ) -> None:
        self.predictor = predictor
        self.config = config
        self.pixels = pixels
        self.region = region
        self.boxes = boxes
        self._completed = self._total = 0

    def run(self) -> Iterator[SearchStep]:
        """Yield the masks after each batch of prompts, and once more at the end."""
        crops = self._crops()
        grids = self.config.layer_point_grids()
        prompts = [self._first_prompts(crop, grids) for crop in crops]
        self._completed, self._total = 0, sum(len(batch.centers) for batch in prompts)
        finished: list[GeneratedMask] = []
        for crop, crop_prompts in zip(crops, prompts, strict=True):
            x0, y0, x1, y1 = crop.box
            self.predictor.set_image(np.ascontiguousarray(self.pixels[y0:y1, x0:x1]))
            try:
                current: list[GeneratedMask] = []
                for current in self._search_crop(crop, crop_prompts):
                    yield SearchStep(finished, current, self._completed, self._total)
            finally:
                self.predictor.reset_image()
            finished = finished + nms_within_crop(current, self.config.box_nms_thresh)
        yield SearchStep(finished, [], self._completed, self._total)

    def _crops(self) -> list[Crop]:
        x0, y0, x1, y1 = self.region
        crops = crop_boxes(
            (y1 - y0, x1 - x0),
            crop_n_layers=0 if self.boxes is not None else self.config.crop_n_layers,
            overlap_ratio=self.config.crop_overlap_ratio,
        )
        return [crop.shifted(x0, y0) for crop in crops]

    def _search_crop(self, crop: Crop, prompts: PromptBatch) -> Iterator[list[GeneratedMask]]:
        """Yield all masks of a crop so far, after each batch."""
        size = (self.pixels.shape[0], self.pixels.shape[1])
        decoder = BatchDecoder(self.predictor, self.config, crop, size)
        masks: list[GeneratedMask] = []
        predicted_iou = []
        # Duplicates stay until the crop is complete: a mask that is a duplicate of a better one
        # remains if that one turns out to be a duplicate itself.
        for batch, batch_iou in self._decode(decoder, prompts):
            masks = _limit_memory(masks + batch)
            predicted_iou.append(batch_iou)
            yield masks
        sides = self.config.points_per_side_of_layers()
        if not self.config.adds_finer_points or sides is None or self.boxes is not None:
            return
        # Add finer points near promising ones.
        should_subdivide = self._should_subdivide(
            prompts.centers, np.concatenate(predicted_iou), masks
        )
        cell = np.array(crop.size[::-1]) / sides[crop.layer]
        centers = subdivide_points(prompts.centers[should_subdivide] - crop.box[:2], cell)
        self._total += len(centers)
        for batch, _ in self._decode(decoder, self._point_prompts(centers, crop)):
            masks = _limit_memory(masks + batch)
            yield masks

    def _decode(
        self, decoder: BatchDecoder, prompts: PromptBatch
    ) -> Iterator[tuple[list[GeneratedMask], np.ndarray]]:
        """Yield what `BatchDecoder.decode` yields, without masks that the crop cuts."""
        transform = self.predictor.transform
        points = transform.apply_points(prompts.points)
        for masks, predicted_iou in decoder.decode(prompts._replace(points=points)):
            self._completed += len(predicted_iou)
            yield [mask for mask in masks if not self._is_cut(mask)], predicted_iou

    def _first_prompts(self, crop: Crop, grids: list[np.ndarray]) -> PromptBatch:
        if self.boxes is not None:
            return self._box_prompts(crop)
        return self._point_prompts(grids[crop.layer] * np.array(crop.size[::-1]), crop)

    def _point_prompts(self, points: np.ndarray, crop: Crop) -> PromptBatch:
        """Return the prompts of points `(P, 2)` in the crop."""
        pairs = np.stack([points, np.zeros_like(points)], axis=1)
        labels = np.tile(np.array([FOREGROUND, NOT_A_POINT], np.int32), (len(points), 1))
        return PromptBatch(points + crop.box[:2], pairs, labels)

    def _box_prompts(self, crop: Crop) -> PromptBatch:
        boxes = np.asarray(self.boxes) - np.tile(crop.box[:2], 2)
        corners = boxes.reshape(-1, 2, 2)
        labels = np.tile(np.array([TOP_LEFT, BOTTOM_RIGHT], np.int32), (len(boxes), 1))
        return PromptBatch(corners.mean(axis=1) + crop.box[:2], corners, labels, boxes)

    def _should_subdivide(
        self, centers: np.ndarray, predicted_iou: np.ndarray, masks: list[GeneratedMask]
    ) -> np.ndarray:
        """Return which points `(P,)` found a new mask, or nearly found one."""
        unique = nms_within_crop(masks, self.config.box_nms_thresh)
        found_unique, found_any = (
            np.array([tuple(center) in points for center in centers.tolist()])
            for points in ({mask.point for mask in unique}, {mask.point for mask in masks})
        )
        is_near = predicted_iou > NEAR_RATIO * (self.config.pred_iou_thresh or 0)
        return found_unique | (is_near & ~found_any)

    def _is_cut(self, mask: GeneratedMask) -> bool:
        """Return True if a mask ends at a side of its crop that is not a side of the region."""
        box = np.array(mask.box)
        near_crop = np.abs(box - mask.crop.box) <= CROP_EDGE
        near_region = np.abs(box - self.region) <= CROP_EDGE
        return bool((near_crop & ~near_region).any())


def _limit_memory(masks: list[GeneratedMask]) -> list[GeneratedMask]:
    """Convert masks to RLEs if their logits take too much memory."""
    if sum(mask.nbytes for mask in masks) <= MAX_LOGIT_BYTES:
        return masks
    return [mask if mask.rle is not None else mask.compressed() for mask in masks]
