"""The picture of all masks: what is drawn where, and what is left alone."""

import numpy as np
import pytest

from keras_sam.annotations.mask_record import mask_to_record
from keras_sam.drawing.draw_annotations import FILL, draw_annotations

SIZE = (90, 120)
IMAGE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
IMAGE.flags.writeable = False


def rectangle(y0, y1, x0, x1, **scores):
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask_to_record(mask, **scores)


def color_at(picture, y, x):
    """The color that was laid over a pixel."""
    return np.round((picture[y, x] - (1 - FILL) * IMAGE[y, x]) / FILL)


def test_neighbors_have_different_colors_and_the_rest_is_left_alone():
    left, right = rectangle(10, 80, 10, 50), rectangle(10, 80, 51, 91)
    picture = draw_annotations(IMAGE, [left, right], legend=False)
    assert np.abs(color_at(picture, 45, 30) - color_at(picture, 45, 70)).max() > 50
    np.testing.assert_array_equal(picture[:, 97:], IMAGE[:, 97:])
    assert (picture[45, 10].astype(int) > 150).all()  # the outline is white


def test_a_smaller_mask_lies_on_top_of_a_larger_one():
    large, small = rectangle(0, 90, 0, 120), rectangle(30, 60, 40, 80)
    both = draw_annotations(IMAGE, [small, large], legend=False)
    assert np.abs(color_at(both, 45, 60) - color_at(both, 45, 20)).max() > 50


@pytest.mark.parametrize("legend", [True, False])
@pytest.mark.parametrize(
    "records",
    [
        [],
        [rectangle(0, 0, 0, 0)],
        [rectangle(0, 90, 0, 120, predicted_iou=1.5)],
        [rectangle(89, 90, 119, 120, predicted_iou=-3), rectangle(0, 1, 0, 1, category="ä" * 99)],
        [rectangle(y, y + 3, 0, 120, predicted_iou=y / 90) for y in range(0, 90, 3)],
    ],
    ids=["none", "empty", "full", "pixels", "many"],
)
def test_any_records_are_drawn_and_inputs_left_alone(records, legend):
    before = IMAGE.copy()
    picture = draw_annotations(IMAGE, records, legend=legend)
    assert (picture.dtype, picture.ndim, picture.shape[2]) == (np.uint8, 3, 3)
    if legend:
        assert (picture.shape[0], picture.shape[1] > 960 + 150) == (720, True)
        assert (picture[5:40, 980:1100] < 100).any()  # the number of masks is written
    else:
        assert picture.shape == IMAGE.shape
    np.testing.assert_array_equal(IMAGE, before)
    assert not np.shares_memory(picture, IMAGE)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5), (30, 2000), (2001, 1003)])
@pytest.mark.parametrize("legend", [True, False])
def test_any_size_of_image(size, legend):
    image = np.full((*size, 3), 99, np.uint8)
    picture = draw_annotations(
        image, [mask_to_record(np.ones(size, bool), predicted_iou=0.9)], legend=legend
    )
    assert picture.shape[0] >= size[0]
    assert picture.shape[1] > size[1] if legend else picture.shape == image.shape
    assert (picture[: size[0], : size[1]] != 99).any(axis=2).all()


def test_names_and_sizes_are_listed_where_there_is_no_score():
    plain = draw_annotations(IMAGE, [rectangle(0, 30, 0, 30)])
    named = draw_annotations(IMAGE, [rectangle(0, 30, 0, 30, category="cat")])
    assert named.shape[1] > plain.shape[1]


def test_the_best_come_first_whatever_their_order():
    """The digits stand right of the bars, whose colors follow the order of the records."""
    best = rectangle(10, 40, 10, 50, predicted_iou=0.9)
    worst = rectangle(50, 80, 60, 100, predicted_iou=0.5)
    one, other = draw_annotations(IMAGE, [best, worst]), draw_annotations(IMAGE, [worst, best])
    digits = np.s_[:, 1130:]
    assert (one[digits] < 100).any()
    np.testing.assert_array_equal(one[digits], other[digits])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"image": None}, TypeError, "image"),
        ({"image": IMAGE[..., 0]}, ValueError, "image"),
        ({"records": [mask_to_record(np.ones((2, 2), bool))]}, ValueError, "size"),
        ({"records": [rectangle(0, 9, 0, 9, predicted_iou=np.nan)]}, ValueError, "finite"),
        ({"records": [None]}, TypeError, "record"),
    ],
)
def test_wrong_arguments_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        draw_annotations(**({"image": IMAGE, "records": []} | given))
