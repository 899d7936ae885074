"""`keras-sam train`: the built-in tiny preset from nothing."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keras_sam.cli.backend import choose_backend
from keras_sam.cli.console import (
    STDERR,
    BackendOption,
    JsonOption,
    one_sentence_errors,
    print_json,
)

if TYPE_CHECKING:
    from keras_sam.train import Recipe


@one_sentence_errors
def train_command(
    output: Annotated[
        Path,
        typer.Option("--output", help="The folder for scenes, checkpoints, log and preset."),
    ],
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=2, help="All steps together.", show_default=False),
    ] = None,
    scenes: Annotated[
        int | None,
        typer.Option("--scenes", min=1, help="Procedural scenes to draw.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Of scenes, weights and prompts.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes that make batches.", show_default=False),
    ] = None,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trains the built-in tiny preset from nothing, on procedural scenes.

    Started again with the same options and folder, it goes on where it was stopped. Options that
    are left out are those of the shipped preset.
    """
    choose_backend(backend)
    from keras_sam.train import train

    recipe = recipe_of(steps=steps, scenes=scenes, seed=seed, workers=workers)
    last: dict[str, Any] = {}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=STDERR) as bar:
        task = bar.add_task("drawing scenes", total=None)

        def show(line: dict[str, Any]) -> None:
            last.update(line)
            title = f"phase {line['phase'] + 1}, loss {line['loss']:.3f}"
            bar.update(task, description=title, completed=line["step"], total=line["steps"])

        train(recipe, output, progress=show)
    if as_json:
        print_json({"preset": output / "preset", "log": output / "log.jsonl", "last": last})
    else:
        typer.echo(f"preset: {output / 'preset'}")


def recipe_of(*, steps: int | None = None, **given: int | None) -> "Recipe":
    """The recipe of the shipped preset, with what is given changed.

    Args:
        steps: all steps together, shared out over the phases as they are in the recipe.
        **given: other fields of `Recipe`; None keeps the recipe's.
    """
    from keras_sam.train import Recipe

    recipe = Recipe()
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if steps is not None:
        total = sum(phase.steps for phase in recipe.phases)
        changes["phases"] = tuple(
            dataclasses.replace(phase, steps=max(1, round(phase.steps * steps / total)))
            for phase in recipe.phases
        )
    return dataclasses.replace(recipe, **changes)
