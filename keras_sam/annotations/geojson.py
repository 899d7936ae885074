"""`write_geojson`: masks as features of a map."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.annotations.record import record_category, record_scores, record_to_runs
from keras_sam.files.atomic_file import write_atomically
from keras_sam.images.georeference import Georeference
from keras_sam.masks.mask_to_polygons import runs_to_polygons


def write_geojson(
    records: Sequence[Mapping[str, Any]],
    path: str | Path,
    *,
    georeference: Georeference,
    size: tuple[int, int] | None = None,
    tolerance: float = 0.0,
) -> None:
    """Writes masks as a FeatureCollection (RFC 7946) in map coordinates.

    A mask of one part is a Polygon, of several a MultiPolygon; outer rings run counter-clockwise
    on the map and holes clockwise. Properties are `id` (the index of the record), `category`,
    `area` and `bbox` in pixels, and the scores. An empty mask has no geometry and is left out.

    RFC 7946 knows longitude and latitude alone. Other systems are written as they are, with the
    member `crs` of the format's 2008 version, which GDAL and QGIS read.

    Args:
        records: masks with their scores.
        path: the file.
        georeference: from pixels to the map.
        size: the `(height, width)` that all masks must have.
        tolerance: pixels by which the corners of polygons may be off; 0 is exact.

    Raises:
        ValueError: if a mask has another size, or a score is not finite.
    """
    content: dict[str, Any] = {"type": "FeatureCollection"}
    if georeference.crs is not None:
        content["crs"] = {"type": "name", "properties": {"name": _urn(georeference.crs)}}
    content["features"] = [
        feature
        for index, record in enumerate(records)
        if (feature := _feature(index, record, georeference, size, tolerance)) is not None
    ]
    write_atomically(path, (json.dumps(content) + "\n").encode())


def _feature(
    index: int,
    record: Mapping[str, Any],
    georeference: Georeference,
    size: tuple[int, int] | None,
    tolerance: float,
) -> dict[str, Any] | None:
    runs = record_to_runs(record, size)
    parts = [
        [
            _closed(georeference.to_map(ring), is_hole=place > 0)
            for place, ring in enumerate((polygon.outer, *polygon.holes))
        ]
        for polygon in runs_to_polygons(runs, tolerance=tolerance)
    ]
    if not parts:
        return None
    x0, y0, x1, y1 = (float(side) for side in runs.box)
    return {
        "type": "Feature",
        "id": index,
        "geometry": {"type": "Polygon", "coordinates": parts[0]}
        if len(parts) == 1
        else {"type": "MultiPolygon", "coordinates": parts},
        "properties": {
            "id": index,
            "category": record_category(record),
            "area": runs.area,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            **record_scores(record),
        },
    }


def _closed(ring: np.ndarray, *, is_hole: bool) -> list[list[float]]:
    """A ring that ends where it begins: counter-clockwise on the map, a hole clockwise."""
    x, y = (ring - ring[0]).T
    is_clockwise = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0
    if is_clockwise != is_hole:
        ring = ring[::-1]
    closed: list[list[float]] = np.concatenate([ring, ring[:1]]).tolist()
    return closed


def _urn(crs: str) -> str:
    authority, _, code = crs.partition(":")
    return f"urn:ogc:def:crs:EPSG::{code}" if authority.upper() == "EPSG" and code else crs
