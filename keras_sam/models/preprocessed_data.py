"""Data sets that prepare raw samples batch by batch, for `fit`, `evaluate` and `predict`."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

Preprocess = Callable[..., Any]


def preprocess_data(
    preprocess: Preprocess,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool = False,
) -> keras.utils.PyDataset:
    """Wrap raw samples in a data set of prepared batches.

    Args:
        preprocess: Function from `(x, y, sample_weight)` of a batch to a prepared batch.
        x: Arrays, lists or dictionaries of them; or a data set of batches: a `PyDataset`, a
            `tf.data.Dataset`, a torch `DataLoader` or another iterable.
        y: Targets, unless `x` is a data set.
        sample_weight: Weights, unless `x` is a data set.
        batch_size: Images per batch, unless `x` is a data set. Defaults to 32.
        shuffle: If True, arrays are shuffled before each epoch.

    Raises:
        ValueError: If `y`, `sample_weight` or `batch_size` is given with a data set.
    """
    if isinstance(x, dict | list | tuple) or hasattr(x, "shape"):
        return _PreprocessedArrays(
            preprocess, (x, y, sample_weight), batch_size=batch_size or 32, shuffle=shuffle
        )
    for name, value in (("y", y), ("sample_weight", sample_weight), ("batch_size", batch_size)):
        if value is not None:
            raise ValueError(f"{name} must not be given when x is a data set of batches")
    if isinstance(x, keras.utils.PyDataset):
        return _PreprocessedPyDataset(preprocess, x)
    return _PreprocessedIterable(preprocess, x)


class _PreprocessedArrays(keras.utils.PyDataset):
    """Batches of arrays in memory."""

    def __init__(
        self, preprocess: Preprocess, samples: tuple[Any, ...], *, batch_size: int, shuffle: bool
    ) -> None:
        super().__init__()
        self._preprocess = preprocess
        self._samples = samples
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._order = np.arange(count_samples(samples[0]))

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> Any:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._preprocess(*(_take(part, rows) for part in self._samples))

    def on_epoch_begin(self) -> None:
        """Shuffle with NumPy's global generator, which `keras.utils.set_random_seed` seeds."""
        if self._shuffle:
            np.random.shuffle(self._order)


class _PreprocessedPyDataset(keras.utils.PyDataset):
    """Batches of another `PyDataset`."""

    def __init__(self, preprocess: Preprocess, batches: keras.utils.PyDataset) -> None:
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self._preprocess = preprocess
        self._batches = batches

    @property
    def num_batches(self) -> int | None:
        """Number of batches per epoch."""
        return self._batches.num_batches

    def __getitem__(self, index: int) -> Any:
        return self._preprocess(*keras.utils.unpack_x_y_sample_weight(self._batches[index]))

    def on_epoch_begin(self) -> None:
        """Forward the event."""
        self._batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Forward the event."""
        self._batches.on_epoch_end()


class _PreprocessedIterable(keras.utils.PyDataset):
    """Batches of an iterable in its order, restarted at each epoch."""

    def __init__(self, preprocess: Preprocess, batches: Any) -> None:
        super().__init__()
        self._preprocess = preprocess
        self._batches = batches
        self._iterator: Iterator[Any] | None = None

    @property
    def num_batches(self) -> int | None:
        """Number of batches per epoch, or `None` if the iterable has no length."""
        try:
            return len(self._batches)
        except TypeError:
            return None

    def __getitem__(self, index: int) -> Any:
        if self._iterator is None:
            self._iterator = iter(self._batches)
        batch = keras.tree.map_structure(_to_numpy, next(self._iterator))
        return self._preprocess(*keras.utils.unpack_x_y_sample_weight(batch))

    def on_epoch_end(self) -> None:
        """Restart the iterable."""
        self._iterator = None


def count_samples(x: Any) -> int:
    """Return the number of images in raw inputs.

    Raises:
        ValueError: If there is none.
    """
    images = x["images"] if isinstance(x, dict) else x
    if not len(images):
        raise ValueError("expected at least one image, got none")
    return len(images)


def _take(part: Any, rows: np.ndarray) -> Any:
    if part is None:
        return None
    if isinstance(part, dict):
        return {name: _take(value, rows) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [part[row] for row in rows]
    return np.asarray(part)[rows]


def _to_numpy(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else value
