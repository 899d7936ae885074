"""Valid prompts, prompts at and beyond the border of the image, and values of every wrong type."""

import numpy as np
import pytest

from keras_sam.transforms.check_prompts import check_box, check_points

SIZE = (4, 5)  # height, width


def test_valid_prompts_become_arrays():
    coords, labels = check_points([[0, 0], [4.75, 3.75]], [True, 0], SIZE)
    assert (coords.dtype, labels.dtype) == (np.float32, np.int32)
    np.testing.assert_array_equal(coords, [[0, 0], [4.75, 3.75]])
    np.testing.assert_array_equal(labels, [1, 0])
    box = check_box((0, 1, 5, 4), SIZE)
    assert box.dtype == np.float32
    np.testing.assert_array_equal(box, [0, 1, 5, 4])


def test_numpy_sizes_are_accepted():
    size = (np.int64(4), np.int32(5))
    assert len(check_points([[4, 3]], [1], size)[0]) == 1
    np.testing.assert_array_equal(check_box([0, 0, 5, 4], size), [0, 0, 5, 4])


@pytest.mark.parametrize("point", [(5, 0), (0, 4), (-0.5, 0), (0, -1), (1e30, 0)])
@pytest.mark.parametrize("label", [0, 1])
def test_point_outside_the_image_raises(point, label):
    with pytest.raises(ValueError, match="outside the image of width 5 and height 4"):
        check_points([(1, 1), point], [1, label], SIZE)


def test_point_with_label_minus_1_may_be_outside_the_image():
    coords, _ = check_points([[-9, 99]], [-1], SIZE)
    np.testing.assert_array_equal(coords, [[-9, 99]])


@pytest.mark.parametrize("box", [(0, 0, 5.5, 4), (0, 0, 5, 4.5), (-1, 0, 5, 4), (0, -1, 5, 4)])
def test_box_beyond_the_border_raises(box):
    with pytest.raises(ValueError, match="not inside the image of width 5 and height 4"):
        check_box(box, SIZE)


@pytest.mark.parametrize("box", [(2, 1, 2, 3), (2, 1, 1, 3), (2, 3, 4, 3)])
def test_empty_box_raises(box):
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
def test_wrong_points_raise(values):
    with pytest.raises(ValueError, match="point_coords"):
        check_points(values, [1], SIZE)


@pytest.mark.parametrize(
    "values", [None, "1", b"1", 1, {}, [None], ["1"], [[1]], [1, 1], [2], [0.5], [np.nan]], ids=repr
)
def test_wrong_labels_raise(values):
    with pytest.raises(ValueError, match="point_labels"):
        check_points([[1, 2]], values, SIZE)


@pytest.mark.parametrize("values", [None, *WRONG, [0, 0, 1, np.nan], [[0, 0, 1, 1]]], ids=repr)
def test_wrong_boxes_raise(values):
    with pytest.raises(ValueError, match="box must"):
        check_box(values, SIZE)


@pytest.mark.parametrize("size", [None, 5, (4,), (4, 5, 3), (4.5, 5), ("4", "5"), (0, 5)])
def test_wrong_sizes_raise(size):
    with pytest.raises(ValueError, match="original_size must be"):
        check_points([[1, 2]], [1], size)
    with pytest.raises(ValueError, match="original_size must be"):
        check_box([0, 0, 1, 1], size)


def test_error_messages_stay_short():
    with pytest.raises(ValueError, match="finite") as error:
        check_points([[np.nan, 1.0]] * 1000, [1] * 1000, SIZE)
    assert len(str(error.value)) < 200
