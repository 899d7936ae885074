"""`TorchFile` and `write_torch_file`: files of PyTorch, read without running any code in them."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_sam.errors import CheckpointError
from keras_sam.files.open_atomically import open_atomically

# Before this version, a file could corrupt memory even with weights_only=True (CVE-2026-24747).
MIN_TORCH = (2, 10)
# Keys under which training scripts store the weights, next to other values.
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model")
PREFIXES = ("module.", "sam.", "model.")
BUFFERS = ("pixel_mean", "pixel_std")  # constants of the code, which some scripts save
MAX_NESTING = 3


class TorchFile:
    """A file of PyTorch with tensors by name, each converted when it is used.

    The tensors may be nested in a dictionary, and their names may have a prefix, as training
    scripts save them.

    Args:
        file: Path of the file.
        source: Name of the preset, for error messages.
        ignored: Function from all tensor names to the names of tensors to ignore. Those may be of
            any type.

    Attributes:
        shapes: Shape of each tensor by name, without prefixes and without ignored tensors.
        unused_tensors: Names of the ignored tensors.

    Raises:
        CheckpointError: If PyTorch is missing or too old, or if the file is damaged or contains
            anything but float tensors.
    """

    def __init__(
        self,
        file: Path,
        *,
        source: str,
        ignored: Callable[[Iterable[str]], set[str]] = lambda names: set(),
    ) -> None:
        self._tensors = _strip_prefix(_unwrap(_load(file, source), source))
        for name in BUFFERS:
            self._tensors.pop(name, None)
        self.unused_tensors = ignored(self._tensors)
        for name in self.unused_tensors:
            del self._tensors[name]
        _check_tensors(self._tensors, file.stat().st_size, source)
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    def read(self, name: str) -> np.ndarray:
        """Return one tensor as it is stored."""
        import torch

        tensor = self._tensors[name].detach()
        if tensor.dtype == torch.bfloat16:
            return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()


def write_torch_file(file: Path, arrays: Mapping[str, np.ndarray], *, dtype: str) -> None:
    """Write a file of PyTorch with tensors by name. It appears complete or not at all.

    Args:
        file: Path of the file. An old file is replaced.
        arrays: Tensors by name, of any float type.
        dtype: Type in the file: "float32", "float16" or "bfloat16".

    Raises:
        CheckpointError: If PyTorch is not installed.
        OSError: If the file cannot be written.
    """
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(
            f"writing '{file}' needs PyTorch; run pip install torch, or write a .safetensors file"
        ) from error
    tensors = {
        name: torch.from_numpy(array.astype("float32")).to(getattr(torch, dtype))
        for name, array in arrays.items()
    }
    with open_atomically(file) as opened:
        torch.save(tensors, opened)


def _load(file: Path, source: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(
            f"'{source}' is a file of PyTorch; run pip install torch, or convert the file to "
            "safetensors elsewhere"
        ) from error
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < MIN_TORCH:
        raise CheckpointError(
            f"reading '{source}' safely needs PyTorch {MIN_TORCH[0]}.{MIN_TORCH[1]} or later, "
            f"found {torch.__version__}"
        )
    if not file.is_file():
        raise CheckpointError(f"'{source}' is not a regular file")
    try:
        with file.open("rb") as opened:
            is_archive = opened.read(4) == b"PK\x03\x04"  # the older format cannot be mapped
        return torch.load(file, map_location="cpu", weights_only=True, mmap=is_archive)
    except Exception as error:  # a damaged pickle raises any exception
        reason = str(error).strip().split("\n", 1)[0][:200]
        raise CheckpointError(
            f"'{source}' is damaged or contains more than tensors ({type(error).__name__}: "
            f"{reason}); it was not read"
        ) from error


def _unwrap(contents: Any, source: str) -> dict[str, Any]:
    """Return the dictionary of tensors, which may be nested in others."""
    import torch

    for _ in range(MAX_NESTING):
        if not isinstance(contents, dict):
            break
        if contents and all(isinstance(value, torch.Tensor) for value in contents.values()):
            return {str(name): value for name, value in contents.items()}
        inner = next((contents[key] for key in WRAPPERS if key in contents), None)
        if inner is None:
            break
        contents = inner
    is_dict = isinstance(contents, dict)
    found = str(sorted(map(str, contents))[:8])[:200] if is_dict else type(contents).__name__
    raise CheckpointError(
        f"'{source}' contains {found}; expected tensors by name, or one of {', '.join(WRAPPERS)}"
    )


def _strip_prefix(tensors: dict[str, Any]) -> dict[str, Any]:
    """Remove what training scripts put before every name."""
    for _ in PREFIXES:
        for prefix in PREFIXES:
            if tensors and all(name.startswith(prefix) for name in tensors):
                tensors = {name.removeprefix(prefix): x for name, x in tensors.items()}
    return tensors


def _check_tensors(tensors: Mapping[str, Any], file_size: int, source: str) -> None:
    """Check types and sizes. A view of a tensor may declare far more than its file contains."""
    import torch

    total = 0
    for name, tensor in tensors.items():
        is_dense = tensor.layout == torch.strided and tensor.device.type == "cpu"
        if not is_dense or not tensor.is_floating_point() or not tensor.is_contiguous():
            raise CheckpointError(
                f"{name[:200]} of '{source}' has the type {tensor.dtype} or an unusual memory "
                "layout; expected contiguous floats"
            )
        total += tensor.nbytes
    if total > file_size:
        raise CheckpointError(
            f"'{source}' declares {total} bytes of tensors, but contains {file_size}"
        )
