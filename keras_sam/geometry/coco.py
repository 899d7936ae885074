"""`read_coco`: images and masks of a COCO annotation file."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from keras_sam.geometry.masks import coco_rle_to_mask


@dataclass(frozen=True)
class CocoImage:
    """An image and its annotations.

    Attributes:
        file_name: path below the folder of images.
        size: `(height, width)`.
        segmentations: for each annotation its RLE or polygons, as in the file.
    """

    file_name: str
    size: tuple[int, int]
    segmentations: tuple[Any, ...]

    def masks(self) -> np.ndarray:
        """All masks, `(N, H, W)` bool.

        Raises:
            ValueError: if a segmentation is damaged or of another size; it names the image.
        """
        masks = np.zeros((len(self.segmentations), *self.size), bool)
        for mask, segmentation in zip(masks, self.segmentations, strict=True):
            try:
                mask[:] = _segmentation_to_mask(segmentation, self.size)
            except ValueError as error:
                raise ValueError(f"{self.file_name}: {error}") from error
        return masks


@dataclass(frozen=True)
class CocoDataset:
    """The images of an annotation file, in its order."""

    images: tuple[CocoImage, ...]


def read_coco(path: str | Path) -> CocoDataset:
    """Reads a COCO annotation file; crowd annotations are left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not COCO; it says where.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no annotation file {path}")
    try:
        content = json.loads(path.read_text())
        by_image: dict[Any, list[Any]] = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            if not annotation.get("iscrowd"):
                by_image[annotation["image_id"]].append(annotation["segmentation"])
        images = tuple(
            CocoImage(
                _safe_name(image["file_name"]),
                (int(image["height"]), int(image["width"])),
                tuple(by_image[image["id"]]),
            )
            for image in content["images"]
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a COCO annotation file: {error!r}") from error
    return CocoDataset(images)


def _safe_name(name: str) -> str:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name:
        raise ValueError(f"file_name {name!r} must stay inside the folder of images")
    return name


def _segmentation_to_mask(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    if isinstance(segmentation, dict):
        mask = coco_rle_to_mask(segmentation)
        if mask.shape != size:
            raise ValueError(f"a mask of size {mask.shape} in an image of size {size}")
        return mask
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("a segmentation is RLE or a list of polygons")
    picture = Image.new("1", size[::-1])
    for polygon in segmentation:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"a polygon needs three points or more, got {len(polygon)} numbers")
        ImageDraw.Draw(picture).polygon([float(value) for value in polygon], fill=1)
    return np.asarray(picture)
