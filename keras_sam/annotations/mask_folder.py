"""`open_mask_folder`: images with label maps or binary masks as PNG, TIFF or NumPy files."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from keras_sam.annotations.find_files import find_files, find_images
from keras_sam.annotations.label_map import read_label_map
from keras_sam.annotations.labeled_dataset import LabeledImage, LabeledMask
from keras_sam.annotations.mask_record import DEFAULT_CATEGORY

IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = ("masks", "mask", "labels", "annotations")
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".npy")
SEPARATOR = re.compile(r"[_.\-/ ]")  # between an image's name and the number of a mask


def open_mask_folder(folder: Path, image_dir: Path | None = None) -> list[LabeledImage]:
    """Pair the images of `images/` with the mask files of `masks/`.

    The masks of `images/STEM.jpg` are `masks/STEM.png`, `masks/STEM_1.png` and so on, or all
    files in `masks/STEM/`. Each value of a file other than 0 is one mask. Subfolders of `images/`
    are repeated in `masks/`.

    Args:
        folder: Folder of the data set.
        image_dir: Folder of the images. Defaults to `images/` of the folder, or to the folder
            itself.

    Returns:
        All images, sorted by name, or none if there is no folder with masks of an image.
    """
    masks = next((folder / name for name in MASK_FOLDERS if (folder / name).is_dir()), None)
    if masks is None:
        return []
    if image_dir is None:
        image_dir = next((folder / n for n in IMAGE_FOLDERS if (folder / n).is_dir()), folder)
    images = {
        path: path.relative_to(image_dir).with_suffix("").as_posix()
        for path in find_images(image_dir)
        if not path.is_relative_to(masks)
    }
    files: dict[str, list[Path]] = {key: [] for key in images.values()}
    for path in find_files(masks, MASK_SUFFIXES):
        key = _image_key(path.relative_to(masks).with_suffix("").as_posix(), files)
        if key is not None:
            files[key].append(path)
    if not any(files.values()):
        return []
    return [
        LabeledImage(
            path.relative_to(image_dir).as_posix(), path, partial(read_mask_files, files[key])
        )
        for path, key in images.items()
    ]


def read_mask_files(
    paths: Sequence[Path], *, category: str = DEFAULT_CATEGORY
) -> list[LabeledMask]:
    """Read the masks of one image: a mask for each value other than 0 of each file.

    Args:
        paths: Label maps, or binary masks. See `read_label_map`.
        category: Name of the class of all objects.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is not a label map, or is damaged or too large.
    """
    labels = []
    for path in paths:
        values = read_label_map(path)
        labels += [
            LabeledMask(category, partial(np.equal, values, value))
            for value in np.unique(values)
            if value != 0
        ]
    return labels


def _image_key(mask_key: str, images: dict[str, list[Path]]) -> str | None:
    """Return the longest key of an image that the key of a mask starts with."""
    ends = [len(mask_key), *(match.start() for match in SEPARATOR.finditer(mask_key))]
    keys = (mask_key[:end] for end in sorted(ends, reverse=True))
    return next((key for key in keys if key in images), None)
