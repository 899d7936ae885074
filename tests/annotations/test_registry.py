"""Every output format by its name."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from keras_sam.annotations.coco import read_coco
from keras_sam.annotations.label_map import label_map_to_records, read_label_map, write_label_map
from keras_sam.annotations.labelme import read_labelme
from keras_sam.annotations.mask_record import mask_to_record, runs_to_annotation
from keras_sam.annotations.registry import MASK_FORMATS, MaskFormat, find_mask_format, write_masks
from keras_sam.images.georeference import Georeference
from keras_sam.masks.run_length_mask import mask_to_runs

MASK = np.random.default_rng(0).random((6, 9)) < 0.5
RECORDS = [mask_to_record(MASK, predicted_iou=0.5), mask_to_record(~MASK, predicted_iou=0.25)]
MAP = Georeference((1, 0, 0, 0, -1, 0))
DOCS = Path(__file__).parents[2] / "docs" / "masks.md"


def write_areas(image, path, options):
    areas = [str(record["area"]) for record in image.records]
    path.write_text(f"{image.file_name} {' '.join(areas)} {options.polygon_tolerance}")


@pytest.fixture
def toy_format(monkeypatch):
    """A format as a contributor would add it: one function and one row."""
    row = MaskFormat(
        name="toy",
        description="areas as text",
        write=write_areas,
        output_path="{stem}.toy",
        has_polygons=True,
    )
    monkeypatch.setitem(MASK_FORMATS, row.name, row)
    return row


def test_new_format_needs_one_row_only(tmp_path, toy_format):
    path = toy_format.path_for(tmp_path, Path("photos/a.jpg"))
    options = {"format": "toy", "file_name": "a.jpg", "polygon_tolerance": 0.5}
    assert write_masks(RECORDS, (6, 9), path, **options) == path
    assert (tmp_path / "a.toy").read_text() == f"a.jpg {MASK.sum()} {54 - MASK.sum()} 0.5"
    assert toy_format.is_done(tmp_path, Path("photos/a.jpg"))


@pytest.mark.parametrize("records", [RECORDS, []], ids=["two", "none"])
@pytest.mark.parametrize("format", MASK_FORMATS)
def test_only_the_given_path_is_written(tmp_path, format, records):
    path = tmp_path / "out.png"
    assert write_masks(records, (6, 9), path, format=format, georeference=MAP) == path
    assert path.is_dir() == (format in ("png", "yolo"))
    assert [child.name for child in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.parametrize("format", MASK_FORMATS)
def test_image_is_done_after_writing(tmp_path, format):
    row, image_path = MASK_FORMATS[format], Path("photos/a{0}.one.jpg")
    assert not row.is_done(tmp_path, image_path)
    write_masks(
        RECORDS,
        (6, 9),
        row.path_for(tmp_path, image_path),
        format=format,
        file_name=image_path.name,
        georeference=MAP,
    )
    assert [name for name in MASK_FORMATS if MASK_FORMATS[name].is_done(tmp_path, image_path)] == [
        format
    ]
    assert not row.is_done(tmp_path, Path("photos/b.jpg"))


def test_label_map_with_large_labels_is_done_too(tmp_path):
    row, image_path = MASK_FORMATS["label-map"], Path("a.jpg")
    written = write_label_map(np.array([[65_536]]), row.path_for(tmp_path, image_path))
    assert written.suffix == ".npy"
    assert row.is_done(tmp_path, image_path)


@pytest.mark.parametrize("format", ["coco", "coco-polygons", "geojson", "labelme", "yolo"])
def test_large_image_is_never_decoded(tmp_path, format):
    """The image has 200 gigapixels."""
    size = (400_000, 500_000)
    record = runs_to_annotation(mask_to_runs(MASK).shifted(300_000, 390_000), size)
    write_masks([record], size, tmp_path / "out", format=format, georeference=MAP)
    if format == "geojson":
        (feature,) = json.loads((tmp_path / "out").read_text())["features"]
        assert feature["properties"]["area"] == MASK.sum()
        parts = feature["geometry"]["coordinates"]
        rings = [np.array(ring) * (1, -1) - (300_000, 390_000) for part in parts for ring in part]
        corners = np.concatenate(rings)
        y, x = np.nonzero(MASK)
        assert corners.min(axis=0).tolist() == [x.min(), y.min()]
        assert corners.max(axis=0).tolist() == [x.max() + 1, y.max() + 1]


@pytest.mark.parametrize("format", MASK_FORMATS)
def test_mask_of_another_size_raises(tmp_path, format):
    with pytest.raises(ValueError, match="size"):
        write_masks(RECORDS, (9, 6), tmp_path / "out", format=format, georeference=MAP)


@pytest.mark.parametrize("format", ["coco", "coco-polygons"])
def test_coco_is_read_back(tmp_path, format):
    write_masks(RECORDS, (6, 9), tmp_path / "a.json", format=format, file_name="photo.jpg")
    (image,) = read_coco(tmp_path / "a.json").images
    assert (image.file_name, image.size, image.records()) == ("photo.jpg", (6, 9), RECORDS)


def test_labelme_is_read_back(tmp_path):
    write_masks(RECORDS, (6, 9), tmp_path / "a.json", format="labelme", file_name="photo.jpg")
    image = read_labelme(tmp_path / "a.json")
    assert (image.file_name, image.size, image.records) == ("photo.jpg", (6, 9), RECORDS)


def test_label_map_is_read_back_without_scores(tmp_path):
    write_masks(RECORDS, (6, 9), tmp_path / "a.png", format="label-map")
    assert label_map_to_records(read_label_map(tmp_path / "a.png")) == [
        mask_to_record(MASK),
        mask_to_record(~MASK),
    ]


def test_unknown_format_raises(tmp_path):
    with pytest.raises(ValueError, match=r"format must be one of coco, .*, got 'shapefile'"):
        write_masks(RECORDS, (6, 9), tmp_path / "a", format="shapefile")


@pytest.mark.parametrize("format", MASK_FORMATS)
def test_georeference_is_required_only_where_declared(tmp_path, format):
    if MASK_FORMATS[format].needs_georeference:
        with pytest.raises(ValueError, match=f"{format} needs a georeference"):
            write_masks(RECORDS, (6, 9), tmp_path / "a", format=format)
    else:
        write_masks(RECORDS, (6, 9), tmp_path / "a", format=format)


@pytest.mark.parametrize("format", MASK_FORMATS)
def test_polygon_tolerance_has_an_effect_or_raises(tmp_path, format):
    y, x = np.mgrid[:60, :60]
    records = [mask_to_record(np.hypot(x - 30, y - 30) < 25)]
    path, options = tmp_path / "out", {"format": format, "georeference": MAP}
    if not MASK_FORMATS[format].has_polygons:
        with pytest.raises(ValueError, match=f"format {format}, which has no polygons, got 1"):
            write_masks(records, (60, 60), path, polygon_tolerance=1, **options)
        with pytest.raises(ValueError, match="no polygons"):
            find_mask_format(format, polygon_tolerance=1)
    else:
        sizes = []
        for tolerance in (0, 1):
            write_masks(records, (60, 60), path, polygon_tolerance=tolerance, **options)
            file = path / "labels" / "image.txt" if format == "yolo" else path
            sizes.append(file.stat().st_size)
        assert sizes[1] < sizes[0]


def test_docs_list_every_format():
    names = re.findall(r"^\| `([\w-]+)` \|", DOCS.read_text(), re.MULTILINE)
    assert set(MASK_FORMATS) <= set(names)
