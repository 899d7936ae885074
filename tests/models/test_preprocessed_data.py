"""Data sets of prepared batches, as Keras consumes them."""

import keras
import numpy as np
import pytest

from keras_sam.models.preprocessed_data import count_samples, is_arrays, preprocess_data

BACKEND = keras.backend.backend()
SAMPLES = np.arange(7, dtype="float32")[:, None]
# Keras warns when an iterable without a length ends.
unknown_length = pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")


def add_hundred(x, y=None, sample_weight=None):
    """Stands for a preprocessor."""
    return keras.utils.pack_x_y_sample_weight(np.asarray(x) + 100, y, sample_weight)


class Batches(keras.utils.PyDataset):
    """Batches of two samples, in an order that changes after each epoch."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.events: list[str] = []

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[np.ndarray]:
        return (SAMPLES[2 * index : 2 * index + 2],)

    def on_epoch_begin(self) -> None:
        self.events.append("begin")

    def on_epoch_end(self) -> None:
        self.events.append("end")


class Restartable:
    """An iterable without a length."""

    def __init__(self, with_targets: bool = False) -> None:
        self.with_targets = with_targets

    def __iter__(self):
        for index in range(4):
            x = SAMPLES[2 * index : 2 * index + 2]
            yield (x, x) if self.with_targets else x


class SizedRestartable(Restartable):
    """An iterable with a length."""

    def __len__(self) -> int:
        return 4


def tf_dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(SAMPLES).batch(2)


def tf_dataset_of_unknown_length():
    return tf_dataset().filter(lambda x: True)


def torch_data_loader():
    import torch

    return torch.utils.data.DataLoader(torch.tensor(SAMPLES), batch_size=2)


ITERABLES = [Restartable, SizedRestartable]
if BACKEND == "tensorflow":
    ITERABLES += [tf_dataset, tf_dataset_of_unknown_length]
if BACKEND == "torch":
    ITERABLES += [torch_data_loader]


@keras.saving.register_keras_serializable(package="test")
class Identity(keras.Model):
    """Returns its inputs, so that `predict` returns the samples that reach the model."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        self.built = True

    def call(self, inputs):
        return inputs * self.scale


def samples_of(data) -> list[float]:
    return Identity().predict(data, verbose=0)[:, 0].tolist()


@pytest.mark.parametrize("to_samples", [np.asarray, list, tuple, keras.ops.convert_to_tensor])
def test_arrays_are_split_into_prepared_batches(to_samples):
    data = preprocess_data(add_hundred, to_samples(SAMPLES), batch_size=3)
    assert [len(batch) for batch in data] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(list(data)), SAMPLES + 100)


def test_the_parts_of_a_sample_stay_together():
    x = {"images": SAMPLES, "points": list(SAMPLES * 2), "labels": None}
    data = preprocess_data(
        lambda *batch: batch, x, {"masks": SAMPLES * 3}, SAMPLES[:, 0], batch_size=2, shuffle=True
    )
    data.on_epoch_begin()
    for x_batch, y_batch, weight in data:
        np.testing.assert_array_equal(x_batch["points"], x_batch["images"] * 2)
        np.testing.assert_array_equal(y_batch["masks"], x_batch["images"] * 3)
        np.testing.assert_array_equal(weight, x_batch["images"][:, 0])
        assert x_batch["labels"] is None


def test_shuffling_is_a_new_seeded_permutation_at_each_epoch():
    def epochs(seed: int) -> list[list[float]]:
        np.random.seed(seed)
        data = preprocess_data(add_hundred, SAMPLES, batch_size=2, shuffle=True)
        result = []
        for _ in range(2):
            data.on_epoch_begin()
            result.append(np.concatenate(list(data))[:, 0].tolist())
        return result

    first, second = epochs(0)
    ordered = (SAMPLES[:, 0] + 100).tolist()
    assert sorted(first) == sorted(second) == ordered
    assert len({tuple(first), tuple(second), tuple(ordered)}) == 3
    assert epochs(0) == [first, second]
    assert epochs(1) != [first, second]


def test_arrays_keep_their_order_without_shuffling():
    data = preprocess_data(add_hundred, SAMPLES, batch_size=2)
    data.on_epoch_begin()
    assert samples_of(data) == (SAMPLES[:, 0] + 100).tolist()


