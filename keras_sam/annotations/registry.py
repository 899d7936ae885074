"""`write_masks`: the masks of one image in any of the formats."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_sam.annotations.geojson import write_geojson
from keras_sam.annotations.label_geotiff import write_label_geotiff
from keras_sam.annotations.label_map import records_to_label_map, write_label_map
from keras_sam.annotations.mask_pngs import write_mask_pngs
from keras_sam.annotations.npz import write_npz
from keras_sam.annotations.record import AnnotatedImage
from keras_sam.annotations.write_coco import write_coco
from keras_sam.annotations.write_labelme import write_labelme
from keras_sam.annotations.yolo import write_yolo
from keras_sam.images.georeference import Georeference


def write_masks(
    records: Sequence[Mapping[str, Any]],
    image_size: tuple[int, int],
    path: str | Path,
    *,
    form: str = "coco",
    file_name: str = "image.png",
    georeference: Georeference | None = None,
    tolerance: float = 0.0,
) -> Path:
    """Writes the masks of one image.

    Args:
        records: masks with their scores, as the mask generator gives them.
        image_size: `(height, width)`, which all masks must have.
        path: the file, or for `png` and `yolo` the folder.
        form: one of `MASK_FORMATS`.
        file_name: the image's path, which `coco`, `labelme` and `yolo` name.
        georeference: from pixels to the map, which `geojson` needs, and a label map that ends in
            `.tif` keeps; no other has a place for it.
        tolerance: pixels by which the corners of outlines may be off; 0 is exact. For
            `coco-polygons`, `geojson`, `labelme` and `yolo`.

    Returns:
        The path that was written. A label map of more than 65,535 masks ends in `.npy`.

    Raises:
        ValueError: if the form is unknown or has no outlines for a tolerance, a mask has another
            size, or `geojson` lacks its georeference.
        ImportError: for a label map that ends in `.tif`, if rasterio is missing.
    """
    if form not in MASK_FORMATS:
        raise ValueError(f"form must be one of {', '.join(MASK_FORMATS)}, got {form!r}")
    if tolerance and form not in POLYGON_FORMATS:
        raise ValueError(
            f"{form} holds no outlines, so that a tolerance of {tolerance} is senseless"
        )
    image = AnnotatedImage(file_name, image_size, records)
    written = MASK_FORMATS[form](image, Path(path), tolerance, georeference)
    return Path(path) if written is None else written


def _write_label_map(
    image: AnnotatedImage, path: Path, _: float, georeference: Georeference | None
) -> Path:
    if path.suffix.lower() in (".tif", ".tiff"):
        write_label_geotiff(image.records, image.size, path, georeference=georeference)
        return path
    return write_label_map(records_to_label_map(image.records, image.size), path)


def _write_pngs(image: AnnotatedImage, path: Path, *_: Any) -> None:
    write_mask_pngs(image.records, path, size=image.size)


def _write_coco(image: AnnotatedImage, path: Path, *_: Any) -> None:
    write_coco([image], path)


def _write_coco_polygons(image: AnnotatedImage, path: Path, tolerance: float, _: Any) -> None:
    write_coco([image], path, form="polygons", tolerance=tolerance)


def _write_labelme(image: AnnotatedImage, path: Path, tolerance: float, _: Any) -> None:
    write_labelme(image, path, tolerance=tolerance)


def _write_yolo(image: AnnotatedImage, path: Path, tolerance: float, _: Any) -> None:
    write_yolo([image], path, tolerance=tolerance)


def _write_geojson(
    image: AnnotatedImage, path: Path, tolerance: float, georeference: Georeference | None
) -> None:
    if georeference is None:
        raise ValueError("geojson needs a georeference: the picture names no place on the map")
    write_geojson(
        image.records, path, georeference=georeference, size=image.size, tolerance=tolerance
    )


def _write_npz(image: AnnotatedImage, path: Path, *_: Any) -> None:
    write_npz(image.records, path, size=image.size)


MASK_FORMATS: dict[str, Callable[..., Path | None]] = {
    "coco": _write_coco,
    "coco-polygons": _write_coco_polygons,
    "geojson": _write_geojson,
    "label-map": _write_label_map,
    "labelme": _write_labelme,
    "npz": _write_npz,
    "png": _write_pngs,
    "yolo": _write_yolo,
}
POLYGON_FORMATS = ("coco-polygons", "geojson", "labelme", "yolo")
