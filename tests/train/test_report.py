"""The report of a run: complete in itself, escaped, and with the numbers of the run."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_sam.drawing import draw_comparison
from keras_sam.train.check_dataset import DatasetProblem, check_dataset
from keras_sam.train.report import (
    MAX_GALLERY_ROWS,
    FinetuneReport,
    library_versions,
    write_report,
)
from keras_sam.train.report_gallery import GalleryRow, choose_targets, predict_crops
from tests.evaluate.known_masks import KnownMasks
from tests.train.parsed_page import ParsedPage
from tests.train.report_data import ExactBoxes, evaluate_both, write_dataset

HOSTILE = """x</td></table><script src="https://example.com/x.js">alert('x')</script>.png"""
LOGS = [
    {"epoch": 1, "loss": 0.9, "val_box_iou": 0.6},
    {"epoch": 2, "loss": 0.8, "val_box_iou": 0.55},
]


def make_report(data, **changes):
    before, after = evaluate_both(data)
    targets = choose_targets(before.scores, prompt="point")
    crops = [predict_crops(one, data, targets) for one in (KnownMasks(), ExactBoxes())]
    report = FinetuneReport(
        before=before,
        after=after,
        logs=LOGS,
        baseline={"box_iou": 0.5},
        best_epoch=1,
        gallery=[GalleryRow(*row) for row in zip(targets, *crops, strict=True)],
        dataset=check_dataset(data),
        settings={"epochs": 2, "preset": HOSTILE},
        command=f"keras-sam finetune '{HOSTILE}'",
        versions={"keras": "3.15"},
    )
    return replace(report, **changes)


def write(report, folder):
    write_report(folder / "report.html", report)
    return ParsedPage((folder / "report.html").read_bytes())


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path)


def test_the_page_loads_nothing_even_with_hostile_names(tmp_path):
    dataset = write_dataset(tmp_path, names=(HOSTILE, "b.png"), categories=(HOSTILE, "dog"))
    page = write(make_report(dataset), tmp_path)
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "section", "p"),
        *("div", "table", "thead", "tbody", "tr", "th", "td", "span", "pre", "code"),
        *("figure", "figcaption", "img", "svg", "line", "polyline", "circle", "text"),
    }
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in ("href", "srcset", "data", "style")
            assert name != "src" or value.startswith("data:image/jpeg;base64,")
            assert tag == "meta" or name in ("alt", "src") or "http" not in value
    by_name = [table for table in page.tables if table[0][0] == "Category"]
    assert len(by_name) == 2  # scores and numbers of masks
    assert all(HOSTILE in [row[0] for row in table] for table in by_name)
    assert f"keras-sam finetune '{HOSTILE}'" in page.text_of("code")
    assert ["preset", HOSTILE] in [row for table in page.tables for row in table]
    assert any(HOSTILE in text for text in page.text_of("span"))


def test_gallery_images_are_the_crops(dataset, tmp_path):
    report = make_report(dataset)
    page = write(report, tmp_path)
    images = page.images()
    assert len(images) == 3 * len(report.gallery) == 12
    for index, row in enumerate(report.gallery):
        before, after = (
            draw_comparison(crop.image, crop.target, crop.mask) for crop in (row.before, row.after)
        )
        for found, expected in zip(
            images[3 * index : 3 * index + 3], (row.before.image, before, after), strict=True
        ):
            assert np.abs(found.astype(int) - expected).mean() < 2
        assert np.abs(before.astype(int) - after).mean() > 4
    captions = page.text_of("figcaption")
    row = report.gallery[0]
    assert f"IoU {row.before.iou:.3f} → 0.000, {row.target.category}, " in captions
    assert "Best masks by point" in page.text_of("h3")


def test_a_gallery_has_a_maximum_number_of_rows(dataset, tmp_path):
    report = make_report(dataset)
    page = write(replace(report, gallery=list(report.gallery) * 10), tmp_path)
    assert len(page.images()) == 3 * MAX_GALLERY_ROWS
    assert f"{40 - MAX_GALLERY_ROWS} more masks are not shown." in page.text_of("p")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "The weights of epoch 1 of 2 were kept, "),
        ({"best_epoch": 0}, "No epoch was better in validation than the preset"),
        ({"baseline": {}, "best_epoch": 0}, "The run had no validation."),
    ],
)
def test_the_kept_weights_are_named(dataset, tmp_path, changes, text):
    page = write(make_report(dataset, **changes), tmp_path)
    assert any(found.startswith(text) for found in page.text_of("p"))
    assert len(page.all("svg")) == (1 if "baseline" in changes else 2)


def test_data_statistics_are_rows(dataset, tmp_path):
    checked = check_dataset(dataset)
    problems = [DatasetProblem("a.png", "small mask", f"mask {i} is small") for i in range(7)]
    categories = {f"c{index}": 50 - index for index in range(22)}
    checked = replace(checked, problems=tuple(problems), categories=categories)
    page = write(make_report(dataset, dataset=checked), tmp_path)
    rows = {row[0]: row[1:] for table in page.tables for row in table}
    assert rows["Images"] == ["2, 2 of them usable"]
    assert rows["Masks"] == ["4"]
    assert rows["Image sizes in pixels"] == ["80 x 45"]
    assert rows["Masks per image"] == ["2 to 2, median 2"]
    assert rows["Mask areas in pixels"] == ["500 to 1000, quartiles 500, 750, 1000"]
    assert rows["small mask"] == ["7", "mask 0 is small"]
    assert [row for table in page.tables for row in table if row[0] == ""] == [
        ["", "", f"mask {i} is small"] for i in range(1, 5)
    ]
    assert rows["c19"] == ["31"]
    assert "c20" not in rows
    assert "2 more categories are not listed." in page.text_of("p")


def test_only_scores_are_needed(dataset, tmp_path):
    before, after = evaluate_both(dataset)
    report = FinetuneReport(before=before, after=after, logs=[], baseline={}, best_epoch=0)
    page = write(report, tmp_path)
    assert page.text_of("h2") == ["Scores before and after training", "Settings"]
    assert page.images() == []
    assert "Means over all masks. Test images: 2, masks: 4." in page.text_of("p")


def test_scores_of_other_masks_raise(dataset, tmp_path):
    report = make_report(dataset)
    other = replace(report.after, scores=report.after.scores[1:])
    with pytest.raises(ValueError, match="scores of the same masks"):
        write_report(tmp_path / "report.html", replace(report, after=other))
    assert not (tmp_path / "report.html").exists()


def test_library_versions():
    versions = library_versions()
    assert versions["keras"] == keras.__version__
    assert set(versions) == {"keras-sam", "keras", "python", keras.backend.backend()}
