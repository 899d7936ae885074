"""`flush_denormals`: numbers too small to matter do not slow a training down."""

import keras


def flush_denormals() -> bool:
    """Lets PyTorch take numbers below 1e-38 as 0, in the whole process; call it before all else.

    A processor computes with them many times slower, and moments of gradients that have become
    small are such numbers. JAX and TensorFlow do so by themselves.

    Returns:
        Whether PyTorch does so now.
    """
    if keras.backend.backend() != "torch":
        return False
    import torch

    return bool(torch.set_flush_denormal(True))
