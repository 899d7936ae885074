import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from keras_sam.batch.finished_images import drop_error_rows, finished_images
from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.table import COLUMNS, row_to_record, write_part

MASK = {
    "segmentation": {"size": [4, 6], "counts": "012"},
    "area": 3,
    "bbox": [1.0, 2.0, 3.0, 4.0],
    "predicted_iou": 0.5,
    "point_coords": [[1.5, 2.5]],
    "stability_score": 0.25,
    "crop_box": [0.0, 0.0, 6.0, 4.0],
}


def result(name, **kwargs):
    return ImageResult(name, f"{name}.png", datetime(2026, 1, 2, tzinfo=UTC), **kwargs)


@pytest.fixture
def part(tmp_path):
    path = tmp_path / "part-x-000000.parquet"
    results = [
        result("good", masks=[MASK, MASK], size=(4, 6), seconds={"decode": 0.5}),
        result("bad", error_type="ImageError", error="it is cut"),
    ]
    assert write_part(path, results) == path.stat().st_size
    return path


def test_a_mask_row_is_a_record_again(part):
    rows = pq.read_table(part).to_pylist()
    assert row_to_record(rows[0]) == MASK
    with pytest.raises(ValueError, match="expected a row of kind 'mask', got 'image'"):
        row_to_record(rows[2])


def test_masks_and_status_rows_have_row_groups_of_their_own(part):
    file = pq.ParquetFile(part)
    kinds = [file.read_row_group(index)["kind"].to_pylist() for index in range(2)]
    assert kinds == [["mask", "mask"], ["image", "image"]]
    assert file.schema_arrow.metadata[b"keras_sam.batch.schema"] == b"1"


def test_the_error_is_told(part):
    good, bad = pq.read_table(part).to_pylist()[2:]
    assert (good["status"], good["num_masks"], good["decode_seconds"]) == ("ok", 2, 0.5)
    assert (bad["status"], bad["error_type"], bad["error"]) == ("error", "ImageError", "it is cut")
    assert good["finished_at"] == datetime(2026, 1, 2, tzinfo=UTC)


def test_finished_images_are_those_with_a_status_row(part):
    assert finished_images(part.parent) == {"good": False, "bad": True}


def test_errors_are_forgotten_and_nothing_else(part):
    before = pq.read_table(part).to_pylist()
    drop_error_rows(part.parent)
    assert pq.read_table(part).to_pylist() == before[:3]
    assert finished_images(part.parent) == {"good": False}
    drop_error_rows(part.parent)
    assert pq.read_table(part).to_pylist() == before[:3]


def test_the_page_lists_the_columns():
    page = (Path(__file__).parents[2] / "docs" / "batch.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([\w<>]+) \| (\w+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [tuple(column) for column in COLUMNS]
