import numpy as np
import pytest

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.parse_prompts import ImagePrompts, parse_prompts


def parse(**prompts):
    return parse_prompts(BatchImage("a", "a.png", **prompts))


@pytest.mark.parametrize("prompts", [{}, {"points": [], "boxes": ""}, {"points": "null"}])
def test_image_without_prompts_is_none(prompts):
    assert parse(**prompts) is None


@pytest.mark.parametrize(
    "boxes",
    [[[0, 1, 2, 3]], "[[0, 1, 2, 3]]", np.array([[0, 1, 2, 3]]), [np.array([0, 1, 2, 3])]],
)
def test_lists_json_and_arrays_are_equivalent(boxes):
    prompts = parse(boxes=boxes)
    assert prompts == ImagePrompts(None, None, [[0, 1, 2, 3]])
    assert len(prompts) == 1


def test_labels_default_to_foreground():
    prompts = parse(points=[[[1, 2], [3, 4]], None], boxes=[None, [0, 0, 5, 5]])
    assert prompts.labels == [[1, 1], None]


def test_select_returns_some_prompts():
    prompts = parse(points=[[[1, 2], [3, 4]], None], boxes=[None, [0, 0, 5, 5]])
    assert prompts.select([1]) == ImagePrompts([None], [None], [[0, 0, 5, 5]])


def test_is_single_point():
    prompts = parse(
        points=[[[1, 2]], [[1, 2], [3, 4]], [[1, 2]], None],
        boxes=[None, None, [0, 0, 5, 5], [0, 0, 5, 5]],
    )
    assert [prompts.is_single_point(index) for index in range(4)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"points": "[[["}, "points must be JSON"),
        ({"points": "[" * 100_000}, "points must be JSON"),
        ({"points": 3}, "points must be a list with one entry per prompt, got 3"),
        ({"boxes": [1, 2, 3, 4]}, "boxes of each prompt must be a list or null, got 1"),
        ({"labels": [[1]]}, "labels need points"),
        ({"points": [[[1, 2]]], "boxes": [[0, 0, 1, 1]] * 2}, "got lengths"),
    ],
)
def test_malformed_prompts_raise(prompts, message):
    with pytest.raises(ValueError, match=message):
        parse(**prompts)
