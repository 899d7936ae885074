"""`write_label_geotiff`: masks as a GeoTIFF label map, written block by block."""

import secrets
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.annotations.label_map import draw_order
from keras_sam.annotations.mask_record import record_to_runs
from keras_sam.images.georeference import Georeference
from keras_sam.images.open_raster import import_rasterio
from keras_sam.masks.run_length_mask import RunLengthMask, runs_to_mask
from keras_sam.types import Box, Size, is_size

BLOCK_SIZE = 512  # pixels


def write_label_geotiff(
    records: Sequence[Mapping[str, Any]],
    size: Size,
    path: str | Path,
    *,
    georeference: Georeference | None = None,
    overlap_priority: str = "small",
) -> None:
    """Write masks as one label map, for images of any size.

    Only one block is in memory at a time. The first record's mask has label 1, the second 2, and
    so on. 0 is background and the file's nodata value. Blocks without masks take little space.

    Args:
        records: Masks with their scores.
        size: `(height, width)` that all masks must have.
        path: GeoTIFF to write, with 8, 16 or 32 bits per pixel, tiled and compressed.
        georeference: Transform from pixels to map coordinates, stored in the file.
        overlap_priority: Mask that is visible where masks overlap, as in `records_to_label_map`.

    Raises:
        ImportError: If rasterio is not installed.
        ValueError: If a mask has another size, `overlap_priority` is unknown, or GDAL does not
            support the reference system.
    """
    if not is_size(size):
        raise ValueError(f"size must be (height, width) in whole pixels, got {size!r}")
    masks = [record_to_runs(record, size) for record in records]
    order = draw_order(masks, overlap_priority)
    path = Path(path)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        _write_blocks(masks, order, size, part, georeference)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write_blocks(
    masks: Sequence[RunLengthMask],
    order: np.ndarray,
    size: Size,
    path: Path,
    georeference: Georeference | None,
) -> None:
    rasterio = import_rasterio()
    boxes = np.array([mask.box for mask in masks], np.int64).reshape(-1, 4)[order]
    dtype = np.min_scalar_type(len(masks))
    options: dict[str, Any] = {"driver": "GTiff", "count": 1, "dtype": dtype.name, "nodata": 0}
    options |= {"tiled": True, "blockxsize": BLOCK_SIZE, "blockysize": BLOCK_SIZE}
    options |= {"compress": "deflate", "BIGTIFF": "IF_SAFER"}
    options |= {"height": size[0], "width": size[1]}
    if georeference is not None:
        options["transform"] = rasterio.Affine(*georeference.transform)
        options["crs"] = _crs(rasterio, georeference.crs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rasterio warns about files without a georeference
        with rasterio.open(path, "w", **options) as file:
            for _, window in file.block_windows(1):
                x0, y0 = window.col_off, window.row_off
                block = x0, y0, x0 + window.width, y0 + window.height
                is_hit = ((boxes[:, :2] < block[2:]) & (boxes[:, 2:] > block[:2])).all(axis=1)
                if is_hit.any():
                    labels = _block_labels(masks, order[is_hit], block, dtype)
                    file.write(labels, 1, window=window)


def _crs(rasterio: Any, name: str | None) -> Any:
    try:
        return None if name is None else rasterio.crs.CRS.from_user_input(name)
    except rasterio.errors.CRSError as error:
        raise ValueError(f"GDAL does not support the reference system {name!r}: {error}") from error


def _block_labels(
    masks: Sequence[RunLengthMask], order: np.ndarray, block: Box, dtype: np.dtype
) -> np.ndarray:
    labels = np.zeros((block[3] - block[1], block[2] - block[0]), dtype)
    for index in order.tolist():
        labels[runs_to_mask(masks[index], block)] = index + 1
    return labels
