"""`open_dataset` and `DATASET_FORMATS`: labeled images from a folder in any input format.

A new format is one file with its reader, and one row in `DATASET_FORMATS`.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath

from keras_sam.annotations.coco import CocoImage, read_coco
from keras_sam.annotations.find_files import find_files, find_images
from keras_sam.annotations.image_folder import open_image_folder
from keras_sam.annotations.labeled_dataset import LabeledDataset, LabeledImage, LabeledMask
from keras_sam.annotations.labelme import read_labelme
from keras_sam.annotations.mask_folder import open_mask_folder
from keras_sam.annotations.mask_record import record_category, record_to_mask
from keras_sam.annotations.yolo import read_yolo, read_yolo_categories
from keras_sam.files.json_file import read_json
from keras_sam.images.read_image import read_size

MAX_COCO_FILES = 50  # a folder with more JSON files has one per image
PROBED_IMAGES = 20  # of a COCO file, to find the folder of its images


def open_dataset(
    folder: str | Path, *, format: str | None = None, image_dir: str | Path | None = None
) -> LabeledDataset:
    """Open a folder of images with masks. Its format is recognized by its files.

    Only tables of the whole data set are read. Images and masks are read on demand, so a bad
    file does not stop the others. `keras_sam.train.check_dataset` lists bad files.

    Args:
        folder: Folder of the data set, or the JSON file of a COCO data set.
        format: Key of `DATASET_FORMATS`. By default, the first format that fits.
        image_dir: Folder of the images, if it is not in its usual place.

    Returns:
        The images with their masks. `format` is the recognized format.

    Raises:
        FileNotFoundError: If a folder does not exist.
        TypeError: If `folder` is not a path.
        ValueError: If the format is unknown or not recognized, or the table of a data set is
            malformed or points outside the image folder.
    """
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be a str or a Path, got {type(folder).__name__}")
    if format is not None and format not in DATASET_FORMATS:
        raise ValueError(f"format must be one of {', '.join(DATASET_FORMATS)}, got {format!r}")
    folder = Path(folder)
    image_dir = None if image_dir is None else Path(image_dir)
    is_coco_file = folder.suffix == ".json" and folder.is_file() and format in (None, "coco")
    for path in () if is_coco_file else (folder, image_dir):
        if path is not None and not path.is_dir():
            raise FileNotFoundError(f"there is no folder at {path}")
    formats = [DATASET_FORMATS[format]] if format else _ROWS
    for row in _ROWS[:1] if is_coco_file else formats:
        images = row.open(folder, image_dir)
        if images:
            return LabeledDataset(tuple(images), row.name, folder)
    expected = "".join(f"\n- {row.name}: {row.description}" for row in formats)
    of = " one of" if len(formats) > 1 else ""
    raise ValueError(f"{folder} has no images with masks. Expected{of}{expected}")


@dataclass(frozen=True)
class DatasetFormat:
    """One input format of labeled images.

    Attributes:
        name: Name of the format, as in `open_dataset`.
        description: Files by which the format is recognized, one line.
        open: Function from the folder of the data set and the folder of the images, or None, to
            all images. It returns none if the folder has another format.
    """

    name: str
    description: str
    open: Callable[[Path, Path | None], Sequence[LabeledImage]]


def _open_coco(folder: Path, image_dir: Path | None) -> list[LabeledImage]:
    files = [folder]
    if folder.is_dir():
        files = find_files(folder, (".json",))
        if len(files) > MAX_COCO_FILES:
            return []
        files = [path for path in files if _contains(path, b'"images"', b'"annotations"')]
    if len(files) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in files)
        raise ValueError(f"{folder} has several COCO files, pass one of them: {names}")
    if not files:
        return []
    dataset = read_coco(files[0])
    parent = files[0].parent
    folders = [parent, parent / "images"]
    if parent != folder:  # such as annotations/instances_train2017.json
        siblings = ("images", "", *files[0].stem.split("_"))
        folders += [parent.parent / name for name in siblings]
    if image_dir:
        folders = [image_dir]
    root = max(folders, key=lambda path: _num_existing(path, dataset.images))
    return [
        LabeledImage(
            image.file_name, root / image.file_name, partial(_coco_labels, image), image.raw
        )
        for image in dataset.images
    ]


def _num_existing(folder: Path, images: Sequence[CocoImage]) -> int:
    return sum((folder / image.file_name).is_file() for image in images[:PROBED_IMAGES])


def _coco_labels(image: CocoImage) -> list[LabeledMask]:
    """Return the masks of an image, without crowds, which are regions of many objects."""
    return [
        LabeledMask(annotation.category, annotation.mask)
        for annotation in image.annotations
        if not annotation.raw.get("iscrowd")
    ]


def _open_labelme(folder: Path, image_dir: Path | None) -> list[LabeledImage]:
    files = find_files(folder, (".json",))
    if not any(_contains(path, b'"shapes"', b'"imagePath"') for path in files):
        return []
    root = image_dir or folder
    images = {path.with_suffix(""): path for path in find_images(root)}
    found = []
    for path in files:
        expected = root / path.relative_to(folder)  # the JSON file in the folder of the images
        image = images.get(expected.with_suffix("")) or _labelme_image(path, expected, root)
        if image is not None:
            name = image.relative_to(root).as_posix()
            found.append(LabeledImage(name, image, partial(_labelme_labels, path)))
    return found


def _labelme_image(path: Path, expected: Path, root: Path) -> Path | None:
    """Return the image that a JSON file names, inside a folder, or None for another JSON file.

    The image of a damaged file is `expected`, so that a check lists it.
    """
    try:
        content = read_json(path)
    except ValueError:
        return expected
    if not isinstance(content, dict) or "shapes" not in content:
        return None
    parts = PureWindowsPath(str(content.get("imagePath"))).parts  # splits at both slashes
    if not parts or "\0" in parts[-1]:
        return expected
    image = Path(os.path.normpath(path.parent.joinpath(*parts)))
    if image.is_relative_to(root):
        return image
    return expected if parts[-1] == ".." else expected.with_name(PureWindowsPath(parts[-1]).name)


def _labelme_labels(path: Path) -> list[LabeledMask]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about points and lines
        records = read_labelme(path).records
    return [
        LabeledMask(record_category(record), partial(record_to_mask, record)) for record in records
    ]


def _open_yolo(folder: Path, image_dir: Path | None) -> list[LabeledImage]:
    root = image_dir or folder
    images = find_images(root)
    in_images = [path for path in images if "images" in path.relative_to(root).parts]
    labels = {path: _yolo_label_path(path, root, folder) for path in in_images or images}
    if not any(path.is_file() for path in labels.values()):
        return []
    files = [folder / name for name in ("data.yaml", "dataset.yaml", "classes.txt")]
    files += [folder / "labels" / "classes.txt", *sorted(folder.glob("*.y*ml"))]
    categories = next((read_yolo_categories(path) for path in files if path.is_file()), [])
    return [
        LabeledImage(
            image.relative_to(root).as_posix(),
            image,
            partial(_yolo_labels, label, image, tuple(categories)),
        )
        for image, label in labels.items()
    ]


def _yolo_label_path(image: Path, root: Path, folder: Path) -> Path:
    """Return the label file of an image: below `labels/` for `images/`, or next to the image."""
    parts = list(image.relative_to(root).with_suffix(".txt").parts)
    paths = [folder.joinpath("labels", *parts), image.with_suffix(".txt")]
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
        paths.insert(0, root.joinpath(*parts))
    return next((path for path in paths if path.is_file()), paths[0])


def _yolo_labels(path: Path, image: Path, categories: Sequence[str]) -> list[LabeledMask]:
    if not path.is_file():
        return []  # a background image
    return read_yolo(path, read_size(image), categories=categories)


def _contains(path: Path, *words: bytes) -> bool:
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return all(word in content for word in words)


_ROWS = (
    DatasetFormat(
        name="coco",
        description="a JSON file with the keys images and annotations, in any folder",
        open=_open_coco,
    ),
    DatasetFormat(
        name="labelme",
        description="JSON files with the keys shapes and imagePath, next to their images",
        open=_open_labelme,
    ),
    DatasetFormat(
        name="huggingface",
        description="metadata.jsonl or metadata.csv with file_name, and a column of mask files "
        "such as mask or mask_file_name, or objects with segmentation",
        open=open_image_folder,
    ),
    DatasetFormat(
        name="yolo",
        description="text files in labels/ for the images in images/, or next to their images",
        open=_open_yolo,
    ),
    DatasetFormat(
        name="masks",
        description="PNG, TIFF or NPY files in masks/ with the names of the images in images/: "
        "STEM.png, STEM_1.png and so on, or STEM/*.png",
        open=open_mask_folder,
    ),
)
DATASET_FORMATS = {row.name: row for row in _ROWS}
"""Input formats by name."""
