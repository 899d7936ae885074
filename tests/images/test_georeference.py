"""Georeferences from GeoTIFF tags and from world files."""

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from keras_sam.images.georeference import (
    KEY_DIRECTORY,
    PIXEL_SCALE,
    TIE_POINTS,
    TRANSFORMATION,
    Georeference,
    read_georeference,
)

TRANSFORM = (10.0, 0.0, 500_000.0, 0.0, -10.0, 4_600_000.0)
TIE = (0.0, 0.0, 0.0, 500_000.0, 4_600_000.0, 0.0)
SCALE = (10.0, 10.0, 0.0)
DOUBLE, SHORT = 12, 3  # TIFF data types


def geotiff(path, *, keys=(), **tags):
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, values in tags.items():
        tag = {"scale": PIXEL_SCALE, "tie": TIE_POINTS, "matrix": TRANSFORMATION}[name]
        info.tagtype[tag] = DOUBLE
        info[tag] = tuple(values)
    if keys:
        info.tagtype[KEY_DIRECTORY] = SHORT
        rows = [(1, 1, 0, len(keys)), *((key, 0, 1, value) for key, value in keys)]
        info[KEY_DIRECTORY] = tuple(value for row in rows for value in row)
    Image.new("L", (4, 3)).save(path, tiffinfo=info)
    return path


def test_points_are_transformed_to_the_map():
    points = Georeference((2, 0.5, 100, 0.25, -3, 50)).to_map(np.array([[0, 0], [1, 2]]))
    np.testing.assert_array_equal(points, [[100, 50], [103, 44.25]])


@pytest.mark.parametrize(
    ("keys", "crs"),
    [
        ([(3072, 32633)], "EPSG:32633"),
        ([(2048, 4326)], "EPSG:4326"),
        ([(2048, 4258), (3072, 25832)], "EPSG:25832"),
        ([(3072, 32767)], None),
        ([], None),
    ],
)
def test_pixel_scale_and_tie_point(tmp_path, keys, crs):
    path = geotiff(tmp_path / "a.tif", scale=SCALE, tie=TIE, keys=keys)
    assert read_georeference(path) == Georeference(TRANSFORM, crs)


def test_tie_point_at_another_pixel(tmp_path):
    tie = (2.0, 1.0, 0.0, 500_020.0, 4_599_990.0, 0.0)
    path = geotiff(tmp_path / "a.tif", scale=SCALE, tie=tie)
    assert read_georeference(path) == Georeference(TRANSFORM)


def test_coordinates_of_pixel_centers(tmp_path):
    path = geotiff(tmp_path / "a.tif", scale=SCALE, tie=TIE, keys=[(1025, 2)])
    assert read_georeference(path).transform == (10, 0, 499_995, 0, -10, 4_600_005)


def test_transformation_matrix(tmp_path):
    matrix = [2, 0.5, 0, 100, 0.25, -3, 0, 50, 0, 0, 0, 0, 0, 0, 0, 1]
    path = geotiff(tmp_path / "a.tif", matrix=matrix)
    assert read_georeference(path) == Georeference((2, 0.5, 100, 0.25, -3, 50))


@pytest.mark.parametrize(
    ("image", "world"),
    [("a.png", "a.pgw"), ("a.JPG", "a.jgw"), ("a.tif", "a.tfw"), ("a.bmp", "a.wld")],
)
def test_world_file(tmp_path, image, world):
    Image.new("L", (4, 3)).save(tmp_path / image)
    assert read_georeference(tmp_path / image) is None
    (tmp_path / world).write_text("10.0\n0\n0\n-10.0\n500005\n4599995\n")
    assert read_georeference(tmp_path / image) == Georeference(TRANSFORM)


def test_malformed_georeference_raises(tmp_path):
    Image.new("L", (4, 3)).save(tmp_path / "a.png")
    for content in ("1 2 3", "1 2 3 4 5 x", "1 2 3 4 5 6 7", "ä", "0 0 0 0 0 0", "nan 0 0 1 0 0"):
        (tmp_path / "a.pgw").write_text(content, "utf-8")
        with pytest.raises(ValueError, match=r"a\.pgw|transform"):
            read_georeference(tmp_path / "a.png")
    (tmp_path / "b.tif").write_text("II*")
    with pytest.raises(ValueError, match=r"b\.tif cannot be read"):
        read_georeference(tmp_path / "b.tif")
    with pytest.raises(ValueError, match=r"c\.tif must be a matrix"):
        read_georeference(geotiff(tmp_path / "c.tif", scale=SCALE, tie=TIE * 2))
    with pytest.raises(FileNotFoundError):
        read_georeference(tmp_path / "none.tif")


@pytest.mark.parametrize(
    ("transform", "crs", "message"),
    [
        ((1, 0, 0, 0, 1), None, "six"),
        ("abcdef", None, "six"),
        (None, None, "six"),
        ((1, 0, np.nan, 0, 1, 0), None, "finite"),
        ((1, 1, 0, 1, 1, 0), None, "invertible"),
        (TRANSFORM, "", "crs"),
        (TRANSFORM, 32633, "crs"),
    ],
)
def test_invalid_arguments_raise(transform, crs, message):
    with pytest.raises(ValueError, match=message):
        Georeference(transform, crs)
