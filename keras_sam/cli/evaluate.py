"""`keras-sam evaluate`: how well a preset segments a labelled set of images."""

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
    one_sentence_errors,
    print_json,
    progress_bar,
)


@one_sentence_errors
def evaluate_command(
    annotations: Annotated[Path, typer.Argument(help="COCO annotations, a JSON file.")],
    images: Annotated[Path, typer.Option("--images", help="The folder with the images.")],
    preset: PresetOption = DEFAULT_PRESET,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Only the first images.", show_default=False),
    ] = None,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measures the mean IoU over all masks of a COCO file, by box and by click.

    `box` is prompted by the true box. `click` is prompted by one click at the deepest point of
    the mask and takes the mask that the model rates best; `click_best` takes the best of three.
    """
    choose_backend(backend)
    from keras_sam.geometry import read_coco
    from keras_sam.models import SAMImageSegmenter
    from keras_sam.predict import evaluate

    dataset = read_coco(annotations)
    model = SAMImageSegmenter.from_preset(preset)
    with progress_bar("images") as progress:
        evaluation = evaluate(model, dataset, images, limit=limit, progress=progress)
    result = dataclasses.asdict(evaluation)
    if as_json:
        print_json(result)
        return
    typer.echo(f"{result['masks']} masks of {result['images']} images, mean IoU")
    for name, meaning in (
        ("box", "true box"),
        ("click", "one click, the mask rated best"),
        ("click_best", "one click, the best of three masks"),
    ):
        typer.echo(f"  {result[name]:.3f}  {meaning}")
