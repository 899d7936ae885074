"""`BatchPart`, `DividedBatches`: the part of each batch that one of several devices trains on."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import keras

Row = TypeVar("Row")


@dataclass(frozen=True)
class BatchPart:
    """Part of each batch of a data set, for training on several devices.

    A last batch with fewer images is filled to a multiple of the number of devices. The images
    that fill it get empty masks, which losses ignore.

    Attributes:
        devices: Number of devices.
        device: Index of the device whose part is read, or `None` for whole batches.
    """

    devices: int = 1
    device: int | None = None

    def check(self, batch_size: int) -> None:
        """Check that a batch can be divided.

        Raises:
            ValueError: If the batch size is not a multiple of the number of devices.
        """
        if self.devices < 1 or batch_size % self.devices:
            raise ValueError(
                f"batch_size must be a multiple of the number of devices, {self.devices}, "
                f"got {batch_size}"
            )

    def rows(self, batch: Sequence[Row]) -> tuple[list[Row], int]:
        """Select this part of a batch.

        Args:
            batch: Rows of the images in the data set. At least one.

        Returns:
            Rows of the part, and the number of them at its end that fill it.
        """
        rows = list(batch)
        count = len(rows)
        rows += rows[:1] * (-count % self.devices)
        if self.device is None:
            return rows, len(rows) - count
        size = len(rows) // self.devices
        start = self.device * size
        part = rows[start : start + size]
        return part, min(size, max(0, start + size - count))


class DividedBatches(keras.utils.PyDataset):
    """Base class of batches that depend on the epoch, and that devices may divide.

    Args:
        batch_size: Images per batch.
        **kwargs: Arguments of `keras.utils.PyDataset`.
    """

    def __init__(self, batch_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_size = batch_size
        self._part = BatchPart()
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next batches, counted from 0. `SAMImageSegmenter.fit` does.

        Keras calls `on_epoch_begin` after its workers have started, which is too late.
        """
        self.epoch = epoch

    def take_part(self, part: BatchPart) -> Self:
        """Return a copy that reads only a part of each batch.

        Raises:
            ValueError: If `batch_size` is not a multiple of the number of devices.
        """
        part.check(self.batch_size)
        batches = copy.copy(self)
        batches._part = part
        return batches
