"""`keras-sam evaluate`: mean IoU of a preset on labeled images."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from keras_sam.evaluate import ClickScores, Evaluation, MeanScores

# IoU, boundary IoU, and the prompt of both
PROMPTS = (
    ("box_iou", "box_boundary_iou", "box"),
    ("point_iou", "point_boundary_iou", "point, mask with the highest predicted IoU"),
    ("jittered_point_iou", None, "the same for a random point"),
    ("point_oracle_iou", None, "point, best of three masks"),
    ("three_point_iou", "three_point_boundary_iou", "point and two corrections"),
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
    clicks: Annotated[
        bool,
        typer.Option(
            "--clicks",
            help="Measure the number of clicks (NoC). Needs up to 20 predictions per mask.",
        ),
    ] = False,
    jitter: Annotated[
        bool, typer.Option("--jitter", help="Also measure the IoU of a random point in each mask.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random points.")] = 0,
    box_ap: Annotated[
        bool,
        typer.Option("--box-ap", help="Measure COCO's average precision. Needs pycocotools."),
    ] = False,
    per_category: Annotated[
        bool, typer.Option("--per-category", help="Print the mean IoU of each category.")
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", help="Write the scores of each mask to a CSV file.", show_default=False
        ),
    ] = None,
    multi_scale: MultiScaleOption = False,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the mean IoU of a preset's masks on a COCO data set.

    box_iou uses the target's box as prompt. point_iou uses one point inside the target and the
    mask with the highest predicted IoU; point_oracle_iou uses the best of the three masks.
    three_point_iou adds two corrections, each a point in the largest error. Boundary IoU compares
    bands along the outlines. docs/evaluation.md describes all protocols.
    """
    if csv is not None:
        _check_csv_path(csv)
    choose_backend(backend)
    from keras_sam.annotations.coco import read_coco
    from keras_sam.annotations.split_validation import split_validation
    from keras_sam.evaluate.evaluate import evaluate
    from keras_sam.evaluate.scores_csv import write_scores_csv
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
            clicks=clicks,
            jitter_seed=seed if jitter else None,
            with_box_ap=box_ap,
            progress=progress,
        )
    if csv is not None:
        write_scores_csv(evaluation.scores, csv)
    if as_json:
        result = dataclasses.asdict(dataclasses.replace(evaluation, scores=()))
        del result["scores"]  # one row per mask; see --csv
        print_json(result)
        return
    for line in format_evaluation(evaluation, per_category=per_category):
        typer.echo(line)


def format_evaluation(evaluation: "Evaluation", *, per_category: bool = False) -> list[str]:
    """Format the results as lines of text.

    Args:
        evaluation: Results of `evaluate`.
        per_category: If True, there is a table with a row for each category.
    """
    from keras_sam.evaluate.calibration import expected_calibration_error

    lines = [f"mean IoU of {evaluation.masks} masks in {evaluation.images} images"]
    lines += ["    IoU  boundary"]
    for name, boundary_name, prompt in PROMPTS:
        iou = getattr(evaluation, name)
        if iou is not None:
            boundary = f"{getattr(evaluation, boundary_name):.3f}" if boundary_name else "     "
            lines.append(f"  {iou:.3f}  {boundary}  {prompt}")
    lines += _format_groups("size", evaluation.by_size)
    if per_category:
        lines += _format_groups("category", evaluation.by_category)
    if evaluation.clicks is not None:
        lines += _format_clicks(evaluation.clicks)
    if evaluation.box_ap is not None:
        ap = evaluation.box_ap
        lines.append(f"box AP {ap.ap:.3f}, at IoU 0.50: {ap.ap50:.3f}, at 0.75: {ap.ap75:.3f}")
    error = expected_calibration_error(evaluation.calibration)
    lines.append(f"expected calibration error of the predicted IoU: {error:.3f}")
    lines += [
        f"  predicted {one.confidence:.2f}, true {one.iou:.2f}: {one.masks} masks"
        for one in evaluation.calibration
    ]
    return lines


def _check_csv_path(path: Path) -> None:
    """Find a wrong path before the evaluation rather than after it."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder of --csv does not exist: {path.parent}")
    if path.is_dir():
        raise IsADirectoryError(f"--csv must be a file, but {path} is a folder")


def _format_groups(title: str, groups: Mapping[str, "MeanScores"]) -> list[str]:
    width = max(len(title), *map(len, groups))
    header = f"{title:{width}}  masks    box  point  best of 3  3 points"
    return [
        header,
        *(
            f"{name:{width}}  {means.masks:5d}  {means.box_iou:.3f}  {means.point_iou:.3f}"
            f"  {means.point_oracle_iou:9.3f}  {means.three_point_iou:8.3f}"
            for name, means in groups.items()
        ),
    ]


def _format_clicks(clicks: "ClickScores") -> list[str]:
    means = ", ".join(f"{mean:.3f}" for mean in clicks.mean_iou)
    return [
        f"mean IoU after 1 to {len(clicks.mean_iou)} clicks: {means}",
        *(
            f"NoC@{100 * one.iou:.0f} {one.noc:.2f}, not reached in {clicks.max_clicks} clicks: "
            f"{one.nof} masks"
            for one in clicks.thresholds
        ),
    ]
