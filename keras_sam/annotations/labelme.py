"""`read_labelme`: an image's masks from the annotation tool LabelMe."""

import base64
import io
import reprlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.annotations.record import (
    AnnotatedImage,
    MaskRecord,
    mask_to_record,
    record_scores,
    record_to_mask,
)
from keras_sam.files.json_file import read_json
from keras_sam.images.read_image import MAX_PIXELS
from keras_sam.masks.polygons_to_mask import MAX_COORDINATE, polygons_to_mask
from keras_sam.types import is_size

POINTS = {"circle": 2, "rectangle": 2, "oriented_rectangle": 4, "mask": 2}  # that each has
WITHOUT_AREA = ("point", "points", "line", "linestrip")


def read_labelme(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> AnnotatedImage:
    """Reads a JSON file of LabelMe.

    Polygons, rectangles, circles and masks become records; shapes with one label and `group_id`
    are one record. A line strip whose last point is its first is taken as the polygon it runs
    around. Points and other lines have no area: they are left out, with a warning.

    Args:
        path: the JSON file.
        max_pixels: larger images are refused, as by `read_image`.

    Returns:
        The image. Its `file_name` is what the file says, seen from its folder; it may lead
        anywhere.

    Raises:
        FileNotFoundError: if the file is missing.
        TypeError: if `path` is no path.
        ValueError: if it is not such a file, or a shape is malformed.
    """
    content, name = read_json(path), Path(path).name
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise ValueError(f"{name} is not a file of LabelMe: it lacks a list of 'shapes'")
    size = _read_size(content, name, max_pixels)
    records: dict[Any, MaskRecord] = {}
    without_area: list[str] = []
    for index, shape in enumerate(content["shapes"]):
        try:
            kind = _kind(shape)
            if kind in WITHOUT_AREA:
                without_area.append(kind)
            else:
                key = _group(shape, index)
                records[key] = _join(records.get(key), shape, _shape_mask(shape, kind, size))
        except ValueError as error:
            raise ValueError(f"shape {index} of {name}: {error}") from error
    if without_area:
        kinds = ", ".join(sorted(set(without_area)))
        warnings.warn(f"{name}: shapes without an area were left out: {kinds}", stacklevel=2)
    return AnnotatedImage(content["imagePath"], size, list(records.values()))


def _read_size(content: dict[str, Any], name: str, max_pixels: int) -> tuple[int, int]:
    size: Any = content.get("imageHeight"), content.get("imageWidth")
    if not is_size(size):
        raise ValueError(
            f"{name} must have imageHeight and imageWidth in whole pixels, got {reprlib.repr(size)}"
        )
    if size[0] * size[1] > max_pixels:
        raise ValueError(
            f"the image of {name} has {size[1]} x {size[0]} pixels, "
            f"more than the {max_pixels} allowed"
        )
    if not isinstance(content.get("imagePath"), str) or not content["imagePath"]:
        raise ValueError(
            f"the imagePath of {name} must be a path, got {reprlib.repr(content.get('imagePath'))}"
        )
    height, width = size
    return height, width


def _kind(shape: Any) -> str:
    if not isinstance(shape, dict):
        raise ValueError(f"a shape is a dictionary, got {reprlib.repr(shape)}")
    kind = shape.get("shape_type") or "polygon"
    if kind == "linestrip":
        points = shape.get("points")
        if isinstance(points, list) and len(points) > 3 and points[0] == points[-1]:
            return "polygon"
    if kind != "polygon" and kind not in (*POINTS, *WITHOUT_AREA):
        raise ValueError(f"its shape_type is unknown: {reprlib.repr(kind)}")
    return str(kind)


def _group(shape: dict[str, Any], index: int) -> tuple[Any, ...]:
    """What the shapes of one record have in common; the label comes first."""
    label, group = shape.get("label"), shape.get("group_id")
    if not isinstance(label, str):
        raise ValueError(f"its label must be a text, got {reprlib.repr(label)}")
    if group is None:
        return label, None, index
    if not isinstance(group, int) or isinstance(group, bool):
        raise ValueError(f"its group_id must be a whole number or null, got {reprlib.repr(group)}")
    return label, group


def _join(record: MaskRecord | None, shape: dict[str, Any], mask: np.ndarray) -> MaskRecord:
    """A shape as a record, or as a further part of one; the first part's scores count."""
    scores = record_scores(shape)
    if record is not None:
        mask, scores = mask | record_to_mask(record), scores | record_scores(record)
    return mask_to_record(mask, category=shape["label"], **scores)


def _shape_mask(shape: dict[str, Any], kind: str, size: tuple[int, int]) -> np.ndarray:
    points = _points(shape)
    expected = POINTS.get(kind)
    if len(points) != expected if expected else len(points) < 3:
        raise ValueError(f"a {kind} has {expected or 'at least 3'} points, got {len(points)}")
    if kind == "mask":
        return _patch_mask(shape.get("mask"), points[0], size)
    if kind == "circle":
        return _circle_mask(points[0], float(np.hypot(*(points[1] - points[0]))), size)
    if kind == "rectangle":
        (x0, y0), (x1, y1) = points
        points = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return polygons_to_mask([points], size)


def _points(shape: dict[str, Any]) -> np.ndarray:
    """`(N, 2)` float64, within what `polygons_to_mask` takes."""
    points = shape.get("points")
    wrong = f"its points must be a list of [x, y], got {reprlib.repr(points)}"
    try:
        array = np.asarray(points)
    except (ValueError, OverflowError) as error:
        raise ValueError(wrong) from error
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iuf":
        raise ValueError(wrong)
    if not (np.abs(array) <= MAX_COORDINATE).all():
        raise ValueError(f"its points must be finite and within {MAX_COORDINATE} pixels")
    return array.astype(np.float64)


def _circle_mask(center: np.ndarray, radius: float, size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centers lie in a circle."""
    below = np.arange(size[0])[:, None] + 0.5 - center[1]
    reach = np.sqrt(np.maximum(radius**2 - below**2, 0))
    beside = np.abs(np.arange(size[1]) + 0.5 - center[0])
    mask: np.ndarray = (beside <= reach) & (np.abs(below) <= radius)
    return mask


def _patch_mask(encoded: Any, first_pixel: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A PNG in base64, laid on the image; what lies outside is cut off."""
    if not isinstance(encoded, str):
        raise ValueError(f"its mask must be a PNG in base64, got {reprlib.repr(encoded)}")
    try:
        file = io.BytesIO(base64.b64decode(encoded, validate=True))
        with Image.open(file, formats=("PNG",)) as picture:
            if picture.width > size[1] + 1 or picture.height > size[0] + 1:  # rounded corners
                raise ValueError(f"it has {picture.width} x {picture.height} pixels")
            patch = np.array(picture)
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and others
        raise ValueError(f"its mask is not a PNG that fits the image: {error}") from error
    if patch.ndim != 2:
        raise ValueError(f"its mask must have one channel, got shape {patch.shape}")
    x, y = (int(value) for value in np.round(first_pixel))
    mask = np.zeros(size, bool)
    part = mask[max(0, y) : max(0, y + patch.shape[0]), max(0, x) : max(0, x + patch.shape[1])]
    left, top = max(0, -x), max(0, -y)
    part[:] = patch[top : top + part.shape[0], left : left + part.shape[1]] != 0
    return mask
