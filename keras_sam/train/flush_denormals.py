"""`flush_denormals`: treat denormal numbers as zero, which makes training on a CPU faster."""

import keras


def flush_denormals() -> bool:
    """Make PyTorch treat numbers below 1e-38 as zero, in the whole process.

    CPUs compute many times slower with such denormal numbers, and small moments of gradients
    are denormal. JAX and TensorFlow flush them by default. Call this before other PyTorch code.

    Returns:
        True if the backend is PyTorch and the CPU supports the setting.
    """
    if keras.backend.backend() != "torch":
        return False
    import torch

    return bool(torch.set_flush_denormal(True))
