"""`write_masks` and `MASK_FORMATS`: the masks of one image in any output format.

A new format is one file with its writer, and one row in `MASK_FORMATS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from keras_sam.annotations.coco import write_coco
from keras_sam.annotations.geojson import write_geojson
from keras_sam.annotations.label_geotiff import write_label_geotiff
from keras_sam.annotations.label_map import records_to_label_map, write_label_map
from keras_sam.annotations.labelme import write_labelme
from keras_sam.annotations.mask_pngs import write_mask_pngs
from keras_sam.annotations.mask_record import AnnotatedImage
from keras_sam.annotations.npz import write_npz
from keras_sam.annotations.yolo import write_yolo
from keras_sam.images.georeference import Georeference
from keras_sam.types import Size


def write_masks(
    records: Sequence[Mapping[str, Any]],
    size: Size,
    path: str | Path,
    *,
    format: str = "coco",
    file_name: str = "image.png",
    georeference: Georeference | None = None,
    polygon_tolerance: float = 0.0,
) -> Path:
    """Write the masks of one image.

    Args:
        records: Masks with their scores, as returned by `SAMMaskGenerator.generate`.
        size: `(height, width)` that all masks must have.
        path: File to write, or a folder for `png` and `yolo`.
        format: Key of `keras_sam.annotations.registry.MASK_FORMATS`.
        file_name: Path of the image, stored in `coco`, `coco-polygons` and `labelme` files. The
            label file of `yolo` is named after it.
        georeference: Transform from pixels to map coordinates. Required by `geojson`, and stored
            in a label map with the suffix `.tif`. Other formats do not use it.
        polygon_tolerance: Maximum distance in pixels from a dropped corner to the simplified
            polygon. 0 is exact. Only for formats with polygons.

    Returns:
        The path that was written. A label map with a label above 65,535 gets the suffix `.npy`.

    Raises:
        ValueError: If the format is unknown, a tolerance is given for a format without polygons,
            a required georeference is missing, or a mask has another size.
        ImportError: If a label map has the suffix `.tif` and rasterio is not installed.
    """
    mask_format = find_mask_format(format, polygon_tolerance=polygon_tolerance)
    if mask_format.needs_georeference and georeference is None:
        raise ValueError(f"format {format} needs a georeference, got None")
    image, path = AnnotatedImage(file_name, size, records), Path(path)
    written = mask_format.write(image, path, WriteOptions(polygon_tolerance, georeference))
    return written if isinstance(written, Path) else path


@dataclass(frozen=True)
class WriteOptions:
    """Options of `write_masks` for the writer of a format.

    Attributes:
        polygon_tolerance: Maximum distance in pixels from a dropped corner to the simplified
            polygon. 0 is exact.
        georeference: Transform from pixels to map coordinates, if known.
    """

    polygon_tolerance: float = 0.0
    georeference: Georeference | None = None


@dataclass(frozen=True)
class MaskFormat:
    """One output format for the masks of an image.

    Attributes:
        name: Name of the format, as in `write_masks` and `keras-sam masks --format`.
        description: One line for `--help` and the documentation.
        write: Function that writes an image's masks to a path. If it writes to another path, it
            returns that `Path`. Other return values are ignored.
        output_path: File or folder of one image, relative to the output folder. `{stem}` is the
            stem of the image's file name.
        done_paths: Files relative to the output folder. If one of them exists, the image is
            complete. Defaults to `output_path`.
        has_polygons: If True, the format uses `polygon_tolerance`.
        needs_georeference: If True, the format cannot be written without a georeference.
    """

    name: str
    description: str
    write: Callable[[AnnotatedImage, Path, WriteOptions], Any]
    output_path: str
    done_paths: tuple[str, ...] = ()
    has_polygons: bool = False
    needs_georeference: bool = False

    def path_for(self, output_folder: Path, image_path: Path) -> Path:
        """Return the file or folder for the masks of an image."""
        return output_folder / self.output_path.format(stem=image_path.stem)

    def is_done(self, output_folder: Path, image_path: Path) -> bool:
        """Return True if the masks of an image have been written completely."""
        return any(
            (output_folder / path.format(stem=image_path.stem)).exists()
            for path in self.done_paths or (self.output_path,)
        )


def find_mask_format(name: str, *, polygon_tolerance: float = 0.0) -> MaskFormat:
    """Return a row of `MASK_FORMATS`, and check that the format supports a tolerance.

    Raises:
        ValueError: If the format is unknown, or has no polygons for the tolerance.
    """
    if name not in MASK_FORMATS:
        raise ValueError(f"format must be one of {', '.join(MASK_FORMATS)}, got {name!r}")
    mask_format = MASK_FORMATS[name]
    if polygon_tolerance and not mask_format.has_polygons:
        raise ValueError(
            f"polygon tolerance must be 0 for format {name}, which has no polygons, "
            f"got {polygon_tolerance}"
        )
    return mask_format


def _write_label_map(image: AnnotatedImage, path: Path, options: WriteOptions) -> Path:
    if path.suffix.lower() not in (".tif", ".tiff"):
        return write_label_map(records_to_label_map(image.records, image.size), path)
    write_label_geotiff(image.records, image.size, path, georeference=options.georeference)
    return path


_ROWS = (
    MaskFormat(
        name="coco",
        description="COCO JSON with compressed RLEs",
        write=lambda image, path, _: write_coco([image], path),
        output_path="{stem}_masks.json",
    ),
    MaskFormat(
        name="coco-polygons",
        description="COCO JSON with polygons",
        write=lambda image, path, options: write_coco(
            [image], path, format="polygons", polygon_tolerance=options.polygon_tolerance
        ),
        output_path="{stem}_polygons.json",
        has_polygons=True,
    ),
    MaskFormat(
        name="geojson",
        description="GeoJSON polygons in map coordinates, for georeferenced images",
        write=lambda image, path, options: write_geojson(
            image.records,
            path,
            georeference=cast(Georeference, options.georeference),
            size=image.size,
            polygon_tolerance=options.polygon_tolerance,
        ),
        output_path="{stem}_masks.geojson",
        has_polygons=True,
        needs_georeference=True,
    ),
    MaskFormat(
        name="label-map",
        description="PNG with one label per pixel",
        write=_write_label_map,
        output_path="{stem}_masks.png",
        done_paths=("{stem}_masks.png", "{stem}_masks.npy"),
    ),
    MaskFormat(
        name="labelme",
        description="LabelMe JSON with polygons",
        write=lambda image, path, options: write_labelme(
            image, path, polygon_tolerance=options.polygon_tolerance
        ),
        output_path="{stem}_labelme.json",
        has_polygons=True,
    ),
    MaskFormat(
        name="npz",
        description="NumPy arrays of masks and scores",
        write=lambda image, path, _: write_npz(image.records, path, size=image.size),
        output_path="{stem}_masks.npz",
    ),
    MaskFormat(
        name="png",
        description="folder with one PNG per mask and a table of scores",
        write=lambda image, path, _: write_mask_pngs(image.records, path, size=image.size),
        output_path="{stem}_masks",
        done_paths=("{stem}_masks/metadata.csv",),
    ),
    MaskFormat(
        name="yolo",
        description="YOLO segmentation labels, one folder for all images",
        write=lambda image, path, options: write_yolo(
            [image], path, polygon_tolerance=options.polygon_tolerance
        ),
        output_path="",
        done_paths=("labels/{stem}.txt",),
        has_polygons=True,
    ),
)
MASK_FORMATS = {row.name: row for row in _ROWS}
"""Output formats by name."""
