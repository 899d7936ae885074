"""`backend_is_on_cpu`: what the backend in use computes on."""

import keras


def backend_is_on_cpu() -> bool:
    """Whether JAX, TensorFlow or OpenVINO computes on processors; PyTorch's tensors tell theirs."""
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.config.list_logical_devices("GPU")
    return True
