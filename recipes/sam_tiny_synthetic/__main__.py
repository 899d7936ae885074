"""`python -m recipes.sam_tiny_synthetic`: train the built-in preset from random weights."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keras_sam.cli.backend import choose_backend
from keras_sam.cli.console import STDERR, BackendOption, JsonOption, print_json, report_user_errors

# Commands import Keras when they run, after the backend is chosen.
app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

DatasetOption = Annotated[
    Path | None,
    typer.Option(
        "--dataset",
        help="Folder of annotated images to mix in: images/ and annotations.json (COCO).",
        show_default=False,
    ),
]


@app.command("train")
@report_user_errors
def train_command(
    output: Annotated[
        Path,
        typer.Option("--output", help="Directory of scenes, checkpoints, log and preset."),
    ],
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="Total number of steps.", show_default=False),
    ] = None,
    scenes: Annotated[
        int | None,
        typer.Option("--scenes", min=1, help="Number of procedural scenes.", show_default=False),
    ] = None,
    dataset: DatasetOption = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            "--init-from",
            help="Preset to start from instead of random weights.",
            show_default=False,
        ),
    ] = None,
    start_phase: Annotated[
        int | None,
        typer.Option(
            "--start-phase", min=0, help="Index of the first phase to run.", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Seed of scenes, weights and prompts.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            help="Processes that make batches. Default: 1; with a GPU, all cores but one.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            help="float32, or mixed_bfloat16 on GPUs and on CPUs with AVX512-BF16.",
            show_default=False,
        ),
    ] = None,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the built-in preset on procedural scenes.

    Options default to the settings of the shipped preset, which also used nuclei (--dataset).
    A run that was stopped resumes if the command is repeated.
    """
    choose_backend(backend, trains=True)
    from keras_sam.train.flush_denormals import flush_denormals
    from recipes.sam_tiny_synthetic.train import train
    from recipes.sam_tiny_synthetic.training_config import build_training_config

    flush_denormals()
    config = build_training_config(
        steps=steps,
        num_scenes=scenes,
        dataset=None if dataset is None else str(dataset),
        init_from=init_from,
        start_phase=start_phase,
        seed=seed,
        num_workers=workers,
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
        task = bar.add_task("drawing scenes", total=config.num_scenes)

        def show_step(line: dict[str, Any]) -> None:
            last.update(line)
            title = f"phase {line['phase'] + 1}, loss {line['loss']:.3f}"
            bar.update(task, description=title, completed=line["step"], total=line["steps"])

        def show_scenes(completed: int) -> None:
            bar.update(task, completed=completed)

        train(config, output, progress=show_step, scene_progress=show_scenes)
    if as_json:
        print_json({"preset": output / "preset", "log": output / "log.jsonl", "last": last})
    else:
        typer.echo(f"preset: {output / 'preset'}")


@app.command("ablation")
@report_user_errors
def ablation_command(
    annotations: Annotated[Path, typer.Argument(help="COCO annotations of evaluation images.")],
    images: Annotated[Path, typer.Option("--images", help="Folder of the evaluation images.")],
    dataset: DatasetOption = None,
    output: Annotated[
        Path, typer.Option("--output", help="Directory of the runs. Existing results are kept.")
    ] = Path("runs/ablation"),
    scenes: Annotated[int, typer.Option("--scenes", help="Scenes per variant.")] = 1000,
    steps: Annotated[int, typer.Option("--steps", help="Training steps per variant.")] = 300,
    seed: Annotated[int, typer.Option("--seed", help="Seed of scenes and training.")] = 1,
    dtype: Annotated[str, typer.Option("--dtype", help="Dtype policy of training.")] = "float32",
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", help="Variant to run; repeatable. Default: all."),
    ] = None,
    backend: BackendOption = None,
) -> None:
    """Train image encoders on scenes that each lack one ingredient, and compare them."""
    choose_backend(backend, trains=True)
    from recipes.sam_tiny_synthetic.ablation import run_ablation

    run_ablation(
        annotations,
        images,
        output,
        dataset=None if dataset is None else str(dataset),
        num_scenes=scenes,
        steps=steps,
        seed=seed,
        dtype=dtype,
        variants=variant,
    )


if __name__ == "__main__":
    app()
