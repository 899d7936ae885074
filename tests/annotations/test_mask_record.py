"""Records under the keys of Meta's mask generator."""

import numpy as np
import pytest

from keras_sam.annotations.mask_record import (
    AnnotatedImage,
    box_to_xywh,
    mask_to_record,
    record_categories,
    record_category,
    record_scores,
    record_to_mask,
    record_to_runs,
    runs_to_annotation,
)
from keras_sam.masks.run_length_mask import runs_to_mask

MASK = np.array([[0, 1, 1], [0, 0, 1]], bool)


def test_mask_to_record_and_back():
    record = mask_to_record(MASK, predicted_iou=0.5)
    assert (record["area"], record["bbox"], record["predicted_iou"]) == (3, [1, 0, 2, 2], 0.5)
    assert "category" not in record
    np.testing.assert_array_equal(record_to_mask(record), MASK)


def test_empty_mask_has_an_empty_box():
    record = mask_to_record(np.zeros((2, 3), bool))
    assert (record["area"], record["bbox"]) == (0, [0, 0, 0, 0])


def test_box_to_xywh_returns_plain_floats():
    box = box_to_xywh(np.array([2, 3, 7, 4], np.float32))
    assert box == [2, 3, 5, 1]
    assert {type(side) for side in box} == {float}


@pytest.mark.parametrize(
    "segmentation",
    [MASK, MASK.astype(np.uint8), MASK.tolist(), {"size": [2, 3], "counts": [2, 1, 1, 2]}],
    ids=["bool", "uint8", "list", "rle"],
)
def test_each_kind_of_segmentation(segmentation):
    mask = record_to_mask({"segmentation": segmentation}, (2, 3))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, MASK)
    runs = record_to_runs({"segmentation": segmentation}, (2, 3))
    np.testing.assert_array_equal(runs_to_mask(runs, (0, 0, 3, 2)), MASK)
    assert runs_to_annotation(runs, (2, 3)) == mask_to_record(MASK)


@pytest.mark.parametrize(
    ("record", "error", "message"),
    [
        (None, TypeError, "dictionary"),
        ({}, ValueError, "segmentation"),
        ({"segmentation": MASK.T}, ValueError, "size"),
        ({"segmentation": MASK[0]}, ValueError, "shape"),
        ({"segmentation": MASK.astype(float)}, ValueError, "float64"),
        ({"segmentation": {"size": [2, 3], "counts": [5]}}, ValueError, "RLE"),
        ({"segmentation": "abc"}, ValueError, "segmentation"),
    ],
)
def test_malformed_segmentation_raises(record, error, message):
    with pytest.raises(error, match=message):
        record_to_mask(record, (2, 3))
    with pytest.raises(error, match=message):
        record_to_runs(record, (2, 3))


def test_scores_become_plain_numbers():
    scores = record_scores(
        {
            "predicted_iou": np.float32(0.25),
            "stability_score": 1,
            "point_coords": np.array([[1, 2]]),
            "crop_box": (0, 0, 3, 2),
            "area": 3,
        }
    )
    assert scores == {
        "predicted_iou": 0.25,
        "stability_score": 1.0,
        "point_coords": [[1.0, 2.0]],
        "crop_box": [0.0, 0.0, 3.0, 2.0],
    }
    assert type(scores["predicted_iou"]) is float
    assert record_scores({"predicted_iou": None}) == {}


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"predicted_iou": np.nan}, "predicted_iou .* finite"),
        ({"predicted_iou": [0.5]}, "predicted_iou .* a number"),
        ({"stability_score": "high"}, "stability_score .* a number, got 'high'"),
        ({"point_coords": [1, 2]}, r"point_coords .* a list of \[x, y\]"),
        ({"point_coords": [[1], [1, 2]]}, r"point_coords .* a list of \[x, y\]"),
        ({"crop_box": [0, 0, 1]}, r"crop_box .* \[x, y, width, height\]"),
        ({"crop_box": [0, 0, np.inf, 1]}, "crop_box .* finite"),
    ],
)
def test_malformed_score_raises(scores, message):
    with pytest.raises(ValueError, match=message):
        record_scores(scores)


def test_categories_are_in_order_of_first_occurrence():
    images = [
        AnnotatedImage("a.png", (2, 3), [{"category": "cat"}, {}]),
        AnnotatedImage("b.png", (2, 3), [{"category": "cat"}, {"category": "dog"}]),
    ]
    assert record_categories(images) == ["cat", "object", "dog"]
    assert record_categories([]) == ["object"]


@pytest.mark.parametrize("category", [None, 5, "", " ", "a\nb"])
def test_malformed_category_raises(category):
    with pytest.raises(ValueError, match="category"):
        record_category({"category": category})


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [("", (2, 3), "file_name"), (None, (2, 3), "file_name"), ("a", (0, 3), "size")],
)
def test_image_without_name_or_size_raises(name, size, message):
    with pytest.raises(ValueError, match=message):
        AnnotatedImage(name, size)
