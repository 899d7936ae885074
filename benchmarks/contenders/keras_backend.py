"""What a Keras backend computes with, and waiting for what it computes."""

from typing import Any

from benchmarks.contenders.contender import Setting
from benchmarks.contenders.graphics_card import require_card


def set_up_backend(setting: Setting) -> None:
    """Lets the backend in use compute with the threads of a setting, and on its device.

    JAX and OpenVINO take as many threads as the process may use, which `benchmarks.worker` limits.
    """
    import keras

    threads = setting.threads
    if setting.device != "cpu":
        require_card(keras.backend.backend())
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
