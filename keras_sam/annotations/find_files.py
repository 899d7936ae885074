"""`find_files` and `find_images`: the files of a folder and its subfolders."""

import os
from collections.abc import Collection
from pathlib import Path

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"))


def find_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """List the files of a folder and its subfolders, sorted by path.

    Hidden files and folders are skipped. Links to folders are not followed.

    Args:
        folder: Folder. If it does not exist, there are no files.
        suffixes: Lowercase suffixes, such as `.png`.
    """
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes
        ]
    return sorted(found)


def find_images(folder: Path) -> list[Path]:
    """List the image files of a folder and its subfolders, sorted by path."""
    return find_files(folder, IMAGE_SUFFIXES)
