"""`keras-sam batch`: predict the masks of many images."""

import dataclasses
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from keras_sam.cli.backend import choose_backend
from keras_sam.cli.console import (
    DEFAULT_PRESET,
    STDERR,
    BackendOption,
    JsonOption,
    PresetOption,
    print_json,
    report_user_errors,
)
from keras_sam.cli.prompts import parse_points_per_side

if TYPE_CHECKING:
    from keras_sam.batch.batch_settings import BatchSettings
    from keras_sam.batch.run_batch import BatchProgress, BatchSummary
    from keras_sam.batch.run_local import LocalOptions
    from keras_sam.batch.run_ray import RayOptions

INTERRUPTED = 130  # exit code of a command that Ctrl-C stopped


def _unset(*names: str, text: str, **limits: Any) -> Any:
    """Return an option whose default is in the dataclass that it sets."""
    return typer.Option(*names, help=text, show_default=False, **limits)


@report_user_errors
def batch_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="input",
            help="A folder, a quoted pattern, or a .txt, .csv or .parquet file of paths.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", help="Folder of the table.")],
    preset: PresetOption = DEFAULT_PRESET,
    points_per_side: Annotated[
        Any,
        _unset(
            "--points-per-side",
            text="Points along each side of the grid, or auto: 16, and finer points only near "
            "masks. Default: 32.",
            parser=parse_points_per_side,
            metavar="INTEGER|auto",
        ),
    ] = None,
    pred_iou_thresh: Annotated[
        float | None,
        _unset(
            "--pred-iou-thresh",
            text="Minimum predicted IoU of a mask, in [0, 1]. Default: the preset's.",
        ),
    ] = None,
    stability_score_thresh: Annotated[
        float | None,
        _unset(
            "--stability-score-thresh",
            text="Minimum stability score of a mask, in [0, 1]. Default: the preset's.",
        ),
    ] = None,
    crop_n_layers: Annotated[
        int | None,
        _unset(
            "--crop-n-layers",
            text="Number of layers of crops that are also processed. Default: 0.",
            min=0,
        ),
    ] = None,
    min_mask_region_area: Annotated[
        int | None,
        _unset(
            "--min-mask-region-area",
            text="Remove holes and islands with a smaller area, in pixels. Default: 0.",
            min=0,
        ),
    ] = None,
    multimask: Annotated[
        bool | None,
        _unset(
            "--multimask/--single-mask",
            text="Predict three masks or one per prompt. Default: three for a single point, "
            "which is ambiguous.",
        ),
    ] = None,
    dtype: Annotated[
        str | None, _unset("--dtype", text="Dtype policy of the model. Default: the preset's.")
    ] = None,
    id_column: Annotated[
        str | None,
        _unset("--id-column", text="Column of the image ids. Default: image_id, or the paths."),
    ] = None,
    workers: Annotated[
        int | None,
        _unset("--workers", text="Number of processes, each with a model. Default: 1.", min=1),
    ] = None,
    threads_per_worker: Annotated[
        int | None,
        _unset(
            "--threads-per-worker",
            text="Compute threads per worker. Default: the CPU cores divided by the workers, or 1 "
            "with Ray.",
            min=1,
        ),
    ] = None,
    decode_threads: Annotated[
        int | None,
        _unset("--decode-threads", text="Image-decoding threads per worker. Default: 2.", min=1),
    ] = None,
    model_threads: Annotated[
        int | None,
        _unset(
            "--model-threads", text="Threads per worker that share its model. Default: 1.", min=1
        ),
    ] = None,
    runner: Annotated[
        str, typer.Option("--runner", help="local for this machine, or ray for a cluster.")
    ] = "local",
    ray_address: Annotated[
        str | None,
        _unset("--ray-address", text="Address of a Ray cluster. Default: start Ray here."),
    ] = None,
    gpus_per_worker: Annotated[
        float | None,
        _unset("--gpus-per-worker", text="GPUs per worker (Ray). Default: 0.", min=0.0),
    ] = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Process images with an error again.")
    ] = False,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the masks of many images, and write one table of Parquet files.

    The same command resumes a run that was stopped by Ctrl-C or a crash. An image that cannot be
    processed gets an error in its status row.
    """
    options = _create_options(
        runner,
        {
            "workers": workers,
            "threads_per_worker": threads_per_worker,
            "backend": choose_backend(backend),
        },
        local={"decode_threads": decode_threads, "model_threads": model_threads},
        ray={"address": ray_address, "gpus_per_worker": gpus_per_worker},
    )
    settings = _create_settings(
        {"preset": preset, "dtype": dtype, "multimask_output": multimask},
        generator={
            "points_per_side": points_per_side,
            "pred_iou_thresh": pred_iou_thresh,
            "stability_score_thresh": stability_score_thresh,
            "crop_n_layers": crop_n_layers,
            "min_mask_region_area": min_mask_region_area,
        },
    )
    from keras_sam.batch.run_batch import run_batch

    with _stop_on_signals() as stop, _progress_bar() as progress:
        summary = run_batch(
            source,
            output,
            settings,
            options=options,
            id_column=id_column,
            retry_errors=retry_errors,
            progress=progress,
            stop=stop,
        )
    _report(summary, as_json=as_json)


def _create_options(
    runner: str, shared: dict[str, Any], *, local: dict[str, Any], ray: dict[str, Any]
) -> "LocalOptions | RayOptions":
    """Return the options of a runner. Those of the other runner must be unset."""
    from keras_sam.batch.run_local import LocalOptions
    from keras_sam.batch.run_ray import RayOptions

    if runner not in ("local", "ray"):
        raise typer.BadParameter(f"--runner must be local or ray, got '{runner}'")
    for name in _without_none(ray if runner == "local" else local):
        option = "--ray-address" if name == "address" else "--" + name.replace("_", "-")
        raise typer.BadParameter(f"{option} has no effect with --runner {runner}")
    if runner == "local":
        return LocalOptions(**_without_none(shared | local))
    return RayOptions(**_without_none(shared | ray))


def _create_settings(own: dict[str, Any], *, generator: dict[str, Any]) -> "BatchSettings":
    from keras_sam.batch.batch_settings import BatchSettings
    from keras_sam.predict.generator_config import GeneratorConfig

    return BatchSettings(
        **_without_none(own), generator=GeneratorConfig(**_without_none(generator))
    )


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set. A second signal raises `KeyboardInterrupt`."""
    stop = threading.Event()
    handlers = {}

    def handle(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handlers[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _progress_bar() -> Iterator[Any]:
    """Show images, masks, errors, images per second and the remaining time on stderr."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=STDERR, transient=True, disable=not STDERR.is_terminal) as bar:
        task = bar.add_task("loading", total=None, counts="")
        started: float | None = None  # at the first result: the time to load models is not counted

        def show(progress: "BatchProgress") -> None:
            nonlocal started
            if not progress.completed:
                return
            started = started or time.monotonic()
            seconds = time.monotonic() - started
            counts = f"{progress.masks:,} masks, {progress.errors:,} errors"
            if progress.completed > 1 and seconds > 0:
                counts += f", {(progress.completed - 1) / seconds:.2f} images/s"
            bar.update(
                task,
                description="images",
                completed=progress.completed,
                total=progress.total,
                counts=counts,
            )

        yield show


def _report(summary: "BatchSummary", *, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(summary))
    else:
        before = (
            f", {summary.completed_before:,} already in the table"
            if summary.completed_before
            else ""
        )
        typer.echo(
            f"{summary.completed:,} of {summary.images:,} images processed{before}, "
            f"{summary.errors:,} with an error, {summary.masks:,} masks, {summary.seconds:.0f} s"
        )
        typer.echo(f"table: {summary.output}")
    if not summary.is_complete:
        typer.echo("keras-sam: stopped; run the same command to resume", err=True)
        raise typer.Exit(INTERRUPTED)
