"""`read_tiff_tags`: the metadata of a TIFF file."""

from pathlib import Path
from typing import Any

from PIL import TiffImagePlugin

BIG_TIFF = 43  # version number in the header, where TIFF has 42. This header is twice as long


def read_tiff_tags(path: Path) -> dict[int, Any]:
    """Read the tags of the first image in a TIFF file, whatever its size and dtype.

    Args:
        path: Path of the file.

    Returns:
        Values by tag number.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is not a TIFF file, or is damaged.
    """
    with path.open("rb") as file:
        try:
            header = file.read(8)
            if BIG_TIFF in header[2:4]:
                header += file.read(8)
            directory = TiffImagePlugin.ImageFileDirectory_v2(header)
            file.seek(directory.next)
            directory.load(file)
            return dict(directory)
        except Exception as error:  # Pillow raises OSError, SyntaxError, struct.error and others
            raise ValueError(f"{path.name} cannot be read: {error}") from error
