"""Prompts on and beyond the edge, and of every wrong type."""

import numpy as np
import pytest

from keras_sam.transforms.check_prompts import check_box, check_points

SIZE = (4, 5)  # height, width


def test_good_prompts_become_arrays():
    coords, labels = check_points([[0, 0], [4.75, 3.75]], [True, 0], SIZE)
    assert (coords.dtype, labels.dtype) == (np.float32, np.int32)
    np.testing.assert_array_equal(coords, [[0, 0], [4.75, 3.75]])
    np.testing.assert_array_equal(labels, [1, 0])
    box = check_box((0, 1, 5, 4), SIZE)
    assert box.dtype == np.float32
    np.testing.assert_array_equal(box, [0, 1, 5, 4])


@pytest.mark.parametrize("point", [(5, 0), (0, 4), (-0.5, 0), (0, -1), (1e30, 0)])
def test_a_point_lies_on_a_pixel(point):
    with pytest.raises(ValueError, match="outside the image of width 5 and height 4"):
        check_points([point], [1], SIZE)


def test_what_is_not_a_point_may_lie_anywhere():
    coords, _ = check_points([[-9, 99]], [-1], SIZE)
    np.testing.assert_array_equal(coords, [[-9, 99]])


@pytest.mark.parametrize("box", [(0, 0, 5.5, 4), (0, 0, 5, 4.5), (-1, 0, 5, 4), (0, -1, 5, 4)])
def test_a_box_ends_at_the_border(box):
    with pytest.raises(ValueError, match="reaches outside"):
        check_box(box, SIZE)


@pytest.mark.parametrize("box", [(2, 1, 2, 3), (2, 1, 1, 3), (2, 3, 4, 3)])
def test_an_empty_box_is_refused(box):
    with pytest.raises(ValueError, match="x0 < x1"):
        check_box(box, SIZE)


WRONG = [
    "12",
    b"12",
    bytearray(b"12"),
    {},
    pytest.param(object(), id="object"),
    [None],
    [[1, 2], [3]],
    [["1", "2"]],
    [[1j, 2]],
    5,
    [],
    [1, 2],
    [[1, 2, 3]],
    [[np.nan, 1]],
    [[np.inf, 1]],
]


@pytest.mark.parametrize("values", [None, *WRONG], ids=repr)
def test_wrong_points_are_refused(values):
    with pytest.raises(ValueError, match="point_coords"):
        check_points(values, [1], SIZE)


@pytest.mark.parametrize(
    "values", [None, "1", b"1", 1, {}, [None], ["1"], [[1]], [1, 1], [2], [0.5], [np.nan]], ids=repr
)
def test_wrong_labels_are_refused(values):
    with pytest.raises(ValueError, match="point_labels"):
        check_points([[1, 2]], values, SIZE)


@pytest.mark.parametrize("values", [None, *WRONG, [0, 0, 1, np.nan], [[0, 0, 1, 1]]], ids=repr)
def test_wrong_boxes_are_refused(values):
    with pytest.raises(ValueError, match="box must"):
        check_box(values, SIZE)


@pytest.mark.parametrize("size", [None, 5, (4,), (4, 5, 3), (4.5, 5), ("4", "5"), (0, 5)])
def test_wrong_sizes_are_refused(size):
    for check in (
        lambda: check_points([[1, 2]], [1], size),
        lambda: check_box([0, 0, 1, 1], size),
    ):
        with pytest.raises(ValueError, match="original_size must be"):
            check()


def test_messages_stay_short():
    with pytest.raises(ValueError, match="finite") as error:
        check_points([[np.nan, 1.0]] * 1000, [1] * 1000, SIZE)
    assert len(str(error.value)) < 200
