"""Options, output and errors of all commands. Results go to stdout, the rest to stderr."""

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

STDERR = Console(stderr=True)
DEFAULT_PRESET = "sam_tiny_synthetic"  # part of the package, so it needs no network

BackendOption = Annotated[
    str | None,
    typer.Option(
        "--backend",
        help="jax, torch, tensorflow or openvino. Default: KERAS_BACKEND, or the fastest one.",
        show_default=False,
    ),
]
FoldBatchNormsOption = Annotated[
    bool,
    typer.Option(
        "--fold-batch-norms",
        help="Fold batch norms into convolutions, for faster inference (MobileSAM).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
PresetOption = Annotated[
    str,
    typer.Option(
        "--preset",
        help="Name from `keras-sam presets`, kaggle://..., hf://..., or a directory.",
    ),
]
MultiScaleOption = Annotated[
    bool,
    typer.Option(
        "--multi-scale",
        help="Predict in crops around the prompt, for small objects. Slower.",
    ),
]


def report_user_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Convert errors that users can fix to one sentence on stderr and exit code 1.

    Backends raise `RuntimeError` when memory or a device fails.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except typer.Exit:  # also a RuntimeError
            raise
        except (ValueError, TypeError, OSError, ImportError, MemoryError, RuntimeError) as error:
            message = " ".join(str(error).split()) or type(error).__name__
            typer.echo(f"keras-sam: {message}", err=True)
            raise typer.Exit(1) from error

    return run


def print_json(result: dict[str, Any]) -> None:
    """Print a command's result as JSON. Paths become strings."""
    typer.echo(json.dumps(result, indent=2, default=_to_plain))


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float, int], None]]:
    """Show a progress bar on stderr.

    Yields:
        Function that updates the bar with the number of completed items and their total.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    is_shown = STDERR.is_terminal  # elsewhere, only an empty line would remain
    with Progress(*columns, console=STDERR, transient=True, disable=not is_shown) as bar:
        task = bar.add_task(title, total=None)
        yield lambda completed, total: bar.update(task, completed=completed, total=total)


@contextmanager
def spinner(title: str) -> Iterator[None]:
    """Show a spinner with a title on stderr."""
    with STDERR.status(title):
        yield


def _to_plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return value.item()  # a NumPy number
