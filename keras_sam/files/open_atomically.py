"""`open_atomically`: write a large file in pieces, so that it appears complete or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def open_atomically(path: str | Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` when the block ends.

    If the block raises, the temporary file is removed, and an old file at `path` stays as it was.

    Args:
        path: Path of the file. Its folder must exist. The permissions of an old file are kept.

    Yields:
        The temporary file, open for writing bytes.

    Raises:
        OSError: If the folder is missing or cannot be written to.
    """
    path = Path(path)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
