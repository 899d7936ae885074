"""`LabeledDataset`: images with their masks, from files of any format, read on demand."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.images.read_image import read_image, read_size
from keras_sam.types import Size

GroupKey = str | Callable[["LabeledImage"], Any]  # key of `metadata`, or a function


@dataclass(frozen=True)
class LabeledMask:
    """One mask that is decoded on demand.

    Attributes:
        category: Name of the object's class.
        mask: Function that decodes the mask `(H, W)`, bool. It raises `ValueError` if the mask is
            malformed.
    """

    category: str
    mask: Callable[[], np.ndarray] = field(repr=False)


@dataclass(frozen=True)
class LabeledImage:
    """One image with its masks. Files are read on demand.

    Attributes:
        name: Path of the image relative to the image folder, with forward slashes.
        path: Path of the image.
        labels: Function that reads the masks. It raises `ValueError` or `OSError` if a file is
            missing or malformed.
        metadata: Further entries of the image in the data set's table, such as a patient.
    """

    name: str
    path: Path
    labels: Callable[[], Sequence[LabeledMask]] = field(repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def image(self) -> np.ndarray:
        """Read the image `(H, W, 3)`, uint8 RGB. For errors, see `read_image`."""
        return read_image(self.path)

    def size(self) -> Size:
        """Read the `(height, width)` of the image. For errors, see `read_image`."""
        return read_size(self.path)

    def masks(self) -> np.ndarray:
        """Read all masks `(P, H, W)`, bool, in the order of the file.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If a file is malformed, or a mask does not have the image's size.
        """
        return decode_masks(self.labels(), self.size(), self.name)


@dataclass(frozen=True)
class LabeledDataset:
    """Images with their masks.

    Attributes:
        images: Images, sorted by name or in the order of the file.
        format: Key of `keras_sam.annotations.open_dataset.DATASET_FORMATS`.
        folder: Folder of the data set.
    """

    images: tuple[LabeledImage, ...] = field(repr=False)
    format: str
    folder: Path

    def __len__(self) -> int:
        return len(self.images)

    def split(
        self, *, val: float = 0.15, test: float = 0.15, seed: int = 0, group: GroupKey | None = None
    ) -> tuple["LabeledDataset", "LabeledDataset", "LabeledDataset"]:
        """Split the images into three data sets, by a hash of the seed and their names.

        The split does not depend on the order of the images. The parts have the given shares, up
        to half an image, or up to half a group. If images are added, only images at the limits
        between the parts move.

        Args:
            val: Share of images for validation, in [0, 1). If above 0, at least one group.
            test: Share of images for the test, in [0, 1). If above 0, at least one group.
            seed: Seed of the split.
            group: Key of `LabeledImage.metadata`, or function from a `LabeledImage` to a value.
                Images with the same value stay together, such as those of a patient. By default,
                each image is a group.

        Returns:
            Images for training, for validation and for the test, in the order of this data set.

        Raises:
            ValueError: If a share is out of range, an image lacks the key, or there are too few
                groups.
        """
        for name, share in (("val", val), ("test", test)):
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be a share in [0, 1), got {share}")
        groups = self._groups((lambda image: image.name) if group is None else group)
        remaining = sorted(groups, key=lambda key: sha256(f"{seed}\0{key}".encode()).digest())
        parts = []
        for share in (test, val):
            chosen = _choose_groups(remaining, groups, share * len(self.images))
            is_chosen = set(chosen)
            remaining = [key for key in remaining if key not in is_chosen]
            parts.append([index for key in chosen for index in groups[key]])
        parts.append([index for key in remaining for index in groups[key]])
        if val + test >= 1 or not remaining:
            raise ValueError(
                f"val={val} and test={test} of {len(groups)} groups leave nothing for training"
            )
        test_part, val_part, train_part = (self._select(sorted(part)) for part in parts)
        return train_part, val_part, test_part

    def partition(self, group: GroupKey) -> dict[Any, "LabeledDataset"]:
        """Split the images by a column, such as one with the values `train` and `test`.

        Args:
            group: Key of `LabeledImage.metadata`, or function from a `LabeledImage` to a value.

        Returns:
            Images by value, in the order of this data set.

        Raises:
            ValueError: If an image lacks the key, or a value is not hashable.
        """
        return {key: self._select(indices) for key, indices in self._groups(group).items()}

    def _select(self, indices: Sequence[int]) -> "LabeledDataset":
        return replace(self, images=tuple(self.images[index] for index in indices))

    def _groups(self, group: GroupKey) -> dict[Any, list[int]]:
        """Return the indices of the images of each group."""
        groups: dict[Any, list[int]] = {}
        for index, image in enumerate(self.images):
            if callable(group):
                key = group(image)
            elif group in image.metadata:
                key = image.metadata[group]
            else:
                raise ValueError(
                    f"{image.name} has no {group!r} in its metadata, "
                    f"which has {', '.join(image.metadata) or 'no entries'}"
                )
            if not isinstance(key, Hashable):
                raise ValueError(f"the group of {image.name} must be hashable, got {key!r}")
            groups.setdefault(key, []).append(index)
        return groups


def decode_masks(
    labels: Sequence[LabeledMask], size: Size, name: str, indices: Sequence[int] | None = None
) -> np.ndarray:
    """Decode masks `(P, H, W)`, bool, of an image.

    Args:
        labels: Masks of the image.
        size: `(height, width)` of the image.
        name: Name of the image, for errors.
        indices: P indices of the masks to decode. Defaults to all.

    Raises:
        ValueError: If a mask is malformed or has another size.
    """
    indices = range(len(labels)) if indices is None else indices
    masks = np.zeros((len(indices), *size), bool)
    for target, index in zip(masks, indices, strict=True):
        try:
            mask = labels[index].mask()
        except ValueError as error:
            raise ValueError(f"mask {index} of {name}: {error}") from error
        if mask.shape != size:
            raise ValueError(
                f"mask {index} of {name} must have the image's size {size}, got {mask.shape}"
            )
        target[:] = mask
    return masks


def _choose_groups(keys: Sequence[Any], groups: Mapping[Any, list[int]], count: float) -> list[Any]:
    """Choose the first groups whose images add up to a number, as closely as possible."""
    chosen: list[Any] = []
    total = 0
    for key in keys:
        size = len(groups[key])
        if abs(total + size - count) < abs(total - count):
            chosen.append(key)
            total += size
    if count and keys and not chosen:
        return [min(keys, key=lambda key: len(groups[key]))]
    return chosen
