"""`app`: the commands under one name. Keras is imported by those that need it, when they run."""

import os

import typer

from keras_sam.cli.batch import batch_command
from keras_sam.cli.convert import convert_command
from keras_sam.cli.evaluate import evaluate_command
from keras_sam.cli.info import info_command
from keras_sam.cli.inspect import inspect_command
from keras_sam.cli.masks import MasksCommand, masks_command
from keras_sam.cli.presets import presets_command
from keras_sam.cli.segment import segment_command

app = typer.Typer(
    name="keras-sam",
    help="Segment Anything for Keras 3: masks from clicks and boxes.",
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
app.command("convert")(convert_command)
app.command("inspect")(inspect_command)


def main() -> None:
    """Runs the command line; what the installed script calls."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's notices are not results
    app()
