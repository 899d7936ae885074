"""`MaskRecord`: one mask with its scores, under the keys of Meta's mask generator."""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict, cast

import numpy as np

from keras_sam.masks.coco_rle import (
    coco_rle_to_mask,
    coco_rle_to_runs,
    mask_to_coco_rle,
    runs_to_coco_rle,
)
from keras_sam.masks.measures import mask_area, mask_to_box
from keras_sam.masks.run_length_mask import RunLengthMask, mask_to_runs
from keras_sam.types import is_size

CATEGORY = "object"  # of a record that names none
SCORES = {"predicted_iou": 0, "stability_score": 0, "point_coords": 2, "crop_box": 1}  # dimensions


class MaskRecord(TypedDict):
    """One mask with its scores.

    Keys:
        segmentation: boolean `(H, W)`, or a COCO RLE.
        area: number of pixels.
        bbox: `[x, y, width, height]`, pixels.
        predicted_iou: the estimate of the mask's IoU.
        point_coords: `[[x, y], ...]`, the clicks that the mask was made from.
        stability_score: IoU of the mask cut at a higher and at a lower threshold.
        crop_box: `[x, y, width, height]` of the crop that the mask was found in.
        category: name of what the mask shows; SAM gives none.
    """

    segmentation: Any
    area: int
    bbox: list[float]
    predicted_iou: NotRequired[float]
    point_coords: NotRequired[list[list[float]]]
    stability_score: NotRequired[float]
    crop_box: NotRequired[list[float]]
    category: NotRequired[str]


@dataclass(frozen=True)
class AnnotatedImage:
    """An image with its masks, as annotation files hold it.

    Attributes:
        file_name: path of the image below the folder of images.
        size: `(height, width)`.
        records: its masks.
    """

    file_name: str
    size: tuple[int, int]
    records: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.file_name, str) or not self.file_name:
            raise ValueError(f"file_name must be a path, got {self.file_name!r}")
        if not is_size(self.size):
            raise ValueError(f"size must be (height, width) in whole pixels, got {self.size!r}")


def mask_to_record(mask: np.ndarray, *, category: str = CATEGORY, **scores: Any) -> MaskRecord:
    """A mask `(H, W)` as a record, with a compressed RLE, its area and its box.

    Args:
        mask: `(H, W)`.
        category: what the mask shows; left out where it is the name of anything, `object`.
        **scores: put into the record as they are.
    """
    x0, y0, x1, y1 = (float(side) for side in mask_to_box(mask))
    record = {
        "segmentation": mask_to_coco_rle(mask),
        "area": int(mask_area(mask)),
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        **scores,
    }
    return cast(MaskRecord, record if category == CATEGORY else record | {"category": category})


def record_to_mask(record: Mapping[str, Any], size: tuple[int, int] | None = None) -> np.ndarray:
    """The boolean mask `(H, W)` of a record.

    Args:
        record: its `segmentation` is a mask or a COCO RLE.
        size: the `(height, width)` that the mask must have.

    Raises:
        TypeError: if the record is no dictionary.
        ValueError: if it lacks a segmentation, or that is malformed or of another size.
    """
    segmentation = _segmentation(record)
    if isinstance(segmentation, Mapping):
        mask = coco_rle_to_mask(dict(segmentation))
    else:
        mask = _array_to_mask(segmentation)
    _check_size(mask.shape, size)
    return mask


def record_to_runs(record: Mapping[str, Any], size: tuple[int, int] | None = None) -> RunLengthMask:
    """The mask of a record as runs: one of an RLE is never drawn, whatever its size.

    It takes and refuses what `record_to_mask` does.
    """
    segmentation = _segmentation(record)
    if isinstance(segmentation, Mapping):
        runs = coco_rle_to_runs(segmentation)
        _check_size(tuple(segmentation["size"]), size)
        return runs
    mask = _array_to_mask(segmentation)
    _check_size(mask.shape, size)
    return mask_to_runs(mask)


def runs_to_annotation(runs: RunLengthMask, size: tuple[int, int]) -> dict[str, Any]:
    """What a record says of a mask in an image `(height, width)`: its RLE, area and box."""
    x0, y0, x1, y1 = (float(side) for side in runs.box)
    return {
        "segmentation": runs_to_coco_rle(runs, size),
        "area": runs.area,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
    }


def record_scores(record: Mapping[str, Any]) -> dict[str, Any]:
    """The scores, clicks and crop that a record has, as plain numbers, ready for JSON.

    Raises:
        ValueError: if one of them is not finite or not a number.
    """
    return {key: _plain(key, record[key]) for key in SCORES if record.get(key) is not None}


def record_category(record: Mapping[str, Any]) -> str:
    """The name of what a record's mask shows.

    Raises:
        ValueError: if it is not a text of one line.
    """
    category = record.get("category", CATEGORY)
    if not isinstance(category, str) or not category.strip() or len(category.splitlines()) > 1:
        raise ValueError(f"category must be a text of one line, got {reprlib.repr(category)}")
    return category


def record_categories(images: Sequence[AnnotatedImage]) -> list[str]:
    """The categories of some images in the order in which they first occur; never none."""
    names = (record_category(record) for image in images for record in image.records)
    return list(dict.fromkeys(names)) or [CATEGORY]


def _segmentation(record: Mapping[str, Any]) -> Any:
    if not isinstance(record, Mapping):
        raise TypeError(f"a record must be a dictionary, got {type(record).__name__}")
    if "segmentation" not in record:
        raise ValueError(f"a record must have a segmentation, got {reprlib.repr(list(record))}")
    return record["segmentation"]


def _array_to_mask(segmentation: Any) -> np.ndarray:
    mask = np.asarray(segmentation)
    if mask.ndim != 2 or mask.dtype.kind not in "biu":
        raise ValueError(
            "a segmentation is a boolean mask (H, W) or a COCO RLE, "
            f"got {mask.dtype} of shape {mask.shape}"
        )
    return mask.astype(bool, copy=False)


def _check_size(found: tuple[int, ...], size: tuple[int, int] | None) -> None:
    if size is not None and found != tuple(size):
        raise ValueError(f"a mask must have the image's size {tuple(size)}, got {found}")


def _plain(key: str, value: Any) -> Any:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.ndim != SCORES[key]:
        raise ValueError(f"{key} of a record is malformed: {reprlib.repr(value)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{key} of a record must be finite, got {reprlib.repr(value)}")
    plain: Any = array.astype(np.float64).tolist()
    return plain
