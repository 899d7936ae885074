import numpy as np
import pytest
import typer

from keras_sam.cli.prompts import Box, Point, Prompt, parse_points_per_side


@pytest.mark.parametrize(
    ("text", "point"),
    [("3,4", (3, 4, 1)), ("3,4,1", (3, 4, 1)), ("3, 4.5 ,0", (3, 4.5, 0)), ("-1,2", (-1, 2, 1))],
)
def test_point(text, point):
    assert Point.parse(text) == point


@pytest.mark.parametrize("text", ["", "3", "a,b", "1,2,3", "1,2,0.5", "1,2,1,0", "nan,1", "1,inf"])
def test_a_wrong_point(text):
    with pytest.raises(typer.BadParameter, match=r"expected|label"):
        Point.parse(text)


def test_box():
    assert Box.parse("1,2,3.5,4") == (1, 2, 3.5, 4)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1,2,3,inf"])
def test_a_wrong_box(text):
    with pytest.raises(typer.BadParameter, match="expected"):
        Box.parse(text)


def test_arrays_of_points_and_a_box():
    arrays = Prompt([Point(1, 2, 1), Point(3, 4, 0)], Box(0, 1, 5, 6)).arrays()
    np.testing.assert_array_equal(arrays["point_coords"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(arrays["point_labels"], [1, 0])
    np.testing.assert_array_equal(arrays["box"], [0, 1, 5, 6])


def test_what_is_not_given_is_left_out():
    assert set(Prompt([], Box(0, 1, 5, 6)).arrays()) == {"box"}
    assert set(Prompt([Point(1, 2, 1)]).arrays()) == {"point_coords", "point_labels"}


def test_points_per_side():
    assert [parse_points_per_side(text) for text in ("16", "auto")] == [16, "auto"]


@pytest.mark.parametrize("text", ["", "0", "-3", "2.5", "fine"])
def test_wrong_points_per_side(text):
    with pytest.raises(typer.BadParameter, match="a number of points, or auto"):
        parse_points_per_side(text)
