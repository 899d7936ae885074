"""Records under the keys of Meta's mask generator."""

import numpy as np
import pytest

from keras_sam.annotations.record import (
    AnnotatedImage,
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


def test_a_mask_there_and_back():
    record = mask_to_record(MASK, predicted_iou=0.5)
    assert (record["area"], record["bbox"], record["predicted_iou"]) == (3, [1, 0, 2, 2], 0.5)
    assert "category" not in record
    np.testing.assert_array_equal(record_to_mask(record), MASK)


@pytest.mark.parametrize(
    "segmentation",
    [MASK, MASK.astype(np.uint8), MASK.tolist(), {"size": [2, 3], "counts": [2, 1, 1, 2]}],
    ids=["bool", "uint8", "list", "runs"],
)
def test_each_form_of_a_segmentation(segmentation):
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
def test_what_is_no_mask_is_refused(record, error, message):
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
    "scores",
    [
        {"predicted_iou": np.nan},
        {"stability_score": "high"},
        {"point_coords": [1, 2]},
        {"crop_box": [0, 0, np.inf, 1]},
    ],
    ids=repr,
)
def test_malformed_scores_are_refused(scores):
    with pytest.raises(ValueError, match=next(iter(scores))):
        record_scores(scores)


def test_categories_in_their_order():
    images = [
        AnnotatedImage("a.png", (2, 3), [{"category": "cat"}, {}]),
        AnnotatedImage("b.png", (2, 3), [{"category": "cat"}, {"category": "dog"}]),
    ]
    assert record_categories(images) == ["cat", "object", "dog"]
    assert record_categories([]) == ["object"]
    for category in (None, 5, "", " ", "a\nb"):
        with pytest.raises(ValueError, match="category"):
            record_category({"category": category})


@pytest.mark.parametrize(("name", "size"), [("", (2, 3)), (None, (2, 3)), ("a", (0, 3))])
def test_images_without_name_or_size_are_refused(name, size):
    with pytest.raises(ValueError, match=r"file_name|size"):
        AnnotatedImage(name, size)
