"""`keras-sam finetune`: train a preset on a folder of labeled images."""

import dataclasses
import shlex
import sys
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
)


def _setting(name: str, text: str, **limits: Any) -> Any:
    """Return an option whose default is that of `FinetuneConfig`."""
    return typer.Option(name, help=text, show_default=False, **limits)


@report_user_errors
def finetune_command(
    folder: Annotated[Path, typer.Argument(help="Folder of labeled images.")],
    output: Annotated[Path, typer.Option(help="Folder of the run: preset, report and logs.")],
    preset: PresetOption = DEFAULT_PRESET,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format", help="Format of the labels. Default: recognized.", show_default=False
        ),
    ] = None,
    part: Annotated[
        str | None,
        _setting(
            "--part",
            "Weights to train: decoder (the default), lora (decoder and adapters in the image "
            "encoder), or all.",
        ),
    ] = None,
    prompts: Annotated[
        str | None,
        _setting("--prompts", "First prompts of training: any (the default), points or boxes."),
    ] = None,
    image_size: Annotated[
        int | None,
        _setting(
            "--image-size",
            "Side of the model frame in pixels, larger for small objects. Default: the preset's.",
            min=1,
        ),
    ] = None,
    epochs: Annotated[
        int | None, _setting("--epochs", "Maximum number of epochs. Default: 30.", min=1)
    ] = None,
    patience: Annotated[
        int | None,
        _setting(
            "--patience", "Stop after this number of epochs without progress. Default: 8.", min=1
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        _setting("--learning-rate", "Learning rate of AdamW. Default: 5e-05.", min=0.0),
    ] = None,
    batch_size: Annotated[
        int | None, _setting("--batch-size", "Images per step. Default: 1.", min=1)
    ] = None,
    masks_per_image: Annotated[
        int | None,
        _setting("--masks-per-image", "Masks per image and step. Default: 16.", min=1),
    ] = None,
    views: Annotated[
        int | None,
        _setting(
            "--views",
            "Augmented views of each image that are encoded once, for the part decoder. "
            "Default: 4.",
            min=1,
        ),
    ] = None,
    lora_rank: Annotated[
        int | None,
        _setting("--lora-rank", "Rank of the adapters, for the part lora. Default: 8.", min=1),
    ] = None,
    layer_decay: Annotated[
        float | None,
        _setting(
            "--layer-decay",
            "Factor from the learning rate of each encoder block to the block before it, for the "
            "part all. Default: 0.8.",
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Memory budget of a device such as 8GB. A step that does not fit is made smaller.",
            show_default=False,
        ),
    ] = None,
    remat: Annotated[
        bool,
        typer.Option("--remat", help="Save memory; a step takes a third more time."),
    ] = False,
    val: Annotated[
        float | None, _setting("--val", "Share of the images for validation. Default: 0.15.")
    ] = None,
    test: Annotated[
        float | None, _setting("--test", "Share of the images for the test. Default: 0.15.")
    ] = None,
    seed: Annotated[
        int | None, _setting("--seed", "Seed of the split and of training. Default: 0.", min=0)
    ] = None,
    devices: Annotated[
        int | None,
        _setting("--devices", "Number of devices to train on. Default: 1.", min=1),
    ] = None,
    any_orientation: Annotated[
        bool,
        typer.Option(
            "--any-orientation",
            help="Also flip upside down and turn by quarters, for microscopes and satellites.",
        ),
    ] = False,
    clicks: Annotated[
        bool, typer.Option("--clicks", help="Measure the number of clicks on the test images.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write logs for TensorBoard.")
    ] = False,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a preset on your own images.

    Each kind of prompt is measured before training and after each epoch, and the best weights are
    kept. The same command resumes a run that was stopped.
    """
    settings: dict[str, Any] = {
        "part": part,
        "prompts": prompts,
        "image_size": image_size,
        "epochs": epochs,
        "patience": patience,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "masks_per_image": masks_per_image,
        "views": views,
        "lora_rank": lora_rank,
        "layer_decay": layer_decay,
        "memory": memory,
        "remat": remat,
        "val": val,
        "test": test,
        "seed": seed,
        "devices": devices,
        "any_orientation": any_orientation,
        "clicks": clicks,
        "tensorboard": tensorboard,
    }
    choose_backend(backend, trains=True)
    from keras_sam.annotations.open_dataset import open_dataset
    from keras_sam.checkpoints.read_checkpoint import read_checkpoint
    from keras_sam.checkpoints.resize_position_embeddings import resize_position_embeddings
    from keras_sam.train.check_dataset import check_dataset
    from keras_sam.train.finetune import finetune
    from keras_sam.train.finetune_config import METRICS, FinetuneConfig

    def log(message: str) -> None:
        typer.echo(message, err=as_json)

    given = {name: value for name, value in settings.items() if value is not None}
    config = FinetuneConfig(**given)
    checkpoint = read_checkpoint(preset, load_weights=False)
    if image_size is not None:
        checkpoint = resize_position_embeddings(checkpoint, (image_size, image_size, 3))
    frame = tuple(checkpoint.config["image_encoder"]["config"]["image_shape"][:2])
    report = check_dataset(open_dataset(folder, format=format_name), image_size=frame)
    log(str(report))
    command = shlex.join(["keras-sam", *sys.argv[1:]])
    result = finetune(
        report.usable, preset, output, config, report=report, command=command, log=log
    )
    if as_json:
        print_json({**dataclasses.asdict(result), "preset": str(result.preset)})
        return
    typer.echo("mean IoU of the test images, before and after training")
    for name in METRICS:
        typer.echo(f"  {result.before[name]:.3f}  {result.after[name]:.3f}  {name}")
    typer.echo(f"preset: {result.preset}")
    typer.echo(f"report: {output / 'report.html'}")
