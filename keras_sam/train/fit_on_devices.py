"""`fit_on_devices`: trains a model on several devices, each with its part of every batch."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sam.models.model_copy import build_model, copy_values, describe_model, seed_states
from keras_sam.models.prompt_trained_model import PromptTrainedModel
from keras_sam.train.batch_part import BatchPart
from keras_sam.train.embedding_cache import CachedBatches
from keras_sam.train.mask_batches import MaskBatches
from keras_sam.train.torch_processes import count_torch_devices, fit_in_processes, replica_seed


def fit_on_devices(
    model: PromptTrainedModel,
    batches: CachedBatches | MaskBatches,
    *,
    devices: int = 1,
    epochs: int = 1,
    initial_epoch: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: Any = "auto",
) -> keras.callbacks.History:
    """Train a compiled model on the first devices of this machine.

    Every batch is divided among the devices, and gradients are averaged over the whole batch, so
    that the number of devices does not change the result. Only the simulated prompts differ with
    TensorFlow and torch.

    With JAX, `keras.distribution.DataParallel` is used. With TensorFlow, it is
    `tf.distribute.MirroredStrategy`. Both train a copy of the model, whose weights are copied to
    the model before the callbacks at the end of each epoch. With torch, `DistributedDataParallel`
    is used. Each further device gets a process, which reads its part of the batches. Scripts then
    need `if __name__ == "__main__":`, and data sets must be possible to pickle.

    Args:
        model: Compiled model.
        batches: Batches of all devices.
        devices: Number of devices. 1 is the same as `model.fit`. Without accelerators, the
            devices are those of the CPU: with torch, its cores.
        epochs: See `keras.Model.fit`.
        initial_epoch: See `keras.Model.fit`.
        callbacks: Callbacks, called in this process only. They must use `self.model`.
        verbose: See `keras.Model.fit`.

    Returns:
        The history of `keras.Model.fit`.

    Raises:
        ValueError: If there are fewer devices, or the batch size is not a multiple of `devices`.
        RuntimeError: If training fails in another process.
    """
    arguments = {"epochs": epochs, "initial_epoch": initial_epoch, "verbose": verbose}
    check_devices(devices)
    if devices == 1:
        return model.fit(batches, shuffle=False, callbacks=list(callbacks), **arguments)
    BatchPart(devices).check(batches.batch_size)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    if keras.backend.backend() == "torch":
        return fit_in_processes(model, batches, devices, callbacks, **arguments)
    scope_of = {"jax": _jax_scope, "tensorflow": _tensorflow_scope}
    with scope_of[keras.backend.backend()](devices):
        copy = build_model(describe_model(model))
        copy_values(model, copy)
        if keras.backend.backend() == "tensorflow":
            copy.jit_compile = False  # Keras does so too, for models compiled in a strategy's scope
            _add_up_gradients_first(copy.optimizer)
        try:
            return copy.fit(
                batches.take_part(BatchPart(devices)),
                shuffle=False,  # batches are random already, and repeatable
                callbacks=[_CopyWeights(model), *callbacks, _SeedReplicas()],
                **arguments,
            )
        finally:
            copy_values(copy, model)


def check_devices(devices: int) -> None:
    """Check that this machine has a number of devices.

    Raises:
        ValueError: If there are fewer, or the number is below 1.
    """
    if devices < 1:
        raise ValueError(f"devices must be at least 1, got {devices}")
    count = count_devices()
    if devices > count:
        raise ValueError(
            f"the {keras.backend.backend()} backend has {count} "
            f"device{'s' if count > 1 else ''} here, got devices={devices}"
        )


def count_devices() -> int:
    """Return the number of devices for training: accelerators, or those of the CPU without."""
    if keras.backend.backend() == "torch":
        return count_torch_devices()
    return len(keras.distribution.list_devices())


def _jax_scope(devices: int) -> Any:
    names = keras.distribution.list_devices()[:devices]
    return keras.distribution.DataParallel(devices=names).scope()


def _tensorflow_scope(devices: int) -> Any:
    return _mirrored_strategy(devices).scope()


@functools.cache  # the collective operations of a second strategy would have the same keys
def _mirrored_strategy(devices: int) -> Any:
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(keras.distribution.list_devices()[:devices])


def _add_up_gradients_first(optimizer: Any) -> None:
    """Let an optimizer of TensorFlow add up the gradients of replicas before all else.

    Keras 3.15 clips the gradients of each replica, and adds them up afterwards.
    """
    import tensorflow as tf

    apply = optimizer.apply
    inner_optimizer = getattr(optimizer, "inner_optimizer", optimizer)

    def add_up_and_apply(grads: Any, trainable_variables: Any = None) -> None:
        context = tf.distribute.get_replica_context()
        present = [grad for grad in grads if grad is not None]
        sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
        apply([None if grad is None else next(sums) for grad in grads], trainable_variables)

    optimizer.apply = add_up_and_apply
    inner_optimizer._all_reduce_sum_gradients = list


class _CopyWeights(keras.callbacks.Callback):
    """Copies the weights of the trained copy to the model at the end of each epoch."""

    def __init__(self, target: keras.Model) -> None:
        super().__init__()
        self._target = target

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        copy_values(self.model, self._target)


class _SeedReplicas(keras.callbacks.Callback):
    """Gives each replica of `tf.distribute` its own random numbers, from those of the first."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch or keras.backend.backend() != "tensorflow":
            return
        for variable in seed_states(self.model):
            seed = np.array(ops.convert_to_numpy(variable))
            for replica, value in enumerate(_values_of_replicas(self.model, variable)):
                value.assign(replica_seed(seed, replica))


def _values_of_replicas(model: keras.Model, variable: keras.Variable) -> Iterator[Any]:
    yield from model.distribute_strategy.experimental_local_results(variable.value)
