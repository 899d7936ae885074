"""GeoJSON: rings in map coordinates, oriented as in RFC 7946."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as arrays

from keras_sam.annotations.geojson import write_geojson
from keras_sam.annotations.mask_record import mask_to_record
from keras_sam.images.georeference import Georeference
from keras_sam.masks.polygon import join_rings
from keras_sam.masks.polygons_to_mask import polygons_to_mask

NORTH_UP = Georeference((10, 0, 500_000, 0, -10, 4_600_000), "EPSG:32633")
FRAME = np.ones((4, 5), bool)
FRAME[1:3, 1:3] = False


def write_and_read(tmp_path, *masks, georeference=NORTH_UP, **options):
    path = tmp_path / "a.geojson"
    records = [mask_to_record(mask, predicted_iou=0.5, crop_box=[0, 0, 5, 4]) for mask in masks]
    write_geojson(records, path, georeference=georeference, **options)
    return json.loads(path.read_text())


def is_counter_clockwise(ring):
    x, y = np.array(ring[:-1]).T
    return np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0


def test_mask_is_a_feature_with_its_scores(tmp_path):
    content = write_and_read(tmp_path, np.zeros((4, 5), bool), FRAME)
    assert content["type"] == "FeatureCollection"
    assert content["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    (feature,) = content["features"]
    assert feature["properties"] == {
        "id": 1,
        "category": "object",
        "area": 16,
        "bbox": [0, 0, 5, 4],
        "predicted_iou": 0.5,
        "crop_box": [0, 0, 5, 4],
    }
    assert feature["geometry"]["type"] == "Polygon"
    outer, hole = feature["geometry"]["coordinates"]
    assert outer[0] == outer[-1]
    assert {tuple(corner) for corner in outer} == {
        (500_000 + x, 4_600_000 - y) for x in (0, 50) for y in (0, 40)
    }
    assert {tuple(corner) for corner in hole} == {
        (500_000 + x, 4_600_000 - y) for x in (10, 30) for y in (10, 30)
    }


@pytest.mark.parametrize("transform", [(1, 0, 0, 0, -1, 0), (1, 0, 0, 0, 1, 0), (0, 2, 0, 2, 0, 0)])
def test_ring_orientation_does_not_depend_on_the_transform(tmp_path, transform):
    content = write_and_read(tmp_path, FRAME, georeference=Georeference(transform))
    assert "crs" not in content
    outer, hole = content["features"][0]["geometry"]["coordinates"]
    assert is_counter_clockwise(outer)
    assert not is_counter_clockwise(hole)


@given(mask=arrays.arrays(bool, (6, 8)))
@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_mask_is_exact(tmp_path, mask):
    features = write_and_read(tmp_path, mask)["features"]
    assert len(features) == mask.any()
    for feature in features:
        geometry = feature["geometry"]
        parts = geometry["coordinates"]
        parts = [parts] if geometry["type"] == "Polygon" else parts
        assert (len(parts) > 1) == (geometry["type"] == "MultiPolygon")
        rings = [join_rings([to_pixels(ring) for ring in part]) for part in parts]
        np.testing.assert_array_equal(polygons_to_mask(rings, mask.shape), mask)


def to_pixels(ring):
    x, y = np.array(ring[:-1]).T
    return np.column_stack([(x - 500_000) / 10, (4_600_000 - y) / 10])


def test_no_records(tmp_path):
    assert write_and_read(tmp_path)["features"] == []


def test_mask_of_another_size_raises(tmp_path):
    with pytest.raises(ValueError, match="size"):
        write_and_read(tmp_path, FRAME, size=(5, 4))


def test_polygon_tolerance_drops_corners(tmp_path):
    y, x = np.mgrid[:60, :60]
    disc = np.hypot(x - 30, y - 30) < 25
    num_corners = []
    for tolerance in (0, 1):
        (feature,) = write_and_read(tmp_path, disc, polygon_tolerance=tolerance)["features"]
        num_corners.append(len(feature["geometry"]["coordinates"][0]))
    assert 4 <= num_corners[1] < num_corners[0] / 2


def test_reference_system_of_another_authority_keeps_its_name(tmp_path):
    content = write_and_read(tmp_path, georeference=Georeference((1, 0, 0, 0, -1, 0), "OGC:CRS84"))
    assert content["crs"]["properties"]["name"] == "OGC:CRS84"
