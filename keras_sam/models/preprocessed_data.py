"""Data sets that prepare raw samples batch by batch, for `fit`, `evaluate` and `predict`."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras.src.trainers.data_adapters.generator_data_adapter import GeneratorDataAdapter

Preprocess = Callable[..., Any]
Prepare = Callable[[int, Any], Any]  # index and raw batch -> prepared batch


def preprocess_data(
    preprocess: Preprocess,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool = False,
    on_batch: Callable[[int, Any], None] | None = None,
) -> Any:
    """Wrap raw samples in a data set of prepared batches.

    Args:
        preprocess: Function from `(x, y, sample_weight)` of a batch to a prepared batch.
        x: Arrays, lists or dictionaries of them; or a data set of batches: a `PyDataset`, a
            `tf.data.Dataset`, a torch `DataLoader`, a generator or another iterable. Iterables
            restart at each epoch; iterators and generators cannot.
        y: Targets, unless `x` is a data set.
        sample_weight: Weights, unless `x` is a data set.
        batch_size: Images per batch, unless `x` is a data set. Defaults to 32.
        shuffle: If True, arrays are shuffled before each epoch.
        on_batch: Function that is called with the index and the raw `x` of each batch. Calls
            may be repeated and in any order.

    Returns:
        Data set that `fit`, `evaluate` and `predict` of Keras accept as `x`.

    Raises:
        ValueError: If `y`, `sample_weight` or `batch_size` is given with a data set, or if
            arrays are empty or differ in their number of samples.
    """

    def prepare(index: int, batch: Any) -> Any:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        if on_batch is not None:
            on_batch(index, x)
        return preprocess(x, y, sample_weight)

    if is_arrays(x):
        return _PreprocessedArrays(
            prepare, (x, y, sample_weight), batch_size=batch_size or 32, shuffle=shuffle
        )
    for name, value in (("y", y), ("sample_weight", sample_weight), ("batch_size", batch_size)):
        if value is not None:
            raise ValueError(f"{name} must not be given when x is a data set of batches")
    if isinstance(x, keras.utils.PyDataset):
        # Another process could not pass values to `on_batch`.
        use_multiprocessing = x.use_multiprocessing and on_batch is None
        return _PreprocessedPyDataset(prepare, x, use_multiprocessing=use_multiprocessing)
    return _PreprocessedIterable(prepare, x)


def is_arrays(x: Any) -> bool:
    """Return True for arrays, lists and dictionaries, and False for a data set of batches."""
    return isinstance(x, dict | list | tuple) or hasattr(x, "shape")


class _PreprocessedArrays(keras.utils.PyDataset):
    """Batches of arrays in memory."""

    def __init__(
        self, prepare: Prepare, samples: tuple[Any, ...], *, batch_size: int, shuffle: bool
    ) -> None:
        super().__init__()
        self._prepare = prepare
        self._samples = samples
        self._batch_size = batch_size
        self._shuffle = shuffle
        count = count_samples(samples[0])
        _check_counts(samples, count)
        self._order = np.arange(count)

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> Any:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._prepare(index, tuple(_take(part, rows) for part in self._samples))

    def on_epoch_begin(self) -> None:
        """Shuffle with NumPy's global generator, which `keras.utils.set_random_seed` seeds."""
        if self._shuffle:
            np.random.shuffle(self._order)


class _PreprocessedPyDataset(keras.utils.PyDataset):
    """Batches of another `PyDataset`."""

    def __init__(
        self, prepare: Prepare, batches: keras.utils.PyDataset, *, use_multiprocessing: bool
    ) -> None:
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self._prepare = prepare
        self._batches = batches

    @property
    def num_batches(self) -> int | None:
        """Number of batches per epoch."""
        return self._batches.num_batches

    def __getitem__(self, index: int) -> Any:
        return self._prepare(index, self._batches[index])

    def on_epoch_begin(self) -> None:
        """Forward the event."""
        self._batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Forward the event."""
        self._batches.on_epoch_end()


class _PreprocessedIterable(GeneratorDataAdapter):
    """Batches of an iterable in its order, restarted at each epoch if possible.

    Keras' adapter takes the first batches when it is created, and their shapes are those of
    TensorFlow's program.
    """

    def __init__(self, prepare: Prepare, batches: Any) -> None:
        self._prepare = prepare
        self._batches = batches
        self._rest = self._iterate(batches)
        self._is_consumed = False
        super().__init__(self._rest)
        self.generator = self._start_epoch

    @property
    def num_batches(self) -> int | None:
        """Number of batches per epoch, or `None` if the iterable has no length."""
        try:
            return len(self._batches)
        except TypeError:
            return None

    def _start_epoch(self) -> Iterator[Any]:
        if iter(self._batches) is not self._batches:
            return self._iterate(self._batches)
        if self._is_consumed:
            raise ValueError(
                "an iterator or generator gives its batches once. For several epochs, pass "
                "steps_per_epoch or validation_steps, or an iterable that can restart"
            )
        return self._consume()

    def _consume(self) -> Iterator[Any]:
        yield from self._first_batches
        self._is_consumed = True
        yield from self._rest

    def _iterate(self, batches: Any) -> Iterator[Any]:
        for index, batch in enumerate(batches):
            prepared = self._prepare(index, keras.tree.map_structure(_to_numpy, batch))
            yield prepared if isinstance(prepared, tuple) else (prepared,)


def count_samples(x: Any) -> int:
    """Return the number of images in raw inputs.

    Raises:
        ValueError: If there is none.
    """
    images = x["images"] if isinstance(x, dict) else x
    if not len(images):
        raise ValueError("expected at least one image, got none")
    return len(images)


def _check_counts(samples: tuple[Any, ...], count: int) -> None:
    for part in samples:
        values = part.values() if isinstance(part, dict) else (part,)
        for value in values:
            if value is not None and len(value) != count:
                raise ValueError(f"expected {count} samples, as many as images, got {len(value)}")


def _take(part: Any, rows: np.ndarray) -> Any:
    if part is None:
        return None
    if isinstance(part, dict):
        return {name: _take(value, rows) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [part[row] for row in rows]
    return np.asarray(part)[rows]


def _to_numpy(value: Any) -> Any:
    value = value.cpu() if hasattr(value, "cpu") and not isinstance(value, np.ndarray) else value
    return value.numpy() if hasattr(value, "numpy") else value
