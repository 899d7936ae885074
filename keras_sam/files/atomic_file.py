"""`write_atomically`: a file that is there whole or not at all."""

import os
import secrets
import shutil
from pathlib import Path


def write_atomically(path: str | Path, data: bytes) -> None:
    """Writes a file beside its place and renames it: a crash leaves the old file whole.

    Args:
        path: the file; its folder must exist. An old file's permissions are kept.
        data: the content.

    Raises:
        OSError: if the folder is missing or cannot be written to.
        TypeError: if `data` is not bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data must be bytes, got {type(data).__name__}")
    path = Path(path)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
