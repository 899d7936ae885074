"""`python -m benchmarks calibration`: predicted and true IoU of the masks of one point."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.console import print_table
from keras_sam import SAMImageSegmenter, SAMPredictor
from keras_sam.annotations import read_coco, split_validation
from keras_sam.evaluate import CalibrationBin, evaluate, expected_calibration_error


def main(
    annotations: Annotated[Path, typer.Argument(help="COCO annotations, a JSON file.")],
    images: Annotated[Path, typer.Option(help="Folder of the images.")],
    preset: Annotated[
        list[str] | None,
        typer.Option(help="Name or directory. Repeat it to plot several models."),
    ] = None,
    validation_images: Annotated[
        int, typer.Option(min=0, help="Number of validation images to use, as in training. 0: all.")
    ] = 0,
    max_images: Annotated[int | None, typer.Option(min=1, help="Maximum number of images.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Path of a plot. Needs matplotlib. Defaults to no plot.")
    ] = None,
) -> None:
    """Compare predicted with true IoU, as a table and a plot."""
    dataset = read_coco(annotations)
    if validation_images:
        _, dataset = split_validation(dataset, validation_images)
    bins = {}
    for name in preset or ["sam_tiny_synthetic"]:
        predictor = SAMPredictor(SAMImageSegmenter.from_preset(name))
        evaluation = evaluate(predictor, dataset, images, max_images=max_images)
        bins[Path(name).name] = evaluation.calibration
        print_bins(evaluation.calibration, name)
    if output is not None:
        plot_calibration(output, bins)


def print_bins(bins: tuple[CalibrationBin, ...], preset: str) -> None:
    """Print the bins of a model as a table."""
    error = expected_calibration_error(bins)
    print_table(
        f"{preset}: expected calibration error {error:.3f}",
        ("predicted IoU", "true IoU", "masks"),
        ([f"{one.confidence:.2f}", f"{one.iou:.2f}", str(one.masks)] for one in bins),
    )


def plot_calibration(file: Path, bins: dict[str, tuple[CalibrationBin, ...]]) -> None:
    """Write a plot with a line for each model. The area of a dot shows the number of masks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#b9b9b9", linewidth=0.8)
    for name, model_bins in bins.items():
        confidences = [one.confidence for one in model_bins]
        ious = [one.iou for one in model_bins]
        most = max(one.masks for one in model_bins)
        axis.plot(confidences, ious, linewidth=1, label=name)
        areas = [4 + 60 * one.masks / most for one in model_bins]
        axis.scatter(confidences, ious, s=areas)
    axis.set(xlabel="predicted IoU", ylabel="true IoU")
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    axis.spines[["top", "right"]].set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=100)
