"""`keras-sam finetune`: train a preset on a folder of labeled images."""

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
    report_user_errors,
)


@report_user_errors
def finetune_command(
    folder: Annotated[Path, typer.Argument(help="Folder of labeled images.")],
    output: Annotated[Path, typer.Option(help="Folder of the run: preset, logs and result.")],
    preset: PresetOption = DEFAULT_PRESET,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format", help="Format of the labels. Default: recognized.", show_default=False
        ),
    ] = None,
    part: Annotated[
        str,
        typer.Option(
            help="Weights to train: decoder, lora (decoder and adapters in the image encoder), "
            "or all."
        ),
    ] = "decoder",
    epochs: Annotated[int, typer.Option(min=1, help="Maximum number of epochs.")] = 30,
    patience: Annotated[
        int, typer.Option(min=1, help="Stop after this number of epochs without progress.")
    ] = 8,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="Learning rate of AdamW.")] = 5e-5,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per step.")] = 1,
    masks_per_image: Annotated[int, typer.Option(min=1, help="Masks per image and step.")] = 16,
    views: Annotated[
        int,
        typer.Option(
            min=1, help="Augmented views of each image that are encoded once (part decoder)."
        ),
    ] = 4,
    lora_rank: Annotated[int, typer.Option(min=1, help="Rank of the adapters (part lora).")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split and of training.")] = 0,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a preset on your own images.

    Each kind of prompt is measured before training and after each epoch, and the best weights are
    kept. The same command resumes a run that was stopped.
    """
    choose_backend(backend, trains=True)
    from keras_sam.annotations.open_dataset import open_dataset
    from keras_sam.train.check_dataset import check_dataset
    from keras_sam.train.finetune import METRICS, FinetuneConfig, finetune

    def log(message: str) -> None:
        typer.echo(message, err=as_json)

    config = FinetuneConfig(
        part=part,  # type: ignore[arg-type]
        epochs=epochs,
        patience=patience,
        learning_rate=learning_rate,
        batch_size=batch_size,
        masks_per_image=masks_per_image,
        views=views,
        lora_rank=lora_rank,
        seed=seed,
    )
    report = check_dataset(open_dataset(folder, format=format_name))
    log(str(report))
    result = finetune(report.usable, preset, output, config, log=log)
    if as_json:
        print_json({**dataclasses.asdict(result), "preset": str(result.preset)})
        return
    typer.echo("mean IoU of the test images, before and after training")
    for name in METRICS:
        typer.echo(f"  {result.before[name]:.3f}  {result.after[name]:.3f}  {name}")
    typer.echo(f"preset: {result.preset}")
