"""`app`: all commands. They import Keras only when they run."""

import os
from importlib.metadata import version
from typing import Annotated

import typer

from keras_sam.cli.batch import batch_command
from keras_sam.cli.convert import convert_command
from keras_sam.cli.evaluate import evaluate_command
from keras_sam.cli.export import export_command
from keras_sam.cli.finetune import finetune_command
from keras_sam.cli.info import info_command
from keras_sam.cli.inspect import inspect_command
from keras_sam.cli.masks import MasksCommand, masks_command
from keras_sam.cli.presets import presets_command
from keras_sam.cli.segment import segment_command

app = typer.Typer(
    name="keras-sam",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("segment")(segment_command)
app.command("masks", cls=MasksCommand)(masks_command)
app.command("batch")(batch_command)
app.command("presets")(presets_command)
app.command("info")(info_command)
app.command("evaluate")(evaluate_command)
app.command("finetune")(finetune_command)
app.command("convert")(convert_command)
app.command("export")(export_command)
app.command("inspect")(inspect_command)


def _print_version(is_given: bool) -> None:
    if is_given:
        typer.echo(version("keras-sam"))
        raise typer.Exit


@app.callback()
def main_options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Segment Anything for Keras 3: masks from points and boxes."""


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # hide TensorFlow's notices
    app()
