import numpy as np
import pytest

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.parse_prompts import parse_prompts


def prompts(**given):
    return parse_prompts(BatchImage("a", "a.png", **given))


def test_no_prompts_are_none():
    assert prompts() is None
    assert prompts(points=[], boxes="") is None
    assert prompts(points="null") is None


@pytest.mark.parametrize("boxes", [[[0, 1, 2, 3]], "[[0, 1, 2, 3]]", np.array([[0, 1, 2, 3]])])
def test_lists_json_and_arrays_mean_the_same(boxes):
    found = prompts(boxes=boxes)
    assert (found.points, found.labels, found.boxes) == (None, None, [[0, 1, 2, 3]])
    assert len(found) == 1


def test_points_without_labels_are_foreground():
    found = prompts(points=[[[1, 2], [3, 4]], None], boxes=[None, [0, 0, 5, 5]])
    assert found.labels == [[1, 1], None]
    assert found.some([1]) == {
        "point_coords": [None],
        "point_labels": [None],
        "boxes": [[0, 0, 5, 5]],
    }


def test_a_lone_click_is_known():
    found = prompts(
        points=[[[1, 2]], [[1, 2], [3, 4]], [[1, 2]], None],
        boxes=[None, None, [0, 0, 5, 5], [0, 0, 5, 5]],
    )
    assert [found.is_single_point(index) for index in range(4)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"points": "[[["}, "points must be JSON"),
        ({"points": "[" * 100_000}, "points must be JSON"),
        ({"points": 3}, "points must be a list with an entry for each prompt, got 3"),
        ({"boxes": [1, 2, 3, 4]}, "boxes of each prompt must be a list or null, got 1"),
        ({"labels": [[1]]}, "labels came without points"),
        ({"points": [[[1, 2]]], "boxes": [[0, 0, 1, 1]] * 2}, "an entry for each prompt"),
    ],
)
def test_wrong_prompts_are_told(given, message):
    with pytest.raises(ValueError, match=message):
        prompts(**given)
