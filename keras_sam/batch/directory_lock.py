"""`directory_lock`: one run at a time in a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows; there the user sees to it
    fcntl = None  # type: ignore[assignment]

NAME = "_lock"


@contextmanager
def directory_lock(directory: Path) -> Iterator[None]:
    """Holds a folder until the block ends, or the process, in whatever way.

    Raises:
        ValueError: if another process holds it.
    """
    with (directory / NAME).open("a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(f"another run is writing to {directory}") from error
        yield
