"""`keras-sam segment`: the mask of what is clicked or boxed on a photograph."""

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
    PresetOption,
    print_json,
    report_user_errors,
    spinner,
)
from keras_sam.cli.prompts import Box, Point, Prompt


@report_user_errors
def segment_command(
    image: Annotated[Path, typer.Argument(help="The photograph.")],
    point: Annotated[
        list[Point] | None,
        typer.Option(
            "--point",
            parser=Point.parse,
            metavar="X,Y[,0|1]",
            help="A click on the object, or with 0 on what is not. Repeat for one object.",
        ),
    ] = None,
    box: Annotated[
        list[Box] | None,
        typer.Option(
            "--box",
            parser=Box.parse,
            metavar="X0,Y0,X1,Y1",
            help="A box around the object. Repeat for several objects.",
        ),
    ] = None,
    multimask: Annotated[
        bool | None,
        typer.Option(
            "--multimask/--single-mask",
            help="Three masks or one per object. Default: three where a lone click leaves open "
            "what is meant.",
            show_default=False,
        ),
    ] = None,
    zoom: Annotated[
        bool,
        typer.Option("--zoom", help="Look closer at small things; each look is an encoding."),
    ] = False,
    preset: PresetOption = DEFAULT_PRESET,
    output: Annotated[
        Path, typer.Option("--output", help="The folder for masks, picture and record.")
    ] = Path("segments"),
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Segments what is clicked or boxed on a photograph.

    Writes each mask as a PNG, an overlay picture, and a JSON record with the masks as COCO RLE,
    scores and timings.
    """
    points, boxes = point or [], box or []
    if not points and not boxes:
        raise typer.BadParameter("say what to segment with --point X,Y or --box X0,Y0,X1,Y1")
    if points and len(boxes) > 1:
        raise typer.BadParameter("points belong to one object; give one --box beside --point")
    used_backend = choose_backend(backend)
    from keras_sam.cli.segment_files import write_segments
    from keras_sam.images.read_image import read_image

    pixels = read_image(image)
    prompts = [Prompt(points, None)] if not boxes else [Prompt(points, one) for one in boxes]
    objects, seconds = _segment(pixels, prompts, preset=preset, multimask=multimask, zoom=zoom)
    record = write_segments(
        pixels,
        objects,
        output,
        stem=image.stem,
        facts={
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
    pixels: Any, prompts: list[Prompt], *, preset: str, multimask: bool | None, zoom: bool
) -> tuple[list[Any], dict[str, float]]:
    """Each prompt's masks, the one rated best first, and what took how long."""
    import numpy as np

    from keras_sam.cli.segment_files import SegmentedObject
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
    from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
    from keras_sam.predict.predictor import SAMPredictor

    seconds: dict[str, float] = {}
    with spinner(f"loading {preset}"), _timed(seconds, "load"):
        whole = SAMPredictor(SAMImageSegmenter.from_preset(preset))
    predictor: SAMPredictor | MultiScalePredictor = whole
    if zoom:  # encodes what the prompts ask for
        predictor, work, step = MultiScalePredictor(whole), "looking closer", "encode and decode"
        predictor.set_image(pixels)
    else:
        work, step = "decoding the masks", "decode"
        with spinner("encoding the image"), _timed(seconds, "encode"):
            predictor.set_image(pixels)
    objects = []
    with spinner(work), _timed(seconds, step):
        for prompt in prompts:
            is_ambiguous = prompt.box is None and len(prompt.points) == 1
            masks, iou_predictions = predictor.predict(
                **prompt.arrays(),
                multimask_output=is_ambiguous if multimask is None else multimask,
            )[:2]
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
    took = ", ".join(f"{name} {value:.2f} s" for name, value in record["seconds"].items())
    typer.echo(f"{record['image']} ({width} x {height}), {record['preset']}, {record['backend']}")
    for mask in record["masks"]:
        share = mask["area"] / (width * height)
        typer.echo(f"  {mask['file']}: {share:.1%} of the image, rated {mask['predicted_iou']:.2f}")
    typer.echo(f"  {took}")
    typer.echo(f"  record:  {record['record']}")
    typer.echo(f"  picture: {record['overlay']}")
