"""`PartWriter`: collects results and writes them as parts of a table."""

import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.table_parts import write_part


@dataclass(frozen=True)
class PartLimits:
    """Limits after which a part is written. Results that are not written are lost in a crash.

    Attributes:
        max_bytes: Approximate maximum size of a part before compression, in bytes.
        max_seconds: Maximum time between two parts. 0 writes a part for each call of `add`.
    """

    max_bytes: int = 2**26
    max_seconds: float = 60.0


class PartWriter:
    """Collects results, and writes a part when there are enough of them or time has passed.

    Args:
        directory: Folder of the table.
        limits: Limits of a part.
    """

    def __init__(self, directory: Path, limits: PartLimits) -> None:
        self.directory = directory
        self.limits = limits
        self._run = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + secrets.token_hex(4)
        self._count = 0
        self._started = time.monotonic()
        self._results: list[ImageResult] = []
        self._nbytes = 0

    def add(self, results: list[ImageResult]) -> None:
        """Add results, perhaps none, and write a part if a limit is reached."""
        if not self._results:
            self._started = time.monotonic()
        for result in results:
            self._results.append(result)
            self._nbytes += result.nbytes
            if self._nbytes >= self.limits.max_bytes:
                self.flush()
        if time.monotonic() - self._started >= self.limits.max_seconds:
            self.flush()

    def flush(self) -> None:
        """Write all results that are not written yet."""
        # Cleared first: if the part is written but an exception follows, a second call must not
        # write the same rows again.
        results, self._results, self._nbytes = self._results, [], 0
        if results:
            write_part(self.directory / f"part-{self._run}-{self._count:06d}.parquet", results)
            self._count += 1
