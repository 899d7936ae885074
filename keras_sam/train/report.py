"""`write_report`: one HTML file about a fine-tuning run."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import keras

from keras_sam.drawing.draw_comparison import draw_comparison
from keras_sam.evaluate.evaluate import Evaluation
from keras_sam.files.atomic_file import write_atomically
from keras_sam.train.check_dataset import MAX_LISTED, PROBLEM_KINDS, DatasetReport
from keras_sam.train.report_curves import curve_charts
from keras_sam.train.report_gallery import GalleryRow
from keras_sam.train.report_html import (
    Child,
    element,
    embedded_image,
    render_page,
    section,
    shorten,
    table,
)
from keras_sam.train.report_scores import (
    MAX_CATEGORIES,
    category_tables,
    score_table,
    size_tables,
)

MAX_GALLERY_ROWS = 24


@dataclass(frozen=True)
class FinetuneReport:
    """Content of the report of a fine-tuning run.

    Attributes:
        before: Scores on the test images before training.
        after: Scores on the same images after training.
        logs: Logs of the epochs, as in `TrainingState.logs`.
        baseline: Validation metrics before training. Empty without validation.
        best_epoch: Epoch whose weights were kept; 0 for those before training.
        gallery: Test masks before and after training. At most `MAX_GALLERY_ROWS` are shown.
        dataset: Result of `check_dataset`, if any.
        settings: Names and values.
        command: Command of the run, if any.
        versions: Names and versions of software, see `library_versions`.
    """

    before: Evaluation
    after: Evaluation
    logs: Sequence[Mapping[str, float]]
    baseline: Mapping[str, float]
    best_epoch: int
    gallery: Sequence[GalleryRow] = ()
    dataset: DatasetReport | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def write_report(path: str | Path, report: FinetuneReport) -> None:
    """Write a report as one HTML file without external resources.

    Texts from files, such as names of images and categories, are escaped and shortened.

    Args:
        path: File to write. Its folder must exist.
        report: Content.

    Raises:
        OSError: If the folder does not exist or is not writable.
        ValueError: If the scores before and after training are of different masks.
    """
    masks_before, masks_after = (
        [(score.file_name, score.annotation_id) for score in evaluation.scores]
        for evaluation in (report.before, report.after)
    )
    if masks_before != masks_after:
        raise ValueError("before and after must be scores of the same masks")
    sections = [_scores(report), _curves(report), _gallery(report.gallery)]
    sections += [_data(report.dataset), _settings(report)]
    page = render_page("Fine-tuning report", *(one for one in sections if one is not None))
    write_atomically(path, page)


def library_versions() -> dict[str, str]:
    """Return the versions of keras-sam, Keras, its backend and Python."""
    backend = keras.backend.backend()
    return {
        "keras-sam": version("keras-sam"),
        "keras": keras.__version__,
        backend: import_module(backend).__version__,  # its distribution may have another name
        "python": platform.python_version(),
    }


def _scores(report: FinetuneReport) -> Element:
    before, after = report.before, report.after
    text = f"Means over all masks. Test images: {after.images}, masks: {after.masks}."
    return section(
        "Scores before and after training",
        element("p", text),
        score_table(before, after),
        *category_tables(before, after),
        *size_tables(before, after),
    )


def _curves(report: FinetuneReport) -> Element | None:
    if not report.logs:
        return None
    if not report.baseline:
        text = "The run had no validation."
    elif report.best_epoch:
        text = (
            f"The weights of epoch {report.best_epoch} of {len(report.logs)} were kept, and this "
            "epoch is marked. Dashed lines are the values before training, at epoch 0."
        )
    else:
        text = (
            "No epoch was better in validation than the preset, so its weights were kept. Dashed "
            "lines are the values before training, at epoch 0."
        )
    charts = curve_charts(report.logs, report.baseline, report.best_epoch)
    return section("Training", element("p", text), element("div", *charts, class_="charts"))


def _gallery(rows: Sequence[GalleryRow]) -> Element | None:
    if not rows:
        return None
    shown = rows[:MAX_GALLERY_ROWS]
    text = (
        "Each row has the image, the mask before training and the mask after training. The "
        "predicted mask is blue, and the outline of the target is orange."
    )
    content: list[Child] = [element("p", text)]
    for prompt, group in dict.fromkeys((row.target.prompt, row.target.group) for row in shown):
        figures = [
            _figure(row)
            for row in shown
            if (row.target.prompt, row.target.group) == (prompt, group)
        ]
        content.append(element("h3", f"{group.capitalize()} masks by {prompt}"))
        content.append(element("div", *figures, class_="gallery"))
    if len(rows) > len(shown):
        text = f"{len(rows) - len(shown)} more masks are not shown."
        content.append(element("p", text, class_="muted"))
    return section("Test masks", *content)


def _figure(row: GalleryRow) -> Element:
    name = f"mask {row.target.index} of {row.target.file_name}"
    images = [embedded_image(row.before.image, name)]
    for when, crop in (("before", row.before), ("after", row.after)):
        drawn = draw_comparison(crop.image, crop.target, crop.mask)
        images.append(embedded_image(drawn, f"{when} training, IoU {crop.iou:.3f}"))
    caption = f"IoU {row.before.iou:.3f} → {row.after.iou:.3f}, {shorten(row.target.category)}, "
    return element(
        "figure",
        element("div", *images),
        element("figcaption", caption, element("span", shorten(name), class_="muted")),
    )


def _data(report: DatasetReport | None) -> Element | None:
    """Create the section about the data set, with the content of `str(report)` as rows."""
    if report is None:
        return None
    rows = [
        ("Format", report.format),
        ("Images", f"{report.num_images}, {len(report.usable)} of them usable"),
        ("Masks", str(report.num_masks)),
    ]
    if report.image_sizes is not None:
        sizes = (f"{width} x {height}" for height, width in report.image_sizes)
        rows.append(("Image sizes in pixels", " to ".join(dict.fromkeys(sizes))))
    if report.num_masks:
        fewest, median, most = report.masks_per_image
        smallest, *quartiles, largest = (f"{area:g}" for area in report.area_quantiles)
        areas = f"{smallest} to {largest}, quartiles {', '.join(quartiles)}"
        rows.append(("Masks per image", f"{fewest:g} to {most:g}, median {median:g}"))
        rows.append(("Mask areas in pixels", areas))
    content = [table([], rows)]
    categories = list(report.categories.items())
    if categories:
        counts = [(name, str(count)) for name, count in categories[:MAX_CATEGORIES]]
        content += [element("h3", "Categories"), table(["Category", "Masks"], counts)]
    if len(categories) > MAX_CATEGORIES:
        text = f"{len(categories) - MAX_CATEGORIES} more categories are not listed."
        content.append(element("p", text, class_="muted"))
    return section("Data", *content, element("h3", "Problems"), _problems(report))


def _problems(report: DatasetReport) -> Element:
    if not report.problems:
        return element("p", "none")
    rows: list[tuple[str, str, str]] = []
    for kind in PROBLEM_KINDS:
        found = [problem for problem in report.problems if problem.kind == kind]
        listed = [(kind, str(len(found)), problem.message) for problem in found[:MAX_LISTED]]
        rows += listed[:1] + [("", "", message) for _, _, message in listed[1:]]
    return table(["Problem", "Number", "Examples"], rows)


def _settings(report: FinetuneReport) -> Element:
    content: list[Child] = []
    if report.command:
        content.append(element("pre", element("code", report.command)))
    content.append(table([], [(name, str(value)) for name, value in report.settings.items()]))
    content += [element("h3", "Versions"), table([], list(report.versions.items()))]
    return section("Settings", *content)
