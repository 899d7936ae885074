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
from keras_sam.types import Box, Size, is_size

DEFAULT_CATEGORY = "object"  # of records without a category
# Shape of each score, None for any length, and its description in errors.
SCORE_SHAPES: dict[str, tuple[tuple[int | None, ...], str]] = {
    "predicted_iou": ((), "a number"),
    "stability_score": ((), "a number"),
    "point_coords": ((None, 2), "a list of [x, y]"),
    "crop_box": ((4,), "[x, y, width, height]"),
}


class MaskRecord(TypedDict):
    """One mask with its scores.

    Attributes:
        segmentation: Boolean mask `(H, W)`, or a COCO RLE.
        area: Number of pixels in the mask.
        bbox: Bounding box `[x, y, width, height]` in pixels.
        predicted_iou: The model's estimate of the mask's IoU.
        point_coords: Prompt points `[[x, y], ...]` in pixels.
        stability_score: IoU of the masks cut at a higher and at a lower threshold, in [0, 1].
        crop_box: Crop `[x, y, width, height]` in which the mask was predicted, in pixels.
        category: Name of the object's class. SAM predicts none.
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
    """An image's name and size with its masks.

    Attributes:
        file_name: Path of the image, relative to the image folder.
        size: `(height, width)` in pixels.
        records: Masks with their scores.

    Raises:
        ValueError: If the file name is empty, or the size is not positive.
    """

    file_name: str
    size: Size
    records: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.file_name, str) or not self.file_name:
            raise ValueError(f"file_name must be a path, got {self.file_name!r}")
        if not is_size(self.size):
            raise ValueError(f"size must be (height, width) in whole pixels, got {self.size!r}")


def mask_to_record(
    mask: np.ndarray, *, category: str = DEFAULT_CATEGORY, **scores: Any
) -> MaskRecord:
    """Convert a mask to a record with a compressed RLE, its area and its box.

    Args:
        mask: Boolean `(H, W)`.
        category: Name of the object's class. The default is not stored in the record.
        **scores: Further entries of the record, such as `predicted_iou`.
    """
    record = {
        "segmentation": mask_to_coco_rle(mask),
        "area": int(mask_area(mask)),
        "bbox": box_to_xywh(mask_to_box(mask)),
        **scores,
    }
    if category != DEFAULT_CATEGORY:
        record["category"] = category
    return cast(MaskRecord, record)


def record_to_mask(record: Mapping[str, Any], size: Size | None = None) -> np.ndarray:
    """Convert a record to a boolean mask `(H, W)`.

    Args:
        record: Record whose `segmentation` is a mask or a COCO RLE.
        size: Expected `(height, width)` of the mask, or None to accept any.

    Raises:
        TypeError: If the record is not a dictionary.
        ValueError: If the segmentation is missing, malformed or of another size.
    """
    segmentation = _segmentation(record)
    if isinstance(segmentation, Mapping):
        mask = coco_rle_to_mask(dict(segmentation))
    else:
        mask = _array_to_mask(segmentation)
    _check_size(mask.shape, size)
    return mask


def record_to_runs(record: Mapping[str, Any], size: Size | None = None) -> RunLengthMask:
    """Convert a record to a run-length mask.

    An RLE is never decoded to pixels, so images of any size are cheap.

    Args:
        record: Record whose `segmentation` is a mask or a COCO RLE.
        size: Expected `(height, width)` of the mask, or None to accept any.

    Raises:
        TypeError: If the record is not a dictionary.
        ValueError: If the segmentation is missing, malformed or of another size.
    """
    segmentation = _segmentation(record)
    if isinstance(segmentation, Mapping):
        runs = coco_rle_to_runs(segmentation)
        _check_size(tuple(segmentation["size"]), size)
        return runs
    mask = _array_to_mask(segmentation)
    _check_size(mask.shape, size)
    return mask_to_runs(mask)


def runs_to_annotation(runs: RunLengthMask, size: Size) -> dict[str, Any]:
    """Convert a run-length mask to the `segmentation`, `area` and `bbox` of a record.

    Args:
        runs: Mask.
        size: `(height, width)` of the image.

    Raises:
        ValueError: If the mask extends beyond the image, or the image is too large for an RLE.
    """
    return {
        "segmentation": runs_to_coco_rle(runs, size),
        "area": runs.area,
        "bbox": box_to_xywh(runs.box),
    }


def box_to_xywh(box: Box | np.ndarray) -> list[float]:
    """Convert a box `(x0, y0, x1, y1)` to `[x, y, width, height]`, as in records."""
    x0, y0, x1, y1 = (float(side) for side in box)
    return [x0, y0, x1 - x0, y1 - y0]


def record_scores(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores, prompt points and crop of a record as plain numbers, ready for JSON.

    Scores that the record does not have are omitted.

    Raises:
        ValueError: If a score is not finite or not a number.
    """
    keys = [key for key in SCORE_SHAPES if record.get(key) is not None]
    return {key: _score_to_plain(key, record[key]) for key in keys}


def record_category(record: Mapping[str, Any]) -> str:
    """Return the category of a record, or `DEFAULT_CATEGORY` if it has none.

    Raises:
        ValueError: If the category is not one line of text.
    """
    category = record.get("category", DEFAULT_CATEGORY)
    if not isinstance(category, str) or not category.strip() or len(category.splitlines()) > 1:
        raise ValueError(f"category must be one line of text, got {reprlib.repr(category)}")
    return category


def record_categories(images: Sequence[AnnotatedImage]) -> list[str]:
    """List the categories of some images in the order of their first records.

    The list is never empty: without records it contains `DEFAULT_CATEGORY`.
    """
    names = (record_category(record) for image in images for record in image.records)
    return list(dict.fromkeys(names)) or [DEFAULT_CATEGORY]


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
            "segmentation must be a boolean mask (H, W) or a COCO RLE, "
            f"got {mask.dtype} of shape {mask.shape}"
        )
    return mask.astype(bool, copy=False)


def _check_size(mask_size: tuple[int, ...], size: Size | None) -> None:
    if size is not None and mask_size != tuple(size):
        raise ValueError(f"a mask must have the image's size {tuple(size)}, got {mask_size}")


def _score_to_plain(key: str, value: Any) -> Any:
    shape, description = SCORE_SHAPES[key]
    wrong = f"{key} of a record must be {description}, got {reprlib.repr(value)}"
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValueError(wrong) from error
    has_shape = array.ndim == len(shape) and all(
        expected in (None, length) for expected, length in zip(shape, array.shape, strict=True)
    )
    if array.dtype.kind not in "iuf" or not has_shape:
        raise ValueError(wrong)
    if not np.isfinite(array).all():
        raise ValueError(f"{key} of a record must be finite, got {reprlib.repr(value)}")
    plain: Any = array.astype(np.float64).tolist()
    return plain
