"""GeoTIFF label maps: the same labels as in memory, with a georeference."""

import numpy as np
import pytest
import rasterio

from keras_sam.annotations.label_geotiff import write_label_geotiff
from keras_sam.annotations.label_map import read_label_map, records_to_label_map
from keras_sam.annotations.mask_record import mask_to_record, runs_to_annotation
from keras_sam.annotations.registry import write_masks
from keras_sam.images.georeference import Georeference, read_georeference
from keras_sam.images.raster_reader import RasterReader
from keras_sam.masks.run_length_mask import mask_to_runs

SIZE = (600, 1100)
MAP = Georeference((0.5, 0.0, 500_000.25, 0.0, -0.5, 4_600_000.75), "EPSG:32633")


def records(count):
    random = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for _ in range(count):
        cx, cy, radius = random.uniform(0, 1, 3) * (*SIZE[::-1], 300)
        yield mask_to_record((x - cx) ** 2 + (y - cy) ** 2 < radius**2)


@pytest.mark.parametrize("overlap_priority", ["small", "large", "first", "last"])
def test_labels_equal_the_map_in_memory(tmp_path, overlap_priority):
    masks = list(records(8))
    path = tmp_path / "labels.tif"
    write_label_geotiff(masks, SIZE, path, georeference=MAP, overlap_priority=overlap_priority)
    expected = records_to_label_map(masks, SIZE, overlap_priority=overlap_priority)
    np.testing.assert_array_equal(read_label_map(path), expected)
    assert read_georeference(path) == MAP
    with RasterReader(path) as image:
        assert image.georeference == MAP
    with rasterio.open(path) as file:
        assert (file.nodata, file.dtypes) == (0, ("uint8",))
    assert [file.name for file in tmp_path.iterdir()] == ["labels.tif"]


def test_write_masks_selects_geotiff_by_suffix(tmp_path):
    masks = list(records(3))
    path = write_masks(masks, SIZE, tmp_path / "a.tif", format="label-map", georeference=MAP)
    np.testing.assert_array_equal(read_label_map(path), records_to_label_map(masks, SIZE))
    assert read_georeference(path) == MAP
    write_masks([], SIZE, path, format="label-map")
    assert not read_label_map(path).any()


def test_large_image_with_many_labels(tmp_path):
    """The map has 0.3 gigapixels, and masks in two blocks only."""
    size = (15_000, 20_000)
    pixel = mask_to_runs(np.ones((1, 1), bool))
    masks = [
        runs_to_annotation(pixel.shifted(1023 + index % 300, 511), size) for index in range(300)
    ]
    path = tmp_path / "a.tif"
    write_label_geotiff(masks, size, path, georeference=MAP)
    assert path.stat().st_size < 1_000_000
    with rasterio.open(path) as file:
        assert file.dtypes == ("uint16",)
        row = file.read(1, window=((511, 512), (1020, 1330)))[0]
    np.testing.assert_array_equal(row, [0] * 3 + list(range(1, 301)) + [0] * 7)


def test_wrong_arguments_raise_and_leave_no_file(tmp_path):
    (mask,) = records(1)
    with pytest.raises(ValueError, match="size"):
        write_label_geotiff([mask], (5, 5), tmp_path / "a.tif")
    with pytest.raises(ValueError, match="overlap_priority"):
        write_label_geotiff([mask], SIZE, tmp_path / "a.tif", overlap_priority="best")
    unknown = Georeference(MAP.transform, "EPSG:1")
    with pytest.raises(ValueError, match="does not support the reference system 'EPSG:1'"):
        write_label_geotiff([mask], SIZE, tmp_path / "a.tif", georeference=unknown)
    assert not list(tmp_path.iterdir())
