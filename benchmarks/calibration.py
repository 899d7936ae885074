"""Predicted against true IoU of the masks of one click, as a table and a picture."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from keras_sam.annotations.coco import read_coco
from keras_sam.annotations.split_validation import split_validation
from keras_sam.evaluate.calibration import CalibrationBin, expected_calibration_error
from keras_sam.evaluate.evaluate import evaluate
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter


def main(
    annotations: Annotated[Path, typer.Argument(help="COCO annotations, a JSON file.")],
    images: Annotated[Path, typer.Option(help="The folder with the images.")],
    preset: Annotated[list[str], typer.Option(help="Name or directory; several for a line each.")],
    held_out: Annotated[int, typer.Option(help="Only images that training leaves out.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Only the first images.")] = None,
    output: Annotated[Path, typer.Option(help="The picture.")] = Path("runs/calibration.png"),
) -> None:
    """How far the model's ratings can be believed."""
    dataset = read_coco(annotations)
    if held_out:
        _, dataset = split_validation(dataset, held_out)
    bins = {}
    for name in preset:
        model = SAMImageSegmenter.from_preset(name)
        bins[Path(name).name] = evaluate(model, dataset, images, limit=limit).calibration
    for name, of_model in bins.items():
        table = Table(
            "rating",
            "IoU",
            "masks",
            title=f"{name}: off by {expected_calibration_error(of_model):.3f}",
        )
        for one in of_model:
            table.add_row(f"{one.rating:.2f}", f"{one.iou:.2f}", str(one.masks))
        Console().print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    plot_calibration(output, bins)


def plot_calibration(file: Path, bins: dict[str, tuple[CalibrationBin, ...]]) -> None:
    """A line for each model; dots as large as the bins have masks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], color="#b9b9b9", linewidth=0.8)
    for name, of_model in bins.items():
        ratings, ious = [one.rating for one in of_model], [one.iou for one in of_model]
        most = max(one.masks for one in of_model)
        panel.plot(ratings, ious, linewidth=1, label=name)
        panel.scatter(ratings, ious, s=[4 + 60 * one.masks / most for one in of_model])
    panel.set(xlabel="rating: the IoU that the model predicts", ylabel="true IoU")
    panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    panel.legend(frameon=False, fontsize=8, loc="upper left")
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100)
