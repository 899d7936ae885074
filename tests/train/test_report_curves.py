"""Curves: each point is where the axes say."""

import math

import numpy as np
import pytest

from keras_sam.train.report_curves import (
    BOTTOM,
    LEFT,
    MAX_POINTS,
    RIGHT,
    TOP,
    curve_chart,
    curve_charts,
)


def parts(figure, tag, class_=None):
    return [node for node in figure.iter(tag) if class_ in (None, node.get("class"))]


def ticks(figure, anchor):
    """Return values and coordinates of an axis, from its labels."""
    key = {"end": "y", "middle": "x"}[anchor]
    texts = [node for node in parts(figure, "text") if node.get("text-anchor") == anchor]
    return [float(node.text) for node in texts], [float(node.get(key)) for node in texts]


def read_values(figure):
    """Read the epochs and values of all points off the axes."""
    epochs, x = ticks(figure, "middle")
    values, y = ticks(figure, "end")
    circles = parts(figure, "circle")
    to_epoch, to_value = np.polyfit(x, epochs, 1), np.polyfit(np.subtract(y, 4), values, 1)
    return [
        (
            float(np.polyval(to_epoch, float(node.get("cx")))),
            float(np.polyval(to_value, float(node.get("cy")))),
        )
        for node in circles
    ]


@pytest.mark.parametrize("scale", [1e-4, 1.0, 3e5])
def test_points_can_be_read_off_the_axes(scale):
    points = [(1, 0.5 * scale), (2, 0.9 * scale), (3, 0.7 * scale), (4, 0.75 * scale)]
    figure = curve_chart("Loss", points)
    np.testing.assert_allclose(read_values(figure), points, rtol=0.01)
    assert 2 <= len(ticks(figure, "end")[0]) <= 7
    (line,) = parts(figure, "polyline")
    pairs = [pair.split(",") for pair in line.get("points").split()]
    assert pairs == [[node.get("cx"), node.get("cy")] for node in parts(figure, "circle")]


def test_epochs_have_whole_ticks():
    for last in (2, 7, 30, 1000):
        epochs, _ = ticks(curve_chart("", [(i, i) for i in range(1, last + 1)]), "middle")
        assert all(epoch == int(epoch) and 1 <= epoch <= last for epoch in epochs)
        assert 2 <= len(epochs) <= 7


def test_the_baseline_and_the_best_epoch_are_marked():
    figure = curve_chart("IoU", [(1, 0.6), (2, 0.8), (3, 0.7)], baseline=0.5, best_epoch=2)
    found = read_values(figure)
    np.testing.assert_allclose(found, [(0, 0.5), (1, 0.6), (2, 0.8), (3, 0.7)], atol=0.01)
    (best,) = parts(figure, "circle", "best")
    assert best.find("title").text == "epoch 2: 0.8000"
    (line,) = parts(figure, "line", "baseline")
    assert line.get("y1") == line.get("y2") == parts(figure, "circle")[0].get("cy")


def test_the_weights_before_training_can_be_the_best():
    figure = curve_chart("IoU", [(1, 0.4)], baseline=0.5, best_epoch=0)
    (best,) = parts(figure, "circle", "best")
    assert best.find("title").text == "before training: 0.5000"


def test_values_that_are_not_finite_are_gaps():
    figure = curve_chart("Loss", [(1, 1.0), (2, math.nan), (3, 2.0), (4, 3.0), (5, math.inf)])
    assert [line.get("points").count(",") for line in parts(figure, "polyline")] == [1, 2]
    assert len(parts(figure, "circle")) == 3
    assert parts(curve_chart("Loss", [(1, math.nan)]), "p")[0].text == "no finite values"


@pytest.mark.parametrize("value", [0.0, 0.7, -3.0])
def test_a_constant_is_inside_the_plot(value):
    figure = curve_chart("Loss", [(1, value)])
    (point,) = parts(figure, "circle")
    assert TOP < float(point.get("cy")) < BOTTOM
    assert LEFT < float(point.get("cx")) < RIGHT


def test_a_long_curve_has_only_its_best_point():
    points = [(epoch, epoch / 100) for epoch in range(1, MAX_POINTS + 2)]
    figure = curve_chart("Loss", points, best_epoch=9)
    assert [node.get("class") for node in parts(figure, "circle")] == ["best"]


def test_there_is_a_chart_for_the_loss_and_for_each_validation_metric():
    logs = [
        {"epoch": 1, "loss": 2.0, "top_iou": 0.1, "val_box_iou": 0.6, "val_point_iou": 0.3},
        {"epoch": 2, "loss": 1.0, "top_iou": 0.2, "val_box_iou": 0.7, "val_point_iou": 0.2},
    ]
    charts = curve_charts(logs, {"box_iou": 0.5, "point_iou": 0.4}, best_epoch=2)
    titles = [chart.find("figcaption").text for chart in charts]
    assert titles == ["Training loss", "Box: IoU, validation", "Point: IoU, validation"]
    expected = [
        [(1, 2.0), (2, 1.0)],
        [(0, 0.5), (1, 0.6), (2, 0.7)],
        [(0, 0.4), (1, 0.3), (2, 0.2)],
    ]
    for chart, points in zip(charts, expected, strict=True):
        np.testing.assert_allclose(read_values(chart), points, atol=0.01)
        assert len(parts(chart, "circle", "best")) == 1


def test_without_validation_there_is_only_the_loss():
    (chart,) = curve_charts([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}], {}, 0)
    assert parts(chart, "circle", "best") == []
    assert parts(chart, "line", "baseline") == []
