"""`StopOnNaN`: a callback that stops training when the loss is not a number."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras


class StopOnNaN(keras.callbacks.Callback):
    """Stops training by an error when the loss is NaN or infinite, before a state is written.

    Args:
        image_names: Function that returns the names of the images of a batch, given its index in
            the epoch. The order of the batches must be that of their indices.
    """

    def __init__(self, image_names: Callable[[int], Sequence[str]]) -> None:
        super().__init__()
        self.image_names = image_names
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Store the number of the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Check the mean loss of the epoch so far.

        Raises:
            ValueError: If it is not finite.
        """
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss is {loss} at step {batch + 1} of epoch {self._epoch + 1}, with the "
                f"images {', '.join(self.image_names(batch))}; use a lower learning rate, or "
                "check these images"
            )
