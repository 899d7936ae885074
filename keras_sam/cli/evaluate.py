"""`keras-sam evaluate`: how well a preset segments a labeled set of images."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from keras_sam.cli.backend import choose_backend
from keras_sam.cli.console import (
    DEFAULT_PRESET,
    BackendOption,
    JsonOption,
    PresetOption,
    print_json,
    progress_bar,
    report_user_errors,
)


@report_user_errors
def evaluate_command(
    annotations: Annotated[Path, typer.Argument(help="COCO annotations, a JSON file.")],
    images: Annotated[Path, typer.Option("--images", help="The folder with the images.")],
    preset: PresetOption = DEFAULT_PRESET,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Only the first images.", show_default=False),
    ] = None,
    max_masks: Annotated[
        int | None,
        typer.Option(
            "--max-masks", min=1, help="Of an image, only the first masks.", show_default=False
        ),
    ] = None,
    held_out: Annotated[
        int | None,
        typer.Option(
            "--held-out",
            min=1,
            help="Only so many images, which training leaves out: 80 of its labeled folder.",
            show_default=False,
        ),
    ] = None,
    zoom: Annotated[
        bool,
        typer.Option("--zoom", help="Look closer at small things; each look is an encoding."),
    ] = False,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measures the mean IoU over all masks of a COCO file, by box and by clicks.

    `box` is prompted by the true box. `click` is prompted by one click at the deepest point of
    the mask and takes the mask that the model rates best; `point_oracle_iou` takes the best of three.
    `three_point_iou` adds two, each at the deepest point of what is wrong. `calibration` tells how
    far the ratings of one click's masks can be believed.
    """
    choose_backend(backend)
    from keras_sam.annotations.coco import read_coco
    from keras_sam.annotations.split_validation import split_validation
    from keras_sam.evaluate.calibration import expected_calibration_error
    from keras_sam.evaluate.evaluate import evaluate
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
    from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
    from keras_sam.predict.predictor import SAMPredictor

    dataset = read_coco(annotations)
    if held_out is not None:
        _, dataset = split_validation(dataset, held_out)
    predictor = SAMPredictor(SAMImageSegmenter.from_preset(preset))
    with progress_bar("images") as progress:
        evaluation = evaluate(
            MultiScalePredictor(predictor, windows=128) if zoom else predictor,
            dataset,
            images,
            limit=limit,
            max_masks=max_masks,
            progress=progress,
        )
    result = dataclasses.asdict(evaluation)
    if as_json:
        print_json(result)
        return
    typer.echo(f"{result['masks']} masks of {result['images']} images, mean IoU")
    for name, meaning in (
        ("box", "true box"),
        ("click", "one click, the mask rated best"),
        ("point_oracle_iou", "one click, the best of three masks"),
        ("three_point_iou", "one click and two corrections"),
    ):
        typer.echo(f"  {result[name]:.3f}  {meaning}")
    typer.echo(f"ratings are off by {expected_calibration_error(evaluation.calibration):.3f}")
    for one in evaluation.calibration:
        typer.echo(f"  rated {one.rating:.2f}, IoU {one.iou:.2f}: {one.masks} masks")
