"""`check_file_name`: a path from a file that may come from a stranger."""

from pathlib import PurePosixPath, PureWindowsPath
from typing import Any


def check_file_name(name: Any, *, key: str = "file_name") -> str:
    """Return a relative path, after a check that it stays inside its folder on any system.

    Args:
        name: Path from a file.
        key: Name of the entry, for the error message.

    Raises:
        ValueError: If the name is not a relative path, contains `..`, or is empty.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise ValueError(f"{key} must be a path, got {name!r}")
    for path_type in (PurePosixPath, PureWindowsPath):
        path = path_type(name)
        if path.is_absolute() or path.drive or path.root or ".." in path.parts:
            raise ValueError(f"{key} must stay inside the image folder, got {name!r}")
    return name
