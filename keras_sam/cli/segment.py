"""`keras-sam segment`: the masks of objects that points or boxes select."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_sam.cli.backend import choose_backend
from keras_sam.cli.console import (
    DEFAULT_PRESET,
    BackendOption,
    JsonOption,
    MultiScaleOption,
    PresetOption,
    print_json,
    report_user_errors,
    spinner,
)
from keras_sam.cli.prompts import BoxPrompt, ObjectPrompt, PointPrompt, parse_box, parse_point


@report_user_errors
def segment_command(
    image: Annotated[Path, typer.Argument(help="Image file.")],
    point: Annotated[
        list[PointPrompt] | None,
        typer.Option(
            "--point",
            parser=parse_point,
            metavar="X,Y[,0|1]",
            help="Point on the object in pixels, or on the background with label 0. Repeat to "
            "add points to the same object.",
        ),
    ] = None,
    box: Annotated[
        list[BoxPrompt] | None,
        typer.Option(
            "--box",
            parser=parse_box,
            metavar="X0,Y0,X1,Y1",
            help="Box around the object in pixels. Repeat for several objects.",
        ),
    ] = None,
    multimask: Annotated[
        bool | None,
        typer.Option(
            "--multimask/--single-mask",
            help="Predict three masks or one per object. Default: three for a single point, "
            "which is ambiguous.",
            show_default=False,
        ),
    ] = None,
    multi_scale: MultiScaleOption = False,
    preset: PresetOption = DEFAULT_PRESET,
    output: Annotated[
        Path, typer.Option("--output", help="Folder for masks, overlay and record.")
    ] = Path("segments"),
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Segment objects in an image by points or boxes.

    Writes each mask as a PNG, an overlay image, and a JSON record with the masks as COCO RLE,
    scores and timings.
    """
    points, boxes = point or [], box or []
    if not points and not boxes:
        raise typer.BadParameter("give a prompt: --point X,Y or --box X0,Y0,X1,Y1")
    if points and len(boxes) > 1:
        raise typer.BadParameter("points belong to one object; give at most one --box with --point")
    used_backend = choose_backend(backend)
    from keras_sam.cli.segment_files import write_segments
    from keras_sam.images.read_image import read_image

    pixels = read_image(image)
    prompts = [ObjectPrompt(points, one) for one in boxes] or [ObjectPrompt(points)]
    objects, seconds = _segment(
        pixels, prompts, preset=preset, multimask=multimask, multi_scale=multi_scale
    )
    record = write_segments(
        pixels,
        objects,
        output,
        stem=image.stem,
        metadata={
            "image": image,
            "image_size": list(pixels.shape[:2]),
            "preset": preset,
            "backend": used_backend,
            "seconds": seconds,
        },
    )
    if as_json:
        print_json(record)
    else:
        _print_summary(record)


def _segment(
    pixels: Any,
    prompts: list[ObjectPrompt],
    *,
    preset: str,
    multimask: bool | None,
    multi_scale: bool,
) -> tuple[list[Any], dict[str, float]]:
    """Return the masks of each prompt, by descending predicted IoU, and timings in seconds."""
    import numpy as np

    from keras_sam.cli.segment_files import SegmentedObject
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
    from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
    from keras_sam.predict.predictor import Predictor
    from keras_sam.predict.sam_predictor import SAMPredictor

    seconds: dict[str, float] = {}
    with spinner(f"loading {preset}"), _timed(seconds, "load"):
        sam_predictor = SAMPredictor(SAMImageSegmenter.from_preset(preset))
        predictor: Predictor = sam_predictor
        if multi_scale:
            predictor = MultiScalePredictor(sam_predictor)
    with spinner("encoding the image"), _timed(seconds, "encode"):
        predictor.set_image(pixels)
    objects = []
    with spinner("predicting masks"), _timed(seconds, "decode"):
        for prompt in prompts:
            is_ambiguous = prompt.box is None and len(prompt.points) == 1
            masks, iou_predictions, _ = predictor.predict(
                **prompt.to_arguments(),
                multimask_output=is_ambiguous if multimask is None else multimask,
            )
            order = np.argsort(-iou_predictions)
            objects.append(SegmentedObject(prompt, masks[order], iou_predictions[order]))
    return objects, seconds


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - started, 4)


def _print_summary(record: dict[str, Any]) -> None:
    height, width = record["image_size"]
    typer.echo(f"{record['image']} ({width} x {height}), {record['preset']}, {record['backend']}")
    for mask in record["masks"]:
        share = mask["area"] / (width * height)
        typer.echo(
            f"  {mask['file']}: {share:.1%} of the image, predicted IoU {mask['predicted_iou']:.2f}"
        )
    times = ", ".join(f"{name} {value:.2f} s" for name, value in record["seconds"].items())
    typer.echo(f"  {times}")
    typer.echo(f"  record:  {record['record']}")
    typer.echo(f"  overlay: {record['overlay']}")
