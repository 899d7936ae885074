"""`read_tiff_tags`: what a TIFF says of itself."""

from pathlib import Path
from typing import Any

from PIL import TiffImagePlugin

BIG_TIFF = 43  # where TIFF has 42; its header is twice as long


def read_tiff_tags(path: Path) -> dict[int, Any]:
    """The tags of a TIFF's first picture, which may be of any size and any kind of numbers.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: if it is no TIFF, or damaged.
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
