"""The CSV file of scores, read back."""

import csv
import dataclasses

import pytest

from keras_sam.evaluate import write_scores_csv
from keras_sam.evaluate.scores_csv import CLICK_COLUMNS, COLUMNS
from tests.evaluate.test_mean_scores import score


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_row_per_mask(tmp_path):
    path = tmp_path / "scores.csv"
    clicked = dataclasses.replace(
        score(0.5), file_name='a "b",\nc.png', click_iou=(0.7, 0.82, 0.86, 0.91)
    )
    write_scores_csv([score(1 / 3, category="kočka"), clicked], path)
    plain, with_clicks = read(path)
    assert tuple(plain) == (*COLUMNS, *CLICK_COLUMNS)
    assert float(plain["box_iou"]) == 1 / 3
    assert (plain["category"], plain["annotation_id"], plain["area"]) == ("kočka", "1", "10")
    assert {plain[name] for name in CLICK_COLUMNS} == {""}
    assert plain["jittered_point_iou"] == ""
    assert with_clicks["file_name"] == 'a "b",\nc.png'
    assert [with_clicks[name] for name in CLICK_COLUMNS] == [
        *("0.7", "0.82", "0.86", "0.91", ""),
        *("2", "3", "4", ""),
    ]


def test_missing_folder_raises(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        write_scores_csv([score(0.5)], tmp_path / "nowhere" / "scores.csv")
