"""`keras-sam inspect`: the contents of a checkpoint, and its problems."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from keras_sam.cli.console import JsonOption, print_json, progress_bar, report_user_errors

if TYPE_CHECKING:
    from keras_sam.checkpoints.inspect_checkpoint import Inspection


@report_user_errors
def inspect_command(
    source: Annotated[
        str,
        typer.Argument(help="Name or address of a preset, directory, .pth or .safetensors file."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show the format, architecture, parameters, types, settings and license of a checkpoint.

    Problems are listed, and the exit code is 1 if there are any.
    """
    from keras_sam.checkpoints.inspect_checkpoint import inspect_checkpoint

    with progress_bar("tensors") as progress:
        report = inspect_checkpoint(source, progress=progress)
    if as_json:
        print_json(dataclasses.asdict(report))
    else:
        _print_report(report)
    if report.problems:
        raise typer.Exit(1)


def _print_report(report: "Inspection") -> None:
    from keras_sam.transforms.inference_config import describe_inference_config

    typer.echo(f"source      {report.source}")
    if report.format is not None:
        typer.echo(f"format      {report.format}, {report.class_name}")
        typer.echo(f"parameters  {report.parameters:,} in {report.tensors} tensors")
        typer.echo(f"types       {', '.join(report.dtypes)}")
    if report.unused_tensors:
        typer.echo(f"ignored     {len(report.unused_tensors)} unused tensors")
    if report.inference_config is not None:
        typer.echo(f"settings    {describe_inference_config(report.inference_config)}")
    typer.echo(f"license     {report.license or 'not stated'}")
    for part, arguments in (report.architecture or {}).items():
        typer.echo(f"{part}\n    {_join(arguments)}")
    for problem in report.problems:
        typer.echo(f"problem     {problem}")


def _join(arguments: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in arguments.items())
