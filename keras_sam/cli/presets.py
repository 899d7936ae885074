"""`keras-sam presets`: the built-in presets."""

import dataclasses

import typer

from keras_sam.cli.console import JsonOption, print_json, report_user_errors


@report_user_errors
def presets_command(as_json: JsonOption = False) -> None:
    """List the built-in presets: names for --preset."""
    from keras_sam.checkpoints.builtin_presets import builtin_presets

    presets = builtin_presets()
    if as_json:
        print_json({name: dataclasses.asdict(info) for name, info in presets.items()})
        return
    for name, info in presets.items():
        typer.echo(f"{name}  ({info.parameters:,} parameters, {info.license})")
        typer.echo(f"    {info.description}")
        location = info.handle if "://" in info.handle else "in this package"
        typer.echo(f"    {info.source}; {location}")
