"""`backend_is_on_cpu`: the kind of device of the current backend."""

import keras


def backend_is_on_cpu() -> bool:
    """Whether JAX, TensorFlow or OpenVINO computes on a CPU.

    Always True with torch, whose tensors have a `device` of their own.
    """
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.config.list_logical_devices("GPU")
    return True