def test_the_default_batch_size_is_that_of_keras():
    assert len(preprocess_data(add_hundred, np.zeros((65, 1)))) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_a_py_dataset_is_prepared_with_its_own_workers_and_events(workers):
    batches = Batches(workers=workers)
    data = preprocess_data(add_hundred, batches)
    assert data.workers == workers
    assert samples_of(data) == (SAMPLES[:, 0] + 100).tolist()
    assert batches.events[0] == "begin"
    assert batches.events[-1] == "end"


@unknown_length
@pytest.mark.parametrize("make", ITERABLES)
def test_every_batch_of_an_iterable_is_prepared_once(make):
    assert samples_of(preprocess_data(add_hundred, make())) == (SAMPLES[:, 0] + 100).tolist()


@unknown_length
def test_a_generator_loses_no_batch():
    data = preprocess_data(add_hundred, (batch for batch in Restartable()))
    assert samples_of(data) == (SAMPLES[:, 0] + 100).tolist()


@unknown_length
def test_the_index_of_each_batch_comes_with_its_raw_inputs():
    for x in (SAMPLES, Batches(workers=2), Restartable(), iter(Restartable())):
        found = {}
        size = 2 if x is SAMPLES else None
        data = preprocess_data(add_hundred, x, batch_size=size, on_batch=found.__setitem__)
        samples_of(data)
        in_order = np.concatenate([found[index] for index in sorted(found)])
        np.testing.assert_array_equal(in_order, SAMPLES)


def fit(data, **kwargs) -> list[int]:
    """Train a model and return the number of batches of each epoch."""
    counts: list[int] = []
    count = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: counts.append(0),
        on_train_batch_end=lambda batch, logs: counts.append(counts.pop() + 1),
    )
    model = Identity()
    model.compile(optimizer="sgd", loss="mse")
    model.fit(data, verbose=0, shuffle=False, callbacks=[count], **kwargs)
    return counts


@unknown_length
@pytest.mark.training
@pytest.mark.parametrize("iterable_class", [Restartable, SizedRestartable])
def test_an_iterable_restarts_at_each_epoch(iterable_class):
    data = preprocess_data(add_hundred, iterable_class(with_targets=True))
    assert fit(data, epochs=3) == [4, 4, 4]


@pytest.mark.training
def test_a_generator_lasts_several_epochs_with_steps_per_epoch():
    data = preprocess_data(add_hundred, iter(Restartable(with_targets=True)))
    assert fit(data, epochs=2, steps_per_epoch=2) == [2, 2]


@unknown_length
@pytest.mark.training
def test_a_second_epoch_of_a_generator_raises():
    data = preprocess_data(add_hundred, iter(Restartable(with_targets=True)))
    with pytest.raises(Exception, match="gives its batches once"):
        fit(data, epochs=2)


@pytest.mark.parametrize("argument", ["y", "sample_weight", "batch_size"])
def test_arguments_that_a_data_set_contains_are_refused(argument):
    for x in (Batches(), Restartable(), iter(Restartable())):
        with pytest.raises(ValueError, match=f"{argument} must not be given"):
            preprocess_data(add_hundred, x, **{argument: 2})


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (SAMPLES, SAMPLES[:3]),
        (SAMPLES, {"masks": [*SAMPLES, SAMPLES[0]]}),
        ({"images": SAMPLES, "points": SAMPLES[1:]}, None),
    ],
)
def test_parts_with_different_numbers_of_samples_are_refused(x, y):
    with pytest.raises(ValueError, match="expected 7 samples"):
        preprocess_data(add_hundred, x, y)


@pytest.mark.parametrize("x", [[], np.zeros((0, 8, 8, 3)), {"images": []}])
def test_inputs_without_images_are_refused(x):
    with pytest.raises(ValueError, match="at least one image"):
        preprocess_data(add_hundred, x)


def test_samples_are_counted_by_their_images():
    assert count_samples(SAMPLES) == 7
    assert count_samples({"images": list(SAMPLES), "points": None}) == 7


def test_arrays_are_told_from_data_sets():
    assert all(is_arrays(x) for x in (SAMPLES, [SAMPLES], {"images": SAMPLES}))
    assert not any(is_arrays(x) for x in (Batches(), Restartable(), iter(Restartable())))
