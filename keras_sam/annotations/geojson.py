"""`write_geojson`: masks as features of a map."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.annotations.mask_record import (
    box_to_xywh,
    record_category,
    record_scores,
    record_to_runs,
)
from keras_sam.files.atomic_file import write_atomically
from keras_sam.images.georeference import Georeference
from keras_sam.masks.mask_to_polygons import runs_to_polygons
from keras_sam.masks.polygon import Polygon
from keras_sam.types import Size


def write_geojson(
    records: Sequence[Mapping[str, Any]],
    path: str | Path,
    *,
    georeference: Georeference,
    size: Size | None = None,
    polygon_tolerance: float = 0.0,
) -> None:
    """Write masks as a FeatureCollection (RFC 7946) in map coordinates.

    A mask with one part is a Polygon, one with several a MultiPolygon. On the map, outer rings are
    counter-clockwise and holes clockwise. Properties are `id` (the index of the record),
    `category`, `area` and `bbox` in pixels, and the scores. Empty masks are skipped.

    RFC 7946 allows only longitude and latitude. Coordinates in other reference systems are written
    unchanged, with the `crs` member of the 2008 GeoJSON specification, which GDAL and QGIS read.

    Args:
        records: Masks with their scores.
        path: File to write.
        georeference: Transform from pixels to map coordinates.
        size: Expected `(height, width)` of all masks, or None to accept any.
        polygon_tolerance: Maximum distance in pixels from a dropped corner to the simplified
            polygon. 0 is exact.

    Raises:
        ValueError: If a mask has another size, or a score is not finite.
    """
    content: dict[str, Any] = {"type": "FeatureCollection"}
    if georeference.crs is not None:
        content["crs"] = {"type": "name", "properties": {"name": _crs_urn(georeference.crs)}}
    features = [
        _feature(index, record, georeference, size, polygon_tolerance)
        for index, record in enumerate(records)
    ]
    content["features"] = [feature for feature in features if feature is not None]
    write_atomically(path, (json.dumps(content) + "\n").encode())


def _crs_urn(crs: str) -> str:
    authority, _, code = crs.partition(":")
    return f"urn:ogc:def:crs:EPSG::{code}" if authority.upper() == "EPSG" and code else crs


def _feature(
    index: int,
    record: Mapping[str, Any],
    georeference: Georeference,
    size: Size | None,
    tolerance: float,
) -> dict[str, Any] | None:
    """Convert a record to a feature, or to None if its mask is empty."""
    runs = record_to_runs(record, size)
    polygons = runs_to_polygons(runs, tolerance=tolerance)
    if not polygons:
        return None
    return {
        "type": "Feature",
        "id": index,
        "geometry": _geometry(polygons, georeference),
        "properties": {
            "id": index,
            "category": record_category(record),
            "area": runs.area,
            "bbox": box_to_xywh(runs.box),
            **record_scores(record),
        },
    }


def _geometry(polygons: Sequence[Polygon], georeference: Georeference) -> dict[str, Any]:
    parts = [
        [
            _close_ring(georeference.to_map(polygon.outer), clockwise=False),
            *(_close_ring(georeference.to_map(hole), clockwise=True) for hole in polygon.holes),
        ]
        for polygon in polygons
    ]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def _close_ring(ring: np.ndarray, *, clockwise: bool) -> list[list[float]]:
    """Orient a ring `(N, 2)` of map coordinates and repeat its first corner at the end."""
    x, y = (ring - ring[0]).T
    is_clockwise = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0
    if is_clockwise != clockwise:
        ring = ring[::-1]
    closed: list[list[float]] = np.concatenate([ring, ring[:1]]).tolist()
    return closed
