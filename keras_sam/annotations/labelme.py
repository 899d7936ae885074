"""`read_labelme` and `write_labelme`: an image's masks as a JSON file of LabelMe."""

import base64
import io
import json
import reprlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.annotations.mask_record import (
    AnnotatedImage,
    MaskRecord,
    mask_to_record,
    record_category,
    record_scores,
    record_to_mask,
    record_to_runs,
)
from keras_sam.files.atomic_file import write_atomically
from keras_sam.files.json_file import read_json
from keras_sam.images.read_image import MAX_PIXELS
from keras_sam.masks.mask_to_polygons import runs_to_polygons
from keras_sam.masks.polygons_to_mask import MAX_COORDINATE, polygons_to_mask
from keras_sam.masks.run_length_mask import RunLengthMask, runs_to_mask
from keras_sam.types import Size, is_size

SHAPE_FORMATS = ("polygons", "masks")
NUM_POINTS = {"circle": 2, "rectangle": 2, "oriented_rectangle": 4, "mask": 2}
WITHOUT_AREA = ("point", "points", "line", "linestrip")
LABELME_VERSION = "5.5.0"  # version of the written format


def read_labelme(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> AnnotatedImage:
    """Read a JSON file of LabelMe.

    Polygons, rectangles, circles and masks become records. Shapes with the same label and
    `group_id` become one record. A closed line strip counts as a polygon. Points and other lines
    have no area: they are skipped with a warning.

    Args:
        path: JSON file.
        max_pixels: Maximum number of pixels of the image.

    Returns:
        The image with its masks. `file_name` is the path stored in the file, relative to the
        file's folder. It may point anywhere.

    Raises:
        FileNotFoundError: If the file is missing.
        TypeError: If `path` is not a path.
        ValueError: If the file is not a LabelMe file, the image is too large, or a shape is
            malformed.
    """
    content, name = read_json(path), Path(path).name
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise ValueError(f"{name} is not a LabelMe file: 'shapes' must be a list")
    size = _read_size(content, name, max_pixels)
    records: dict[tuple[Any, ...], MaskRecord] = {}
    skipped: set[str] = set()
    for index, shape in enumerate(content["shapes"]):
        try:
            shape_type = _shape_type(shape)
            if shape_type in WITHOUT_AREA:
                skipped.add(shape_type)
            else:
                key = _group_key(shape, index)
                mask = _shape_to_mask(shape, shape_type, size)
                records[key] = _add_shape(records.get(key), shape, mask)
        except ValueError as error:
            raise ValueError(f"shape {index} of {name}: {error}") from error
    if skipped:
        warnings.warn(
            f"{name}: skipped shapes without an area: {', '.join(sorted(skipped))}", stacklevel=2
        )
    return AnnotatedImage(content["imagePath"], size, list(records.values()))


def write_labelme(
    image: AnnotatedImage,
    path: str | Path,
    *,
    format: str = "polygons",
    polygon_tolerance: float = 0.0,
) -> None:
    """Write an image's masks as a JSON file of LabelMe, which `read_labelme` reads back exactly.

    LabelMe keeps entries that it does not use, so scores survive an edit. Empty masks are skipped.

    Args:
        image: Image with its records. `file_name` is its path relative to the JSON file.
        path: JSON file to write. LabelMe expects the image's name with the suffix `.json`.
        format: `"polygons"`, whose corners can be edited, or `"masks"`, which need LabelMe 5.3 or
            later. The polygons of a mask share a `group_id`. LabelMe polygons have no holes, so a
            zero-width bridge connects each hole to the ring around it (`Polygon.to_ring`). Both
            formats are exact, but LabelMe itself fills polygons one pixel wider to the right and
            below.
        polygon_tolerance: Maximum distance in pixels from a dropped corner to the simplified
            polygon. 0 is exact. Only for `"polygons"`.

    Raises:
        ValueError: If the format is unknown or has no polygons for a tolerance, a mask does not
            have the image's size, or a score is not finite.
    """
    if format not in SHAPE_FORMATS:
        raise ValueError(f"format must be one of {', '.join(SHAPE_FORMATS)}, got {format!r}")
    if polygon_tolerance and format != "polygons":
        raise ValueError(f"polygon_tolerance needs format='polygons', got format={format!r}")
    shapes: list[dict[str, Any]] = []
    for index, record in enumerate(image.records):
        runs = record_to_runs(record, image.size)
        if format == "polygons":
            geometries = _polygon_geometries(runs, polygon_tolerance)
        else:
            geometries = _mask_geometries(runs)
        group_id = index if len(geometries) > 1 else None
        shapes += [_shape_entry(record, group_id, geometry) for geometry in geometries]
    content: dict[str, Any] = {
        "version": LABELME_VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image.file_name,
        "imageData": None,
        "imageHeight": int(image.size[0]),
        "imageWidth": int(image.size[1]),
    }
    write_atomically(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def _read_size(content: dict[str, Any], name: str, max_pixels: int) -> Size:
    size: Any = content.get("imageHeight"), content.get("imageWidth")
    if not is_size(size):
        raise ValueError(
            f"imageHeight and imageWidth of {name} must be whole pixels, got {reprlib.repr(size)}"
        )
    height, width = size
    if height * width > max_pixels:
        raise ValueError(
            f"the image of {name} has {width} x {height} pixels, more than the {max_pixels} allowed"
        )
    image_path = content.get("imagePath")
    if not isinstance(image_path, str) or not image_path:
        raise ValueError(f"the imagePath of {name} must be a path, got {reprlib.repr(image_path)}")
    return height, width


def _shape_type(shape: Any) -> str:
    if not isinstance(shape, dict):
        raise ValueError(f"a shape must be a dictionary, got {reprlib.repr(shape)}")
    shape_type = shape.get("shape_type") or "polygon"
    if shape_type == "linestrip":
        points = shape.get("points")
        if isinstance(points, list) and len(points) > 3 and points[0] == points[-1]:
            return "polygon"
    known_types = ("polygon", *NUM_POINTS, *WITHOUT_AREA)
    if shape_type not in known_types:
        raise ValueError(
            f"shape_type must be one of {', '.join(known_types)}, got {reprlib.repr(shape_type)}"
        )
    return str(shape_type)


def _group_key(shape: dict[str, Any], index: int) -> tuple[Any, ...]:
    """Return the key that the shapes of one record share."""
    label, group_id = shape.get("label"), shape.get("group_id")
    if not isinstance(label, str):
        raise ValueError(f"label must be a string, got {reprlib.repr(label)}")
    if group_id is None:
        return label, None, index
    if not isinstance(group_id, int) or isinstance(group_id, bool):
        raise ValueError(f"group_id must be a whole number or null, got {reprlib.repr(group_id)}")
    return label, group_id


def _add_shape(record: MaskRecord | None, shape: dict[str, Any], mask: np.ndarray) -> MaskRecord:
    """Add a shape to its group's record. The scores of the first shape take precedence."""
    scores = record_scores(shape)
    if record is not None:
        mask, scores = mask | record_to_mask(record), scores | record_scores(record)
    return mask_to_record(mask, category=shape["label"], **scores)


def _shape_to_mask(shape: dict[str, Any], shape_type: str, size: Size) -> np.ndarray:
    points = _parse_points(shape)
    expected = NUM_POINTS.get(shape_type)
    if len(points) != expected if expected else len(points) < 3:
        raise ValueError(
            f"a {shape_type} must have {expected or 'at least 3'} points, got {len(points)}"
        )
    if shape_type == "mask":
        return _patch_to_mask(shape.get("mask"), points[0], size)
    if shape_type == "circle":
        return _circle_to_mask(points[0], float(np.hypot(*(points[1] - points[0]))), size)
    if shape_type == "rectangle":
        (x0, y0), (x1, y1) = points
        points = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return polygons_to_mask([points], size)


def _parse_points(shape: dict[str, Any]) -> np.ndarray:
    """Return the points `(N, 2)` float64, in the range that `polygons_to_mask` accepts."""
    points = shape.get("points")
    wrong = f"points must be a list of [x, y], got {reprlib.repr(points)}"
    try:
        array = np.asarray(points)
    except (ValueError, OverflowError) as error:
        raise ValueError(wrong) from error
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iuf":
        raise ValueError(wrong)
    if not (np.abs(array) <= MAX_COORDINATE).all():
        raise ValueError(f"points must be finite and within {MAX_COORDINATE} pixels")
    return array.astype(np.float64)


def _circle_to_mask(center: np.ndarray, radius: float, size: Size) -> np.ndarray:
    """Return the pixels whose centers lie inside a circle."""
    dx = np.arange(size[1]) + 0.5 - center[0]
    dy = np.arange(size[0])[:, None] + 0.5 - center[1]
    half_width = np.sqrt(np.maximum(radius**2 - dy**2, 0))  # of each row
    mask: np.ndarray = (np.abs(dx) <= half_width) & (np.abs(dy) <= radius)
    return mask


def _patch_to_mask(encoded: Any, first_pixel: np.ndarray, size: Size) -> np.ndarray:
    """Decode a base64 PNG and place it in the image. Pixels outside the image are dropped."""
    if not isinstance(encoded, str):
        raise ValueError(f"mask must be a base64 PNG, got {reprlib.repr(encoded)}")
    try:
        file = io.BytesIO(base64.b64decode(encoded, validate=True))
        with Image.open(file, formats=("PNG",)) as image:
            # Rounded corners may add one pixel.
            if image.width > size[1] + 1 or image.height > size[0] + 1:
                raise ValueError(f"it has {image.width} x {image.height} pixels")
            patch = np.array(image)
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and others
        raise ValueError(f"mask must be a PNG that fits into the image: {error}") from error
    if patch.ndim != 2:
        raise ValueError(f"mask must be a PNG with one channel, got shape {patch.shape}")
    x, y = (int(value) for value in np.round(first_pixel))
    mask = np.zeros(size, bool)
    part = mask[max(0, y) : max(0, y + patch.shape[0]), max(0, x) : max(0, x + patch.shape[1])]
    top, left = max(0, -y), max(0, -x)
    part[:] = patch[top : top + part.shape[0], left : left + part.shape[1]] != 0
    return mask


def _polygon_geometries(runs: RunLengthMask, tolerance: float) -> list[dict[str, Any]]:
    return [
        {"shape_type": "polygon", "points": polygon.to_ring().astype(float).tolist()}
        for polygon in runs_to_polygons(runs, tolerance=tolerance)
    ]


def _mask_geometries(runs: RunLengthMask) -> list[dict[str, Any]]:
    """Return a PNG of the mask's box with its first and last pixel, or nothing if it is empty."""
    x0, y0, x1, y1 = runs.box
    if x0 == x1:
        return []
    buffer = io.BytesIO()
    Image.fromarray(runs_to_mask(runs, runs.box).astype(np.uint8)).save(buffer, "PNG")
    return [
        {
            "shape_type": "mask",
            "points": [[float(x0), float(y0)], [float(x1 - 1), float(y1 - 1)]],
            "mask": base64.b64encode(buffer.getvalue()).decode(),
        }
    ]


def _shape_entry(
    record: Mapping[str, Any], group_id: int | None, geometry: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "label": record_category(record),
        "group_id": group_id,
        "description": "",
        "flags": {},
        "mask": None,
        **geometry,
        **record_scores(record),
    }
