"""Every format by its name."""

import json

import numpy as np
import pytest

from keras_sam.annotations.coco import read_coco
from keras_sam.annotations.label_map import label_map_to_records, read_label_map
from keras_sam.annotations.labelme import read_labelme
from keras_sam.annotations.record import mask_to_record, runs_to_annotation
from keras_sam.annotations.registry import MASK_FORMATS, write_masks
from keras_sam.images.georeference import Georeference
from keras_sam.masks.run_length_mask import mask_to_runs

MASK = np.random.default_rng(0).random((6, 9)) < 0.5
RECORDS = [mask_to_record(MASK, predicted_iou=0.5), mask_to_record(~MASK, predicted_iou=0.25)]
MAP = Georeference((1, 0, 0, 0, -1, 0))


@pytest.mark.parametrize("records", [RECORDS, []], ids=["two", "none"])
@pytest.mark.parametrize("form", MASK_FORMATS)
def test_every_form_is_written_where_it_says(tmp_path, form, records):
    path = tmp_path / "out.png"
    assert write_masks(records, (6, 9), path, form=form, georeference=MAP) == path
    assert path.is_dir() == (form in ("png", "yolo"))
    assert [child.name for child in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.parametrize("form", ["coco", "coco-polygons", "geojson", "labelme", "yolo"])
def test_of_a_large_image_masks_are_never_drawn_whole(tmp_path, form):
    """200 gigapixels."""
    size = (400_000, 500_000)
    shape = runs_to_annotation(mask_to_runs(MASK).shifted(300_000, 390_000), size)
    write_masks([shape], size, tmp_path / "out", form=form, georeference=MAP)
    if form == "geojson":
        (feature,) = json.loads((tmp_path / "out").read_text())["features"]
        assert feature["properties"]["area"] == MASK.sum()
        parts = feature["geometry"]["coordinates"]
        rings = [np.array(ring) * (1, -1) - (300_000, 390_000) for part in parts for ring in part]
        corners = np.concatenate(rings)
        y, x = np.nonzero(MASK)
        assert corners.min(axis=0).tolist() == [x.min(), y.min()]
        assert corners.max(axis=0).tolist() == [x.max() + 1, y.max() + 1]


@pytest.mark.parametrize("form", MASK_FORMATS)
def test_every_form_refuses_masks_of_another_size(tmp_path, form):
    with pytest.raises(ValueError, match="size"):
        write_masks(RECORDS, (9, 6), tmp_path / "out", form=form, georeference=MAP)


@pytest.mark.parametrize("form", ["coco", "coco-polygons"])
def test_coco_comes_back(tmp_path, form):
    write_masks(RECORDS, (6, 9), tmp_path / "a.json", form=form, file_name="photo.jpg")
    (image,) = read_coco(tmp_path / "a.json").images
    assert (image.file_name, image.size, image.records()) == ("photo.jpg", (6, 9), RECORDS)


def test_labelme_comes_back(tmp_path):
    write_masks(RECORDS, (6, 9), tmp_path / "a.json", form="labelme", file_name="photo.jpg")
    image = read_labelme(tmp_path / "a.json")
    assert (image.file_name, image.size, image.records) == ("photo.jpg", (6, 9), RECORDS)


def test_a_label_map_comes_back_without_scores(tmp_path):
    write_masks(RECORDS, (6, 9), tmp_path / "a.png", form="label-map")
    assert label_map_to_records(read_label_map(tmp_path / "a.png")) == [
        mask_to_record(MASK),
        mask_to_record(~MASK),
    ]


def test_unknown_forms_and_a_missing_georeference_are_refused(tmp_path):
    with pytest.raises(ValueError, match="form must be one of coco"):
        write_masks(RECORDS, (6, 9), tmp_path / "a", form="shapefile")
    with pytest.raises(ValueError, match="georeference"):
        write_masks(RECORDS, (6, 9), tmp_path / "a", form="geojson")


@pytest.mark.parametrize("form", MASK_FORMATS)
def test_a_tolerance_does_something_or_is_refused(tmp_path, form):
    y, x = np.mgrid[:60, :60]
    records = [mask_to_record(np.hypot(x - 30, y - 30) < 25)]
    path = tmp_path / "out"
    if form in ("coco", "label-map", "npz", "png"):
        with pytest.raises(ValueError, match=f"{form} holds no outlines"):
            write_masks(records, (60, 60), path, form=form, tolerance=1)
    else:
        sizes = []
        for tolerance in (0, 1):
            write_masks(records, (60, 60), path, form=form, tolerance=tolerance, georeference=MAP)
            file = path / "labels" / "image.txt" if form == "yolo" else path
            sizes.append(file.stat().st_size)
        assert sizes[1] < sizes[0]
