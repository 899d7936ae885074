"""`keras-sam inspect`: what a checkpoint holds, and what is wrong with it."""

import dataclasses
from typing import Annotated

import typer

from keras_sam.cli.console import JsonOption, print_json, progress_bar, report_user_errors


@report_user_errors
def inspect_command(
    source: Annotated[
        str,
        typer.Argument(help="A preset's name or address, a directory, a .pth or .safetensors."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Shows format, architecture, parameters, types, preprocessing and license of a checkpoint.

    Problems are listed, and end the command with the exit code 1.
    """
    from keras_sam.checkpoints.inspect_checkpoint import inspect_checkpoint
    from keras_sam.checkpoints.preprocessing import describe_preprocessing

    with progress_bar("tensors") as progress:
        found = inspect_checkpoint(source, progress=progress)
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        typer.echo(f"source         {found.source}")
        if found.format is not None:
            typer.echo(f"format         {found.format}, {found.class_name}")
            typer.echo(f"parameters     {found.parameters:,} in {found.tensors} tensors")
            typer.echo(f"types          {', '.join(found.dtypes)}")
            if found.unused_tensors:
                typer.echo(
                    f"left out       {len(found.unused_tensors)} tensors that it does not use"
                )
            typer.echo(f"preprocessing  {describe_preprocessing(found.preprocessing or {})}")
        typer.echo(f"license        {found.license or 'not stated'}")
        for part, arguments in (found.architecture or {}).items():
            typer.echo(f"{part}\n    {_listed(arguments)}")
        for problem in found.problems:
            typer.echo(f"problem        {problem}")
    if found.problems:
        raise typer.Exit(1)


def _listed(arguments: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in arguments.items())
