"""One PNG per mask, and a table of the scores."""

import csv

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.mask_pngs import write_mask_pngs
from keras_sam.annotations.mask_record import mask_to_record

MASK = np.zeros((3, 4), bool)
MASK[1, 1:3] = True


def test_pngs_and_table(tmp_path):
    scored = mask_to_record(
        MASK,
        predicted_iou=0.5,
        stability_score=0.75,
        point_coords=[[1.5, 2]],
        crop_box=[0, 0, 4, 3],
    )
    folder = tmp_path / "new" / "masks"
    paths = write_mask_pngs([scored, mask_to_record(~MASK)], folder)
    assert paths == [folder / "0.png", folder / "1.png"]
    for path, mask in zip(paths, (MASK, ~MASK), strict=True):
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.array(image), mask * 255)
    with (folder / "metadata.csv").open(newline="") as file:
        header, first, second = csv.reader(file)
    assert header == [
        "id",
        "area",
        "bbox_x0",
        "bbox_y0",
        "bbox_w",
        "bbox_h",
        "point_input_x",
        "point_input_y",
        "predicted_iou",
        "stability_score",
        "crop_box_x0",
        "crop_box_y0",
        "crop_box_w",
        "crop_box_h",
    ]
    assert [float(value) for value in first] == [0, 2, 1, 1, 2, 1, 1.5, 2, 0.5, 0.75, 0, 0, 4, 3]
    assert second == ["1", "10", "0.0", "0.0", "4.0", "3.0", *[""] * 8]


def test_no_records(tmp_path):
    assert write_mask_pngs([], tmp_path) == []
    assert len((tmp_path / "metadata.csv").read_text().splitlines()) == 1


def test_mask_of_another_size_raises(tmp_path):
    with pytest.raises(ValueError, match="size"):
        write_mask_pngs([mask_to_record(MASK)], tmp_path, size=(4, 3))
