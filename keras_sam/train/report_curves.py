"""Curves of a report: the loss and each validation metric per epoch, in SVG."""

import math
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from keras_sam.train.report_html import element
from keras_sam.train.report_scores import CALIBRATION_LABEL, LABELS

WIDTH, HEIGHT = 320, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 310, 12, 164  # sides of the plot
MAX_TICKS = 5
MAX_POINTS = 60  # longer curves have no point per epoch


def curve_charts(
    logs: Sequence[Mapping[str, float]], baseline: Mapping[str, float], best_epoch: int
) -> list[Element]:
    """Create a chart for the loss and for each validation metric.

    Args:
        logs: Logs of the epochs, with the keys `epoch`, `loss`, and `val_` metrics.
        baseline: Validation metrics before training, without `val_`. Empty without validation.
        best_epoch: Epoch whose weights were kept; 0 for those before training.
    """
    best = best_epoch if baseline else None
    labels = {**LABELS, "calibration_error": CALIBRATION_LABEL}
    charts = [curve_chart("Training loss", _points(logs, "loss"), best_epoch=best)]
    for name, start in baseline.items():
        title = f"{labels.get(name, name)}, validation"
        charts.append(curve_chart(title, _points(logs, f"val_{name}"), start, best))
    return charts


def curve_chart(
    title: str,
    points: Sequence[tuple[int, float]],
    baseline: float | None = None,
    best_epoch: int | None = None,
) -> Element:
    """Create a chart of one value per epoch.

    Args:
        title: Name of the value.
        points: Epoch and value, in ascending order. Values that are not finite are gaps.
        baseline: Value before training, drawn at epoch 0 and as a dashed line.
        best_epoch: Epoch to mark, if any.
    """
    points = points if baseline is None else [(0, baseline), *points]
    values = [value for _, value in points if math.isfinite(value)]
    figure = element("figure", element("figcaption", title))
    if not values:
        figure.append(element("p", "no finite values", class_="muted"))
        return figure
    x_axis = _Axis(points[0][0], points[-1][0], LEFT, RIGHT, min_step=1)
    y_axis = _Axis(min(values), max(values), BOTTOM, TOP, margin=0.08)
    description = f"{title}: {len(points)} values from {min(values):.3g} to {max(values):.3g}"
    chart = element("svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=description)
    chart.extend(_grid(x_axis, y_axis))
    if baseline is not None and math.isfinite(baseline):
        y = y_axis(baseline)
        chart.append(_line(LEFT, y, RIGHT, y, "baseline"))
    for run in _finite_runs(points):
        path = " ".join(f"{x_axis(epoch)},{y_axis(value)}" for epoch, value in run)
        chart.append(element("polyline", points=path, class_="curve"))
        chart.extend(
            _point(x_axis(epoch), y_axis(value), _label(epoch, value), epoch == best_epoch)
            for epoch, value in run
            if epoch == best_epoch or len(points) <= MAX_POINTS
        )
    figure.append(chart)
    return figure


def _points(logs: Sequence[Mapping[str, float]], name: str) -> list[tuple[int, float]]:
    return [(int(entry["epoch"]), entry[name]) for entry in logs]


class _Axis:
    """Maps values to coordinates, and has round ticks."""

    def __init__(
        self,
        low: float,
        high: float,
        start: float,
        end: float,
        *,
        margin: float = 0.0,
        min_step: float = 0.0,
    ) -> None:
        span = (high - low) or max(abs(high) * 0.1, 1e-3)
        if low == high:
            low, high = low - span / 2, high + span / 2
        self.low, self.high = low - margin * span, high + margin * span
        self.start, self.end = start, end
        step = max(min_step, _round_step((self.high - self.low) / MAX_TICKS))
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        self.ticks = [index * step for index in range(first, last + 1)]

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def _round_step(step: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below a step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _grid(x_axis: _Axis, y_axis: _Axis) -> list[Element]:
    lines = []
    for tick in y_axis.ticks:
        y = y_axis(tick)
        lines.append(_line(LEFT, y, RIGHT, y, "grid"))
        lines.append(element("text", f"{tick:.4g}", x=LEFT - 6, y=y + 4, text_anchor="end"))
    for tick in x_axis.ticks:
        lines.append(
            element("text", f"{tick:g}", x=x_axis(tick), y=BOTTOM + 18, text_anchor="middle")
        )
    return lines


def _finite_runs(points: Sequence[tuple[int, float]]) -> list[list[tuple[int, float]]]:
    """Split points at values that are not finite."""
    runs: list[list[tuple[int, float]]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Element:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _point(x: float, y: float, label: str, is_best: bool) -> Element:
    class_, radius = ("best", 4.5) if is_best else ("point", 2.5)
    return element("circle", element("title", label), cx=x, cy=y, r=radius, class_=class_)


def _label(epoch: int, value: float) -> str:
    return f"epoch {epoch}: {value:.4f}" if epoch else f"before training: {value:.4f}"
