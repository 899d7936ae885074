"""The threads of Keras' backends, and waiting for what they compute."""

from typing import Any


def set_threads(threads: int) -> None:
    """Lets the backend in use compute with so many.

    JAX and OpenVINO take as many as the process may use, which `benchmarks.worker` limits.
    """
    import keras

    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(threads)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def wait_for(result: Any) -> Any:
    """The result, once it is there: JAX and graphics cards compute behind one's back."""
    if hasattr(result, "block_until_ready"):
        return result.block_until_ready()
    if getattr(getattr(result, "device", None), "type", "") == "cuda":
        import torch

        torch.cuda.synchronize()
    return result
