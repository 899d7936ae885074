import numpy as np
import pytest
import typer

from keras_sam.cli.prompts import (
    BoxPrompt,
    ObjectPrompt,
    PointPrompt,
    parse_box,
    parse_point,
    parse_points_per_side,
)


@pytest.mark.parametrize(
    ("text", "point"),
    [("3,4", (3, 4, 1)), ("3,4,1", (3, 4, 1)), ("3, 4.5 ,0", (3, 4.5, 0)), ("-1,2", (-1, 2, 1))],
)
def test_point(text, point):
    assert parse_point(text) == point


@pytest.mark.parametrize("text", ["", "3", "a,b", "1,2,3", "1,2,0.5", "1,2,1,0", "nan,1", "1,inf"])
def test_invalid_point_raises(text):
    with pytest.raises(typer.BadParameter, match=r"expected|label"):
        parse_point(text)


def test_box():
    assert parse_box("1,2,3.5,4") == (1, 2, 3.5, 4)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1,2,3,inf"])
def test_invalid_box_raises(text):
    with pytest.raises(typer.BadParameter, match="expected"):
        parse_box(text)


def test_arguments_of_points_and_box():
    arrays = ObjectPrompt(
        [PointPrompt(1, 2, 1), PointPrompt(3, 4, 0)], BoxPrompt(0, 1, 5, 6)
    ).to_arguments()
    np.testing.assert_array_equal(arrays["point_coords"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(arrays["point_labels"], [1, 0])
    np.testing.assert_array_equal(arrays["box"], [0, 1, 5, 6])


def test_missing_parts_are_omitted():
    assert set(ObjectPrompt([], BoxPrompt(0, 1, 5, 6)).to_arguments()) == {"box"}
    assert set(ObjectPrompt([PointPrompt(1, 2, 1)]).to_arguments()) == {
        "point_coords",
        "point_labels",
    }


def test_points_per_side():
    assert [parse_points_per_side(text) for text in ("16", "auto")] == [16, "auto"]


@pytest.mark.parametrize("text", ["", "0", "-3", "2.5", "fine"])
def test_invalid_points_per_side_raises(text):
    with pytest.raises(typer.BadParameter, match="a number of points, or auto"):
        parse_points_per_side(text)
