"""Tables of a report: scores before and after training, over all, by category and by size."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from keras_sam.evaluate.calibration import expected_calibration_error
from keras_sam.evaluate.evaluate import Evaluation
from keras_sam.evaluate.mean_scores import MeanScores
from keras_sam.train.report_html import Child, element, table

MAX_CATEGORIES = 20
# Labels of the scores of `Evaluation`, in the order of the table.
LABELS = {
    "box_iou": "Box: IoU",
    "box_boundary_iou": "Box: boundary IoU",
    "point_iou": "Point: IoU",
    "point_boundary_iou": "Point: boundary IoU",
    "jittered_point_iou": "Random point: IoU",
    "point_oracle_iou": "Point, best of three masks: IoU",
    "three_point_iou": "Three points: IoU",
    "three_point_boundary_iou": "Three points: boundary IoU",
}
CALIBRATION_LABEL = "Calibration error of predicted IoU"
GROUP_LABELS = {
    "box_iou": "Box",
    "point_iou": "Point",
    "point_oracle_iou": "Point, best of three",
    "three_point_iou": "Three points",
}


@dataclass(frozen=True)
class ScoreChange:
    """Score before and after training.

    Attributes:
        label: Name for people.
        before: Score before training.
        after: Score after training.
        digits: Number of decimal places.
        is_higher_better: False for errors and numbers of clicks.
    """

    label: str
    before: float
    after: float
    digits: int = 3
    is_higher_better: bool = True

    @property
    def difference(self) -> str:
        """Difference with its sign, or "0" if it is rounded to 0."""
        text = f"{self.after - self.before:+.{self.digits}f}"
        return text if text.strip("+-0.") else "0"

    @property
    def direction(self) -> str:
        """`"better"`, `"worse"`, or `""` if the difference is rounded to 0."""
        if self.difference == "0":
            return ""
        return "better" if (self.after > self.before) == self.is_higher_better else "worse"


def list_changes(before: Evaluation, after: Evaluation) -> Iterator[ScoreChange]:
    """Yield all scores that were measured both before and after training."""
    for name, label in LABELS.items():
        values = getattr(before, name), getattr(after, name)
        if None not in values:
            yield ScoreChange(label, *values)
    if before.box_ap is not None and after.box_ap is not None:
        yield ScoreChange("Box: average precision", before.box_ap.ap, after.box_ap.ap)
    yield ScoreChange(
        CALIBRATION_LABEL,
        expected_calibration_error(before.calibration),
        expected_calibration_error(after.calibration),
        is_higher_better=False,
    )
    if before.clicks is None or after.clicks is None:
        return
    means = zip(before.clicks.mean_iou, after.clicks.mean_iou, strict=True)
    for count, values in enumerate(means, start=1):
        yield ScoreChange(f"{count} click{'s' * (count > 1)}: IoU", *values)
    for one, other in zip(before.clicks.thresholds, after.clicks.thresholds, strict=True):
        label = f"Clicks to IoU {one.iou:.2f} (at most {before.clicks.max_clicks})"
        yield ScoreChange(label, one.noc, other.noc, digits=2, is_higher_better=False)
        label = f"Masks below IoU {one.iou:.2f} after all clicks"
        yield ScoreChange(label, one.nof, other.nof, digits=0, is_higher_better=False)


def score_table(before: Evaluation, after: Evaluation) -> Element:
    """Create the table of all scores, with the change of each marked."""
    rows: list[list[Child]] = []
    for change in list_changes(before, after):
        label = change.label if change.is_higher_better else f"{change.label} (lower is better)"
        numbers = [
            element("td", f"{value:.{change.digits}f}", class_="number")
            for value in (change.before, change.after)
        ]
        text = f"{change.difference} {change.direction}".strip()
        class_ = f"number {change.direction}".strip()
        rows.append([label, *numbers, element("td", text, class_=class_)])
    return table(["Score", "Before", "After", "Change"], rows)


def category_tables(before: Evaluation, after: Evaluation) -> list[Element]:
    """Create the table of the most frequent categories, and a note about the others.

    With one category, it would repeat the table of all scores, so there is none.
    """
    by_count = sorted(after.by_category, key=lambda name: -after.by_category[name].masks)
    if len(by_count) < 2:
        return []
    shown, hidden = by_count[:MAX_CATEGORIES], by_count[MAX_CATEGORIES:]
    content = [
        element("h3", "By category"),
        _group_table("Category", before.by_category, after.by_category, shown),
    ]
    if hidden:
        num_masks = sum(after.by_category[name].masks for name in hidden)
        text = f"{len(hidden)} more categories with {num_masks} masks are not listed."
        content.append(element("p", text, class_="muted"))
    return content


def size_tables(before: Evaluation, after: Evaluation) -> list[Element]:
    """Create the table of small, medium and large targets."""
    names = list(after.by_size)
    return [
        element("h3", "By size"),
        _group_table("Size", before.by_size, after.by_size, names),
        element(
            "p",
            "Small targets have fewer than 32 x 32 pixels, and large ones at least 96 x 96.",
            class_="muted",
        ),
    ]


def _group_table(
    title: str,
    before: Mapping[str, MeanScores],
    after: Mapping[str, MeanScores],
    names: list[str],
) -> Element:
    rows: list[list[Child]] = []
    for name in names:
        changes = [
            ScoreChange(label, getattr(before[name], score), getattr(after[name], score))
            for score, label in GROUP_LABELS.items()
        ]
        count = element("td", str(after[name].masks), class_="number")
        rows.append([name, count, *map(_change_cell, changes)])
    return table([title, "Masks", *(f"{label}: IoU" for label in GROUP_LABELS.values())], rows)


def _change_cell(change: ScoreChange) -> Element:
    text = f"{change.before:.{change.digits}f} → {change.after:.{change.digits}f} "
    difference = element("span", change.difference, class_=change.direction or "muted")
    return element("td", text, difference, class_="number")
