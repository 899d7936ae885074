"""What the commands share: results on stdout, progress and one-sentence errors on stderr."""

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
DEFAULT_PRESET = "sam_tiny_synthetic"  # ships in the package, so it needs no network

BackendOption = Annotated[
    str | None,
    typer.Option(
        "--backend",
        help="jax, torch, tensorflow, openvino. Default: KERAS_BACKEND, or the fastest installed.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
PresetOption = Annotated[
    str,
    typer.Option(
        "--preset",
        help="A name of `keras-sam presets`, kaggle://..., hf://..., or a directory.",
    ),
]


def report_user_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turns a mistake, an unusable file or a full memory into a sentence and the exit code 1.

    Backends raise `RuntimeError` where memory or a device fails them.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except typer.Exit:  # a RuntimeError, too
            raise
        except (ValueError, TypeError, OSError, ImportError, MemoryError, RuntimeError) as error:
            message = " ".join(str(error).split()) or type(error).__name__
            typer.echo(f"keras-sam: {message}", err=True)
            raise typer.Exit(1) from error

    return run


def print_json(result: dict[str, Any]) -> None:
    """Prints the one JSON object of a command; paths become text."""
    typer.echo(json.dumps(result, indent=2, default=_plain))


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float, int], None]]:
    """A bar on stderr, moved by calling it with how many are done and how many there are."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    is_shown = STDERR.is_terminal  # elsewhere all it would leave is an empty line
    with Progress(*columns, console=STDERR, transient=True, disable=not is_shown) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def spinner(title: str) -> Iterator[None]:
    """Says on stderr what takes a while."""
    with STDERR.status(title):
        yield


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return value.item()  # a NumPy number
