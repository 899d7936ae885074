"""`python -m recipes.sam_tiny_synthetic train`: the built-in preset from random weights."""

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keras_sam.cli.backend import choose_backend
from keras_sam.cli.console import STDERR, BackendOption, JsonOption, print_json, report_user_errors

if TYPE_CHECKING:
    from recipes.sam_tiny_synthetic.training_config import Recipe


@report_user_errors
def train_command(
    output: Annotated[
        Path,
        typer.Option("--output", help="The folder for scenes, checkpoints, log and preset."),
    ],
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="All steps together.", show_default=False),
    ] = None,
    scenes: Annotated[
        int | None,
        typer.Option("--scenes", min=1, help="Procedural scenes to draw.", show_default=False),
    ] = None,
    labeled: Annotated[
        Path | None,
        typer.Option(
            "--labeled",
            help="A folder of labeled images to mix in: images/ and annotations.json (COCO).",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            help="A preset to go on from, in place of random weights.",
            show_default=False,
        ),
    ] = None,
    first_phase: Annotated[
        int | None,
        typer.Option("--first-phase", min=0, help="Leave out those before.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Of scenes, weights and prompts.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            help="Processes that make batches. Default: one, or beside a GPU all but one.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            help="float32, or mixed_bfloat16 where the processor has it.",
            show_default=False,
        ),
    ] = None,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trains the built-in tiny preset on procedural scenes, from nothing or from a preset.

    Started again with the same options and folder, it goes on where it was stopped. Options that
    are left out are those of the shipped preset, which had nuclei beside the scenes, by --labeled.
    """
    choose_backend(backend, trains=True)
    from keras_sam.engines.tune_malloc import tune_malloc
    from keras_sam.train.flush_denormals import flush_denormals
    from recipes.sam_tiny_synthetic.train import train

    tune_malloc()
    flush_denormals()
    recipe = recipe_of(
        steps=steps,
        scenes=scenes,
        labeled=None if labeled is None else str(labeled),
        start=start,
        first_phase=first_phase,
        seed=seed,
        workers=workers,
        dtype=dtype,
    )
    last: dict[str, Any] = {}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=STDERR) as bar:
        task = bar.add_task("drawing scenes", total=recipe.scenes)

        def show(line: dict[str, Any]) -> None:
            last.update(line)
            title = f"phase {line['phase'] + 1}, loss {line['loss']:.3f}"
            bar.update(task, description=title, completed=line["step"], total=line["steps"])

        def show_scenes(drawn: int) -> None:
            bar.update(task, completed=drawn)

        train(recipe, output, progress=show, scene_progress=show_scenes)
    if as_json:
        print_json({"preset": output / "preset", "log": output / "log.jsonl", "last": last})
    else:
        typer.echo(f"preset: {output / 'preset'}")


def recipe_of(*, steps: int | None = None, **given: int | str | None) -> "Recipe":
    """The recipe of the shipped preset, with what is given changed.

    Args:
        steps: all steps together, shared out over the phases as they are in the recipe.
        **given: other fields of `Recipe`; None keeps the recipe's.
    """
    from recipes.sam_tiny_synthetic.training_config import Recipe

    recipe = Recipe()
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if steps is not None:
        shares = apportion(steps, [phase.steps for phase in recipe.phases])
        changes["phases"] = tuple(
            dataclasses.replace(phase, steps=share)
            for phase, share in zip(recipe.phases, shares, strict=True)
        )
    return dataclasses.replace(recipe, **changes)


def apportion(total: int, weights: list[int]) -> list[int]:
    """A total as integers of at least 1, about in proportion to weights.

    Raises:
        ValueError: if the total is below the number of weights.
    """
    spare = total - len(weights)  # each has one already
    if spare < 0:
        raise ValueError(f"expected at least {len(weights)} steps, one for each phase, got {total}")
    ends = [round(spare * sum(weights[:end]) / sum(weights)) for end in range(len(weights) + 1)]
    return [1 + end - start for start, end in pairwise(ends)]


def main() -> None:
    """Run the command line."""
    from recipes.sam_tiny_synthetic import ablation

    app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
    app.command("train")(train_command)
    app.command("ablation")(ablation.main)
    app()


if __name__ == "__main__":
    main()
