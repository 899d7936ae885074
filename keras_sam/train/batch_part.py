"""`BatchPart`: the part of each batch that one of several devices trains on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

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
