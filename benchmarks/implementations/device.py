"""Threads and devices of the frameworks: `set_up_keras_backend`, `wait_for`, `require_gpu`."""

from typing import Any

from benchmarks.implementations.implementation import Settings, UnsupportedError


def set_up_keras_backend(settings: Settings) -> None:
    """Apply the threads and the device of some settings to the current Keras backend.

    JAX and OpenVINO use one thread per core of the process, which `benchmarks.worker` limits.

    Raises:
        UnsupportedError: If the settings need a GPU and the backend has none.
    """
    import keras

    backend, threads = keras.backend.backend(), settings.threads
    if settings.device != "cpu":
        require_gpu(backend)
    if backend == "torch":
        import torch

        torch.set_num_threads(threads)
    elif backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def wait_for(result: Any) -> Any:
    """Wait until a result is computed, and return it. JAX and GPUs compute asynchronously."""
    if hasattr(result, "block_until_ready"):
        return result.block_until_ready()
    if getattr(getattr(result, "device", None), "type", "") == "cuda":
        import torch

        torch.cuda.synchronize()
    return result


def require_gpu(framework: str) -> None:
    """Check that a framework computes on a GPU, so that no CPU time is reported as a GPU time.

    Args:
        framework: "torch", "jax", "tensorflow" or "openvino".

    Raises:
        UnsupportedError: If it has no GPU.
    """
    if not _has_gpu(framework):
        raise UnsupportedError(f"{framework} finds no GPU")


def _has_gpu(framework: str) -> bool:
    if framework == "torch":
        import torch

        return torch.cuda.is_available()
    if framework == "jax":
        import jax

        return jax.default_backend() == "gpu"
    if framework == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    return False
