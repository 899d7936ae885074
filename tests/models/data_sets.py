"""Data sets of batches in every form that Keras accepts."""

from operator import itemgetter

import keras

BACKEND = keras.backend.backend()


class Batches(keras.utils.PyDataset):
    """Batches of two samples of given arrays."""

    def __init__(self, *parts, **kwargs) -> None:
        super().__init__(**kwargs)
        self.parts = parts

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int):
        rows = slice(2 * index, 2 * index + 2)
        return tuple(keras.tree.map_structure(lambda array: array[rows], self.parts))


class Restartable:
    """An iterable over the batches of a `PyDataset`."""

    def __init__(self, *parts) -> None:
        self.parts = parts

    def __iter__(self):
        return iter(Batches(*self.parts))


def generator(*parts):
    yield from Batches(*parts)


def tf_dataset(*parts):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(parts).batch(2)


def torch_data_loader(*parts):
    import torch

    rows = [keras.tree.map_structure(itemgetter(row), parts) for row in range(6)]
    return torch.utils.data.DataLoader(rows, batch_size=2)


DATA_SETS = [Batches, Restartable, generator]
if BACKEND == "tensorflow":
    DATA_SETS += [tf_dataset]
if BACKEND == "torch":
    DATA_SETS += [torch_data_loader]
