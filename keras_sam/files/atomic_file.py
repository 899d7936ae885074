"""`write_atomically`: writes a file as a whole or not at all."""

import os
import secrets
import shutil
from pathlib import Path


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file as a whole or not at all.

    The data are written to a temporary file in the same folder, which then replaces the old file.
    After a crash, the old file is unchanged. Its permissions are kept.

    Args:
        path: Path of the file. Its folder must exist.
        data: Content of the file.

    Raises:
        OSError: If the folder does not exist or is not writable.
        TypeError: If `data` is not bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data must be bytes, got {type(data).__name__}")
    path = Path(path)
    # Independent of the file's name, which may already have the maximum length.
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
