"""`keras-sam evaluate`: mean IoU of a preset on labeled images."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from keras_sam.cli.backend import choose_backend
from keras_sam.cli.console import (
    DEFAULT_PRESET,
    BackendOption,
    JsonOption,
    MultiScaleOption,
    PresetOption,
    print_json,
    progress_bar,
    report_user_errors,
)

MAX_CACHED_CROPS = 128  # all masks of an image are predicted before its crops are needed again


@report_user_errors
def evaluate_command(
    annotations: Annotated[Path, typer.Argument(help="COCO annotations, a JSON file.")],
    images: Annotated[Path, typer.Option("--images", help="Folder of the images.")],
    preset: PresetOption = DEFAULT_PRESET,
    max_images: Annotated[
        int | None,
        typer.Option("--max-images", min=1, help="Use only the first images.", show_default=False),
    ] = None,
    max_masks: Annotated[
        int | None,
        typer.Option(
            "--max-masks", min=1, help="Use only the first masks of each image.", show_default=False
        ),
    ] = None,
    validation_images: Annotated[
        int | None,
        typer.Option(
            "--validation-images",
            min=1,
            help="Use only this number of images, selected by a hash of their names. The recipe "
            "of the built-in preset sets 80 images aside in this way.",
            show_default=False,
        ),
    ] = None,
    multi_scale: MultiScaleOption = False,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the mean IoU of a preset's masks on a COCO data set.

    box_iou uses the target's box as prompt. point_iou uses one point inside the target and the
    mask with the highest predicted IoU; point_oracle_iou uses the best of the three masks.
    three_point_iou adds two corrections, each a point in the largest error.
    """
    choose_backend(backend)
    from keras_sam.annotations.coco import read_coco
    from keras_sam.annotations.split_validation import split_validation
    from keras_sam.evaluate.calibration import expected_calibration_error
    from keras_sam.evaluate.evaluate import evaluate
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
    from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
    from keras_sam.predict.predictor import Predictor
    from keras_sam.predict.sam_predictor import SAMPredictor

    dataset = read_coco(annotations)
    if validation_images is not None:
        _, dataset = split_validation(dataset, validation_images)
    sam_predictor = SAMPredictor(SAMImageSegmenter.from_preset(preset))
    predictor: Predictor = sam_predictor
    if multi_scale:
        predictor = MultiScalePredictor(sam_predictor, max_cached_crops=MAX_CACHED_CROPS)
    with progress_bar("images") as progress:
        evaluation = evaluate(
            predictor,
            dataset,
            images,
            max_images=max_images,
            max_masks=max_masks,
            progress=progress,
        )
    result = dataclasses.asdict(evaluation)
    if as_json:
        print_json(result)
        return
    typer.echo(f"mean IoU of {result['masks']} masks in {result['images']} images")
    for name, prompt in (
        ("box_iou", "box"),
        ("point_iou", "point, mask with the highest predicted IoU"),
        ("point_oracle_iou", "point, best of three masks"),
        ("three_point_iou", "point and two corrections"),
    ):
        typer.echo(f"  {result[name]:.3f}  {prompt}")
    error = expected_calibration_error(evaluation.calibration)
    typer.echo(f"expected calibration error of the predicted IoU: {error:.3f}")
    for one in evaluation.calibration:
        typer.echo(f"  predicted {one.confidence:.2f}, true {one.iou:.2f}: {one.masks} masks")
