"""`require_card`: no figure of a processor passes for one of a graphics card."""

from benchmarks.contenders.contender import UnsupportedError


def require_card(framework: str) -> None:
    """Refuses to go on where a framework would compute on the processor.

    Args:
        framework: "torch", "jax", "tensorflow" or "openvino".

    Raises:
        UnsupportedError: if it has no graphics card.
    """
    if not _has_card(framework):
        raise UnsupportedError(f"{framework} finds no graphics card")


def _has_card(framework: str) -> bool:
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
