import math
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keras_sam.batch.image_result import BatchMask, StepSeconds
from keras_sam.batch.table import COLUMNS, results_to_tables, row_to_record, table_schema
from tests.batch.sample_results import PROVENANCE, RECORD, failed_result, good_result


@pytest.fixture(scope="module")
def rows():
    """Mask rows and status rows of an image with two masks, and of an error."""
    good = good_result(
        "good",
        masks=(BatchMask(RECORD), BatchMask(RECORD, prompt_index=3)),
        seconds=StepSeconds(decode=0.5),
    )
    return [table.to_pylist() for table in results_to_tables([good, failed_result("bad")])]


def test_mask_row_is_a_record_again(rows):
    masks, _ = rows
    assert [row_to_record(row) for row in masks] == [RECORD, RECORD]
    assert [row["mask_index"] for row in masks] == [0, 1]
    assert [row["prompt_index"] for row in masks] == [None, 3]


def test_status_row_is_not_a_record(rows):
    with pytest.raises(ValueError, match="expected a row of kind 'mask', got 'image'"):
        row_to_record(rows[1][0])


def test_status_row_has_the_result(rows):
    good, bad = rows[1]
    assert (good["status"], good["num_masks"], good["decode_seconds"]) == ("ok", 2, 0.5)
    assert (good["height"], good["width"], good["error"]) == (4, 6, None)
    assert good["finished_at"] == datetime(2026, 1, 2, tzinfo=UTC)
    assert good["model_hash"] == PROVENANCE.model_hash
    assert (bad["status"], bad["error_type"]) == ("error", "ImageError")
    assert (bad["error"], bad["height"]) == ("the file is truncated", None)


def test_rows_have_only_the_columns_of_their_kind(rows):
    for kind, kind_rows in zip(("mask", "image"), rows, strict=True):
        names = {column.name for column in COLUMNS if column.rows in (kind, "both")}
        for row in kind_rows:
            assert {name for name, value in row.items() if value is not None} <= names


def test_nan_scores_are_null():
    record = RECORD | {"predicted_iou": math.nan}
    masks, _ = results_to_tables([good_result("a", masks=(BatchMask(record),))])
    assert masks["predicted_iou"].to_pylist() == [None]
    assert masks["stability_score"].to_pylist() == [0.25]


def test_schema_has_a_version():
    assert table_schema().metadata[b"keras_sam.batch.schema"] == b"1"


def test_docs_list_the_columns():
    page = (Path(__file__).parents[2] / "docs" / "batch.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([\w<>]+) \| (\w+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [tuple(column) for column in COLUMNS]
