"""`write_label_geotiff`: masks as a GeoTIFF of labels, block by block."""

import secrets
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.annotations.label_map import draw_order
from keras_sam.annotations.record import record_to_runs
from keras_sam.images.georeference import Georeference
from keras_sam.images.open_dataset import import_rasterio
from keras_sam.masks.run_length_mask import RunLengthMask, runs_to_mask
from keras_sam.types import is_size

BLOCK = 512  # pixels along each side


def write_label_geotiff(
    records: Sequence[Mapping[str, Any]],
    size: tuple[int, int],
    path: str | Path,
    *,
    georeference: Georeference | None = None,
    overlap_priority: str = "small",
) -> None:
    """Writes masks as one map of labels, of an image of any size: it is never held whole.

    The mask of the first record has the label 1, and so on; 0 is where there is none, and the
    file's nodata. Blocks without masks take little space.

    Args:
        records: masks with their scores.
        size: `(height, width)`.
        path: the GeoTIFF, of 8, 16 or 32 bits, tiled and compressed.
        georeference: where it lies on the map.
        overlap_priority: as `records_to_label_map`.

    Raises:
        ImportError: if rasterio is missing.
        ValueError: if a mask has another size, `overlap_priority` is something else, or GDAL does not know
            the reference system.
    """
    if not is_size(size):
        raise ValueError(f"size must be (height, width) in whole pixels, got {size!r}")
    masks = [record_to_runs(record, size) for record in records]
    order = draw_order(masks, overlap_priority)
    path = Path(path)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        _write(masks, order, size, part, georeference)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write(
    masks: Sequence[RunLengthMask],
    order: np.ndarray,
    size: tuple[int, int],
    path: Path,
    georeference: Georeference | None,
) -> None:
    rasterio = import_rasterio()
    boxes = np.array([masks[index].box for index in order], np.int64).reshape(-1, 4)
    depth = np.min_scalar_type(len(masks))
    options: dict[str, Any] = {"driver": "GTiff", "count": 1, "dtype": depth.name, "nodata": 0}
    options |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate"}
    options |= {"BIGTIFF": "IF_SAFER", "height": size[0], "width": size[1]}
    if georeference is not None:
        options["transform"] = rasterio.Affine(*georeference.transform)
        options["crs"] = _crs(rasterio, georeference.crs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has no georeference
        with rasterio.open(path, "w", **options) as file:
            for _, window in file.block_windows(1):
                x0, y0 = window.col_off, window.row_off
                box = x0, y0, x0 + window.width, y0 + window.height
                met = ((boxes[:, :2] < box[2:]) & (boxes[:, 2:] > box[:2])).all(axis=1)
                if met.any():
                    labels = np.zeros((window.height, window.width), depth)
                    for index in order[met].tolist():
                        labels[runs_to_mask(masks[index], box)] = index + 1
                    file.write(labels, 1, window=window)


def _crs(rasterio: Any, name: str | None) -> Any:
    try:
        return None if name is None else rasterio.crs.CRS.from_user_input(name)
    except rasterio.errors.CRSError as error:
        raise ValueError(f"GDAL does not know the reference system {name!r}: {error}") from error
