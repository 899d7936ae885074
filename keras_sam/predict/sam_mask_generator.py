"""`SAMMaskGenerator`: automatic mask generation."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_sam.annotations.mask_record import MaskRecord
from keras_sam.images.read_image import read_image
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.crop_search import CropSearch
from keras_sam.predict.generated_mask import GeneratedMask
from keras_sam.predict.generator_config import GeneratorConfig
from keras_sam.predict.nms import (
    nms_across_crops,
    nms_within_crop,
    remove_small_regions_of_masks,
)
from keras_sam.predict.sam_predictor import SAMPredictor
from keras_sam.transforms.check_prompts import check_box

Progress = Callable[[int, int], Any]


@dataclass(frozen=True)
class GenerationUpdate:
    """Changes to the list of masks after one batch of prompts.

    Attributes:
        added: New records by index.
        removed: Indices of records that were replaced by better ones.
        completed: Number of prompts processed.
        total: Number of prompts planned. With `points_per_side="auto"`, an estimate.
    """

    added: dict[int, MaskRecord]
    removed: tuple[int, ...]
    completed: int
    total: int


class SAMMaskGenerator:
    """Generates masks for an entire image from a grid of points.

    Options, defaults, and the order and keys of the results are those of Meta's
    `SamAutomaticMaskGenerator`.

        generator = SAMMaskGenerator(model, points_per_side="auto")
        records = generator.generate("photo.jpg")

    Args:
        model: Segmenter, or a predictor whose compiled programs are used.
        config: Options. Defaults to `GeneratorConfig()`.
        **options: Fields of `GeneratorConfig`, which replace those of `config`.

    Raises:
        TypeError: If an option is unknown, or an argument has another type.
        ValueError: If an option is out of its range.
    """

    def __init__(
        self,
        model: SAMImageSegmenter | SAMPredictor,
        config: GeneratorConfig | None = None,
        **options: Any,
    ) -> None:
        if config is not None and not isinstance(config, GeneratorConfig):
            raise TypeError(
                f"config must be a GeneratorConfig, got {type(config).__name__}; "
                "give options by name, such as points_per_side=32"
            )
        self.predictor = model if isinstance(model, SAMPredictor) else SAMPredictor(model)
        thresholds = self.predictor.model.inference_config.mask_thresholds
        config = replace(config or GeneratorConfig(), **options)
        self.config = config.with_thresholds(thresholds)

    def generate(
        self,
        image: Any,
        *,
        boxes: Any = None,
        region: Any = None,
        progress: Progress | None = None,
    ) -> list[MaskRecord]:
        """Generate all masks of an image.

        Args:
            image: Image `(H, W, 3)`, uint8, or anything else that `read_image` accepts.
            boxes: Box prompts `(K, 4)` XYXY in pixels, used instead of the point grid.
            region: Box `(4,)` XYXY in pixels. If given, only this part of the image is
                processed, like an image of its own. Records are still in the frame of the whole
                image.
            progress: Function called with the number of prompts processed and planned. An
                exception in it ends the generation.

        Returns:
            Records with Meta's keys: `segmentation`; `area` in pixels; `bbox` XYWH, whose width
            is measured from the first to the last pixel; `predicted_iou`; `point_coords`
            `[[x, y]]`, the center for a box; `stability_score`; and `crop_box` XYWH.

        Raises:
            ImageError: If the image cannot be read.
            ValueError: If the region is not inside the image, or there are no boxes, or one is
                not inside the region.
        """
        masks: list[GeneratedMask] = []
        search = self._search(image, boxes, region)
        for step in search.run():
            masks = step.finished
            if progress is not None:
                progress(step.completed, step.total)
        masks = self._postprocess(self._merge_crops(masks), search)
        return [mask.to_record(self.config.output_mode) for mask in masks]

    def iterate(
        self, image: Any, *, boxes: Any = None, region: Any = None
    ) -> Iterator[GenerationUpdate]:
        """Generate masks and yield changes batch by batch. May be stopped at any time.

        The records added and not removed are the masks of the prompts so far. At the end, they
        are those of `generate`.

        Args:
            image: See `generate`.
            boxes: See `generate`.
            region: See `generate`.
        """
        indices: dict[GeneratedMask, int] = {}
        count = 0
        search = self._search(image, boxes, region)
        for step in search.run():
            current = nms_within_crop(step.current, self.config.box_nms_thresh)
            merged = self._merge_crops(step.finished + current)
            update = self._update(indices, merged, count, step.completed, step.total)
            count += len(update.added)
            yield update
        cleaned = self._postprocess(list(indices), search)
        update = self._update(indices, cleaned, count, update.completed, update.total)
        if update.added or update.removed:
            yield update

    def _update(
        self,
        indices: dict[GeneratedMask, int],
        masks: list[GeneratedMask],
        count: int,
        completed: int,
        total: int,
    ) -> GenerationUpdate:
        """Change `indices` to contain exactly `masks`, in their order, and return the changes."""
        removed = tuple(sorted(indices.pop(mask) for mask in set(indices) - set(masks)))
        new = [mask for mask in masks if mask not in indices]
        indices.update(zip(new, range(count, count + len(new)), strict=True))
        for mask in masks:
            indices[mask] = indices.pop(mask)
        added = {indices[mask]: mask.to_record(self.config.output_mode) for mask in new}
        return GenerationUpdate(added, removed, completed, total)

    def _search(self, image: Any, boxes: Any, region: Any) -> CropSearch:
        pixels = read_image(image)
        size = (pixels.shape[0], pixels.shape[1])
        x0, y0, x1, y1 = (0, 0, size[1], size[0]) if region is None else check_box(region, size)
        bounds = (math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1))
        if boxes is not None:
            if np.ndim(boxes) != 2 or not len(boxes):
                raise ValueError(
                    f"boxes must have shape (K, 4) with at least one box, got {np.shape(boxes)}"
                )
            boxes = np.stack([check_box(box, size) for box in boxes])
            if ((boxes[:, :2] < bounds[:2]) | (boxes[:, 2:] > bounds[2:])).any():
                raise ValueError(f"boxes must lie in the region {bounds}, got {boxes.tolist()}")
        return CropSearch(self.predictor, self.config, pixels, region=bounds, boxes=boxes)

    def _merge_crops(self, masks: list[GeneratedMask]) -> list[GeneratedMask]:
        if not self.config.crop_n_layers:
            return masks
        return nms_across_crops(masks, self.config.crop_nms_thresh)

    def _postprocess(self, masks: list[GeneratedMask], search: CropSearch) -> list[GeneratedMask]:
        min_area = self.config.min_mask_region_area
        if not min_area:
            return masks
        threshold = max(self.config.box_nms_thresh, self.config.crop_nms_thresh)
        return remove_small_regions_of_masks(masks, min_area, threshold, region=search.region)
