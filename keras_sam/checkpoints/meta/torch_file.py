"""`TorchFile`: tensors of a `.pth` file, read by PyTorch with pickles of code refused."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_sam.checkpoints.checkpoint import CheckpointError

OLDEST_TORCH = (2, 10)  # before it, a file could corrupt memory through the safe reader too
# Where training scripts keep the weights beside other things.
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model")
PREFIXES = ("module.", "sam.", "model.")
BUFFERS = ("pixel_mean", "pixel_std")  # constants of the code, saved by some


class TorchFile:
    """Tensors of one file, each converted when it is asked for.

    The weights may be wrapped in a dictionary and their names prefixed, as training scripts
    do.

    Args:
        file: of PyTorch.
        source: what to call it in messages.
        unused: of all names those of tensors to leave out, of any type.

    Attributes:
        shapes: name, without any prefix, to shape.
        unused_tensors: names that `unused` told.

    Raises:
        CheckpointError: if PyTorch is missing or too old, or the file is damaged, holds code, or
            holds anything but float tensors.
    """

    def __init__(
        self,
        file: Path,
        *,
        source: str,
        unused: Callable[[Iterable[str]], set[str]] = lambda names: set(),
    ) -> None:
        self._tensors = _without_prefix(_unwrapped(_load(file, source), source))
        for name in BUFFERS:
            self._tensors.pop(name, None)
        self.unused_tensors = unused(self._tensors)
        for name in self.unused_tensors:
            del self._tensors[name]
        self._check(file.stat().st_size, source)
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    def read(self, name: str) -> np.ndarray:
        """One tensor as it is stored."""
        import torch

        tensor = self._tensors[name].detach()
        if tensor.dtype == torch.bfloat16:
            return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()

    def _check(self, file_size: int, source: str) -> None:
        """A view may declare far more than its file holds."""
        total = 0
        for name, tensor in self._tensors.items():
            if not tensor.is_floating_point() or not tensor.is_contiguous():
                raise CheckpointError(
                    f"{name[:200]} of '{source}' is a {tensor.dtype} of odd layout; expected "
                    "contiguous floats"
                )
            total += tensor.nbytes
        if total > file_size:
            raise CheckpointError(
                f"'{source}' declares {total} bytes of tensors, but holds {file_size}"
            )


def _load(file: Path, source: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(
            f"'{source}' is a file of PyTorch; install it (pip install torch), or convert the "
            "file to safetensors elsewhere"
        ) from error
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < OLDEST_TORCH:
        raise CheckpointError(
            f"reading '{source}' safely needs PyTorch 2.10 or later, found {torch.__version__}"
        )
    if not file.is_file():
        raise CheckpointError(f"'{source}' is not a regular file")
    try:
        with file.open("rb") as opened:
            is_archive = opened.read(4) == b"PK\x03\x04"  # the older format cannot be mapped
        return torch.load(file, map_location="cpu", weights_only=True, mmap=is_archive)
    except Exception as error:  # a damaged pickle raises anything
        reason = str(error).strip().split("\n", 1)[0][:200]
        raise CheckpointError(
            f"'{source}' is damaged or holds more than tensors ({type(error).__name__}: {reason}); "
            "it was not read"
        ) from error


def _unwrapped(contents: Any, source: str) -> dict[str, Any]:
    """The dictionary of tensors, wherever it is kept."""
    import torch

    for _ in range(3):
        if not isinstance(contents, dict):
            break
        if contents and all(isinstance(value, torch.Tensor) for value in contents.values()):
            return {str(name): value for name, value in contents.items()}
        inner = next((contents[key] for key in WRAPPERS if key in contents), None)
        if inner is None:
            break
        contents = inner
    held = sorted(map(str, contents))[:8] if isinstance(contents, dict) else type(contents).__name__
    raise CheckpointError(
        f"'{source}' holds {held}; expected tensors by name, or one of {', '.join(WRAPPERS)}"
    )


def _without_prefix(tensors: dict[str, Any]) -> dict[str, Any]:
    """Takes off what a wrapper put before every name."""
    for _ in PREFIXES:
        for prefix in PREFIXES:
            if tensors and all(name.startswith(prefix) for name in tensors):
                tensors = {name.removeprefix(prefix): x for name, x in tensors.items()}
    return tensors
