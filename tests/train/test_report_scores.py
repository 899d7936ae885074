"""Tables of scores: their numbers are those of the evaluations."""

from dataclasses import replace

import numpy as np
import pytest

from keras_sam.evaluate import BoxAP, CalibrationBin, summarize_clicks
from keras_sam.train.report_html import render_page
from keras_sam.train.report_scores import (
    LABELS,
    MAX_CATEGORIES,
    ScoreChange,
    category_tables,
    list_changes,
    score_table,
    size_tables,
)
from tests.train.parsed_page import ParsedPage
from tests.train.report_data import evaluate_both, write_dataset


@pytest.fixture
def evaluations(tmp_path):
    return evaluate_both(write_dataset(tmp_path))


def parse(*content):
    return ParsedPage(render_page("", *content))


def test_the_table_has_all_scores_and_their_changes(evaluations):
    before, after = evaluations
    rows = parse(score_table(before, after)).table("Score")
    for name, label in LABELS.items():
        if name == "jittered_point_iou":  # not measured
            assert label not in rows
            continue
        old, new = getattr(before, name), getattr(after, name)
        assert rows[label][:2] == [f"{old:.3f}", f"{new:.3f}"]
        change = rows[label][2]
        assert change.split(" ")[-1] == ("better" if new > old else "worse")
        assert float(change.split(" ")[0]) == pytest.approx(new - old, abs=6e-4)
    assert rows["Box: IoU"][1] == "1.000"


def test_the_calibration_error_is_better_if_lower(evaluations):
    before, after = (
        replace(one, calibration=(CalibrationBin(0.9, iou, 3),))
        for one, iou in zip(evaluations, (0.6, 0.8), strict=True)
    )
    rows = parse(score_table(before, after)).table("Score")
    label = "Calibration error of predicted IoU (lower is better)"
    assert rows[label] == ["0.300", "0.100", "-0.200 better"]


def test_optional_scores_are_listed_if_both_have_them(evaluations):
    before, after = evaluations
    ious = np.array([[0.5, 0.6, 0.7, 0.75, 0.86, 0.96], [0.9, 0.91, 0.92, 0.93, 0.94, 0.94]])
    clicks = summarize_clicks(ious), summarize_clicks(np.minimum(1, ious + 0.1))
    ap = BoxAP(0.25, 0.5, 0.25, None, None, None), BoxAP(0.5, 0.5, 0.25, None, None, None)
    without = [change.label for change in list_changes(before, replace(after, clicks=clicks[0]))]
    assert not any("lick" in label for label in without)
    before = replace(before, clicks=clicks[0], box_ap=ap[0], jittered_point_iou=0.5)
    after = replace(after, clicks=clicks[1], box_ap=ap[1], jittered_point_iou=0.5)
    rows = parse(score_table(before, after)).table("Score")
    assert rows["Random point: IoU"] == ["0.500", "0.500", "0"]
    assert rows["Box: average precision"] == ["0.250", "0.500", "+0.250 better"]
    assert rows["1 click: IoU"] == ["0.700", "0.800", "+0.100 better"]
    assert rows["2 clicks: IoU"][0] == "0.755"
    # 0.90 is first reached after 6 clicks and 1 click, then after 5 and 1.
    label = "Clicks to IoU 0.90 (at most 6) (lower is better)"
    assert rows[label] == ["3.50", "3.00", "-0.50 better"]
    label = "Masks below IoU 0.95 after all clicks (lower is better)"
    assert rows[label] == ["1", "0", "-1 better"]


@pytest.mark.parametrize(
    ("after", "digits", "difference", "direction"),
    [
        (0.75, 3, "+0.250", "better"),
        (0.25, 3, "-0.250", "worse"),
        (0.5004, 3, "0", ""),
        (0.4996, 3, "0", ""),
        (10.5, 0, "+10", "better"),
    ],
)
def test_differences_are_rounded(after, digits, difference, direction):
    change = ScoreChange("", 0.5, after, digits)
    assert (change.difference, change.direction) == (difference, direction)


def test_categories_have_their_scores(evaluations):
    before, after = evaluations
    rows = parse(*category_tables(before, after)).table("Category")
    assert set(rows) == {"Category", "cat", "dog"}
    for name in ("cat", "dog"):
        assert rows[name][0] == "2"
        old, new = before.by_category[name].box_iou, after.by_category[name].box_iou
        assert rows[name][1] == f"{old:.3f} → {new:.3f} {new - old:+.3f}"
        point = f"{before.by_category[name].point_iou:.3f} → 0.000 "
        assert rows[name][2].startswith(point)


def test_the_most_frequent_categories_are_listed(evaluations):
    before, after = evaluations
    scores = after.by_category["cat"]
    counts = {f"c{index}": replace(scores, masks=100 - index) for index in range(25)}
    before, after = replace(before, by_category=counts), replace(after, by_category=counts)
    page = parse(*category_tables(before, after))
    assert list(page.table("Category"))[1:] == [f"c{index}" for index in range(MAX_CATEGORIES)]
    masks = sum(100 - index for index in range(MAX_CATEGORIES, 25))
    assert f"5 more categories with {masks} masks are not listed." in page.text_of("p")


def test_one_category_or_none_has_no_table(evaluations):
    for categories in ({}, {"cat": evaluations[0].by_category["cat"]}):
        before, after = (replace(one, by_category=categories) for one in evaluations)
        assert category_tables(before, after) == []


def test_sizes_have_their_scores(evaluations):
    before, after = evaluations
    rows = parse(*size_tables(before, after)).table("Size")
    assert list(rows) == ["Size", "small"]
    assert rows["small"][0] == "4"
    assert rows["small"][1].startswith(f"{before.box_iou:.3f} → 1.000")
