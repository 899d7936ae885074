"""`mean_over_replicas`: averages over the devices that train on parts of one batch.

With JAX, one program computes over the whole batch, and there is nothing to do. With TensorFlow,
`tf.distribute` runs one replica of the training step per device. With torch, each process is a
replica, and `use_replica` connects it with the others.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import keras
from keras import ops


class Replica(Protocol):
    """One process of several that train a model together."""

    def mean(self, value: Any) -> Any:
        """Average a value over the replicas, without a gradient."""

    def average_gradients(self, loss: Any) -> Any:
        """Return the loss. Its gradients will be averaged over the replicas."""


_replica: Replica | None = None


@contextmanager
def use_replica(replica: Replica) -> Iterator[None]:
    """Train as one of several replicas within the context."""
    global _replica
    _replica = replica
    try:
        yield
    finally:
        _replica = None


def mean_over_replicas(value: Any) -> Any:
    """Average a value over the replicas of a training step, without a gradient.

    All replicas must call it equally often.

    Args:
        value: Value of this replica, float32.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            return ops.stop_gradient(context.all_reduce(tf.distribute.ReduceOp.MEAN, value))
    return value if _replica is None else _replica.mean(value)


def average_gradients(loss: Any) -> Any:
    """Return the loss of this replica. Its gradients will be averaged over the replicas.

    With TensorFlow, the optimizer adds up the gradients of losses that
    `scale_loss_for_distribution` of Keras has scaled.
    """
    return loss if _replica is None else _replica.average_gradients(loss)
