"""`PartWriter`: results as files of a table, each of them whole or not there."""

import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.table import write_part

LEFTOVER = re.compile(r"\.[0-9a-f]{16}\.part")  # of `write_atomically`, when it was killed


@dataclass(frozen=True)
class PartLimits:
    """When a part is full; what is not in a part yet is lost in a crash, and done again.

    Attributes:
        size: about so many bytes, before compression.
        seconds: after so long; 0 makes a part of each batch of results.
    """

    size: int = 2**26
    seconds: float = 60.0


class PartWriter:
    """Collects results and writes them when there are enough of them, or in time.

    Args:
        directory: of the table.
        limits: of a part.
    """

    def __init__(self, directory: Path, limits: PartLimits) -> None:
        self.directory = directory
        self.limits = limits
        self._run = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + secrets.token_hex(4)
        self._count = 0
        self._started = time.monotonic()
        self._held: list[ImageResult] = []
        self._size = 0

    def add(self, results: list[ImageResult]) -> None:
        """Takes some results, perhaps none, and writes a part if it is time."""
        if not self._held:
            self._started = time.monotonic()
        for result in results:
            self._held.append(result)
            self._size += result.held_bytes
            if self._size >= self.limits.size:
                self.flush()
        if time.monotonic() - self._started >= self.limits.seconds:
            self.flush()

    def flush(self) -> None:
        """Writes what it holds."""
        # Let go of first: a part that was written though the call failed must not come twice.
        held, self._held, self._size = self._held, [], 0
        if held:
            write_part(self.directory / part_name(self._run, self._count), held)
            self._count += 1


def part_name(run: str, number: int) -> str:
    """The name of a part; `run` keeps those of two runs apart."""
    return f"part-{run}-{number:06d}.parquet"


def part_files(directory: Path) -> list[Path]:
    """The finished parts of a table."""
    return sorted(directory.glob("part-*.parquet"))


def remove_leftovers(directory: Path) -> None:
    """Removes what was half written when a run was killed."""
    for path in directory.iterdir():
        if LEFTOVER.fullmatch(path.name):
            path.unlink()
