"""`keras-sam batch`: the masks of many images, in one table."""

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
    from keras_sam.batch.local_runner import LocalOptions
    from keras_sam.batch.ray_runner import RayOptions
    from keras_sam.batch.run_batch import BatchProgress, BatchSummary

INTERRUPTED = 130  # the exit code of a command that Ctrl-C ended


def _unset(*names: str, text: str, **limits: Any) -> Any:
    """An option that leaves the default to the dataclass it is for."""
    return typer.Option(*names, help=text, show_default=False, **limits)


@report_user_errors
def batch_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A folder, a quoted pattern, or a .txt, .csv or .parquet of paths.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", help="The folder of the table.")],
    preset: PresetOption = DEFAULT_PRESET,
    points_per_side: Annotated[
        Any,
        _unset(
            "--points-per-side",
            text="Of the grid, or auto. Default: 32.",
            parser=parse_points_per_side,
            metavar="INTEGER|auto",
        ),
    ] = None,
    pred_iou_thresh: Annotated[
        float | None,
        _unset("--pred-iou-thresh", text="Keep what rates over it. Default: the preset's."),
    ] = None,
    stability_score_thresh: Annotated[
        float | None,
        _unset("--stability-score-thresh", text="Keep what is as stable. Default: the preset's."),
    ] = None,
    crop_n_layers: Annotated[
        int | None, _unset("--crop-n-layers", text="Layers of crops. Default: 0.", min=0)
    ] = None,
    min_mask_region_area: Annotated[
        int | None,
        _unset("--min-mask-region-area", text="Least hole and island. Default: 0.", min=0),
    ] = None,
    multimask: Annotated[
        bool | None,
        _unset(
            "--multimask/--single-mask",
            text="Masks for each prompt. Default: three for a lone click.",
        ),
    ] = None,
    dtype: Annotated[
        str | None, _unset("--dtype", text="Of the model. Default: the preset's.")
    ] = None,
    id_column: Annotated[
        str | None, _unset("--id-column", text="Of the ids. Default: image_id, or the paths.")
    ] = None,
    workers: Annotated[
        int | None, _unset("--workers", text="Processes with a model each. Default: 1.", min=1)
    ] = None,
    threads: Annotated[
        int | None,
        _unset("--threads", text="Of each worker. Default: the processors shared out.", min=1),
    ] = None,
    decode_threads: Annotated[
        int | None, _unset("--decode-threads", text="That read files. Default: 2.", min=1)
    ] = None,
    model_threads: Annotated[
        int | None,
        _unset("--model-threads", text="That share a model. Default: 1.", min=1),
    ] = None,
    runner: Annotated[str, typer.Option("--runner", help="local, or ray for a cluster.")] = "local",
    address: Annotated[
        str | None,
        _unset("--address", text="Of a Ray cluster. Default: Ray is started on this machine."),
    ] = None,
    gpus: Annotated[
        float | None,
        _unset("--gpus", text="Of each worker, for Ray to find. Default: 0.", min=0.0),
    ] = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Do images again that are errors in the table.")
    ] = False,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Finds the masks of many images and writes them into one table of Parquet files.

    Started again with the same options, it goes on where it was stopped, by Ctrl-C or a crash. An
    image that cannot be done is an error in its status row, and stops nothing.
    """
    backend = choose_backend(backend)
    from keras_sam.batch.batch_settings import BatchSettings
    from keras_sam.batch.run_batch import run_batch

    settings = BatchSettings(
        preset=preset,
        **_given(
            dtype=dtype,
            multimask_output=multimask,
            points_per_side=points_per_side,
            pred_iou_thresh=pred_iou_thresh,
            stability_score_thresh=stability_score_thresh,
            crop_n_layers=crop_n_layers,
            min_mask_region_area=min_mask_region_area,
        ),
    )
    options = _options(
        runner,
        {"workers": workers, "threads": threads, "backend": backend},
        local={"decode_threads": decode_threads, "model_threads": model_threads},
        ray={"address": address, "gpus": gpus},
    )
    with _stop_on_signals() as stop, _bar() as progress:
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


def _options(
    runner: str, shared: dict[str, Any], *, local: dict[str, Any], ray: dict[str, Any]
) -> "LocalOptions | RayOptions":
    """The options of the runner that is asked for; those of the other are mistakes."""
    from keras_sam.batch.local_runner import LocalOptions
    from keras_sam.batch.ray_runner import RayOptions

    if runner not in ("local", "ray"):
        raise typer.BadParameter(f"--runner is local or ray, got '{runner}'")
    own, other = (local, ray) if runner == "local" else (ray, local)
    for name, value in other.items():
        if value is not None:
            option = "--" + name.replace("_", "-")
            raise typer.BadParameter(f"{option} has no effect with --runner {runner}")
    options = LocalOptions if runner == "local" else RayOptions
    return options(**_given(**shared, **own))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C, or the system that ends programs, sets; the second time is an error."""
    stop = threading.Event()
    before = {}

    def ask(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler)

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar() -> Iterator[Any]:
    """A bar on stderr with images, masks, errors, images a second, and the time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=STDERR, transient=True, disable=not STDERR.is_terminal) as bar:
        task = bar.add_task("loading", total=None, counts="")
        first: list[float] = []  # when the first image was done: loading is not counted

        def show(state: "BatchProgress") -> None:
            if not state.done:
                return
            first[:] = first or [time.monotonic()]
            seconds = time.monotonic() - first[0]
            counts = f"{state.masks:,} masks, {state.errors:,} errors"
            if state.done > 1 and seconds > 0:
                counts += f", {(state.done - 1) / seconds:.2f} images/s"
            bar.update(
                task,
                description="images",
                completed=state.done,
                total=state.total,
                counts=counts,
            )

        yield show


def _report(summary: "BatchSummary", *, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(summary))
    else:
        before = f", {summary.done_before:,} before" if summary.done_before else ""
        typer.echo(
            f"{summary.done:,} of {summary.images:,} images done{before}, {summary.errors:,} with "
            f"an error, {summary.masks:,} masks in {summary.seconds:.0f} s"
        )
        typer.echo(f"table: {summary.output}")
    if not summary.is_complete:
        typer.echo("keras-sam: stopped; the same command goes on from here", err=True)
        raise typer.Exit(INTERRUPTED)
