"""Prompts of length zero: dropped without changing what the others mean."""

import numpy as np
import pytest

from keras_sam.layers.prompts import resolve_prompts
from keras_sam.models.remove_empty_prompts import remove_empty_prompts
from keras_sam.point_labels import PADDING

IMAGES = np.zeros((2, 8, 8, 3), "float32")
BOXES = np.array([[[[2, 3], [50, 40]], [[5, 5], [30, 31]]]] * 2, "float32")
POINTS = np.array([[[[9, 8]], [[20, 30]]]] * 2, "float32")
LABELS = np.ones((2, 2, 1), "int32")


@pytest.mark.parametrize(
    ("prompts", "kept"),
    [
        ({}, []),
        ({"boxes": BOXES[:, :0]}, []),
        ({"masks": np.zeros((2, 0, 32, 32, 1)), "boxes": BOXES}, ["boxes"]),
        ({"points": POINTS[:, :0], "labels": LABELS[:, :0], "boxes": BOXES}, ["boxes"]),
        ({"points": POINTS, "labels": LABELS, "boxes": None}, ["labels", "points"]),
        ({"points": np.zeros((2, 0, 2)), "labels": np.zeros((2, 0))}, ["labels", "points"]),
        ({"points": np.zeros((2, 2, 0, 2)), "labels": np.zeros((2, 2, 0))}, ["labels", "points"]),
        ({"points": np.zeros((2, 2, 0, 2)), "boxes": BOXES}, ["boxes", "labels", "points"]),
    ],
)
def test_what_remains_resolves_to_the_same_prompts(prompts, kept):
    inputs = {"images": IMAGES} | prompts
    found = remove_empty_prompts(inputs)
    assert sorted(found) == sorted(["images", *kept])
    assert all(0 not in array.shape for array in found.values())
    expected, resolved = resolve_prompts(**inputs), resolve_prompts(**found)
    assert resolved.count == expected.count
    assert resolved.has_prompt_axis == expected.has_prompt_axis
    for name in ("boxes", "masks"):
        assert getattr(resolved, name) is getattr(expected, name)
    if expected.points is None and resolved.points is not None:
        assert (resolved.labels == PADDING).all()


@pytest.mark.parametrize("inputs", [IMAGES, [IMAGES], ("any", "thing")])
def test_other_values_are_returned_unchanged(inputs):
    assert remove_empty_prompts(inputs) is inputs


def test_lists_are_returned_unchanged():
    inputs = {"images": list(IMAGES), "boxes": []}
    assert remove_empty_prompts(inputs) == inputs


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"points": POINTS}, "came without `labels`"),
        ({"points": POINTS[:, :, :0], "labels": LABELS[:, :, :0], "boxes": BOXES[:, :1]}, "disagr"),
        ({"boxes": BOXES[:1]}, "number of images"),
        ({"box": BOXES}, "unknown inputs"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(prompts, message):
    with pytest.raises(ValueError, match=message):
        remove_empty_prompts({"images": IMAGES} | prompts)
