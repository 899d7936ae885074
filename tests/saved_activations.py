"""`bytes_saved_by_torch`: memory that PyTorch keeps for the gradients of a function."""

from collections.abc import Callable
from typing import Any


def bytes_saved_by_torch(function: Callable[[], Any]) -> int:
    """Call a function, and return the bytes of the distinct arrays that it saves for gradients.

    Arrays within `keras.remat` are not saved, so they are not counted.
    """
    import torch

    sizes: dict[int, int] = {}
    kept = []  # so that no address is used twice

    def pack(tensor: Any) -> Any:
        kept.append(tensor)
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function()
    return sum(sizes.values())
