"""`write_meta`: a checkpoint as one file with Meta's tensor names."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.architectures.vit_det import is_global
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.meta.config import meta_config
from keras_sam.checkpoints.meta.read_meta import PICKLED
from keras_sam.checkpoints.meta.tensor_names import meta_name
from keras_sam.checkpoints.torch_layout import to_torch_layout, torch_shape
from keras_sam.checkpoints.write_safetensors import write_safetensors

SAFETENSORS_SUFFIX = ".safetensors"


def write_meta(file: str | Path, checkpoint: Checkpoint, *, dtype: str) -> None:
    """Writes a file that Meta's code reads, `.pth`, or the same tensors as `.safetensors`.

    Such a file has no config: a model whose shapes would be read as another one is refused.

    Args:
        file: where it goes, `.safetensors` or `.pth`; `.pth` needs PyTorch.
        checkpoint: of a `SAMBackbone`, with all its weights.
        dtype: "float32", "float16" or "bfloat16", of the file.

    Raises:
        CheckpointError: if the file exists or has another ending, or Meta's code has no such
            model.
    """
    file = Path(file)
    if file.suffix not in (SAFETENSORS_SUFFIX, *PICKLED):
        raise CheckpointError(f"'{file}' must end in {SAFETENSORS_SUFFIX} or {PICKLED[0]}")
    if file.exists():
        raise CheckpointError(f"'{file}' exists; choose another name")
    if checkpoint.class_name != "SAMBackbone":
        raise CheckpointError(
            f"Meta's code has no checkpoint of a lone {checkpoint.class_name}; expected a "
            "SAMBackbone"
        )
    shapes = expected_shapes(checkpoint.class_name, checkpoint.config)
    names = {meta_name(name): name for name in shapes}
    tensors = {there: torch_shape(here, shapes[here]) for there, here in names.items()}
    _check_told_by_shapes(checkpoint, tensors)

    def read(there: str) -> np.ndarray:
        return to_torch_layout(names[there], checkpoint.arrays[names[there]])

    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == SAFETENSORS_SUFFIX:
        write_safetensors(file, tensors, read, dtype=dtype, metadata={"format": "pt"})
    else:
        _write_pickled(file, {there: read(there) for there in tensors}, dtype)


def _check_told_by_shapes(checkpoint: Checkpoint, tensors: Mapping[str, tuple[int, ...]]) -> None:
    """Who reads the file knows the shapes alone: they must tell this very model."""
    told = meta_config(tensors, source=checkpoint.source)
    wrong = []
    for part in ("image_encoder", "prompt_encoder", "mask_decoder"):
        ours, theirs = checkpoint.config[part]["config"], told[part]["config"]
        if checkpoint.config[part]["class_name"] == "ViTDetBackbone":
            ours = _with_effective_attention(ours)
        wrong += [
            f"{name} {ours[name]} (Meta's code: {theirs[name]})"
            for name in theirs
            if name not in ("name", "trainable", "dtype") and ours[name] != theirs[name]
        ]
    if wrong:
        raise CheckpointError(
            f"Meta's code cannot hold '{checkpoint.source}': it has {'; '.join(wrong)}"
        )


def _with_effective_attention(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """Without indices of blocks that are not there, or a window that no block has."""
    whole = [index for index in range(encoder["num_layers"]) if is_global(encoder, index)]
    window = encoder["window_size"] if len(whole) < encoder["num_layers"] else 0
    return {**encoder, "global_attention_layer_indices": whole, "window_size": window}


def _write_pickled(file: Path, arrays: Mapping[str, np.ndarray], dtype: str) -> None:
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(
            f"writing '{file}' needs PyTorch (pip install torch); {SAFETENSORS_SUFFIX} does not"
        ) from error
    tensors = {
        name: torch.from_numpy(array.astype("float32")).to(getattr(torch, dtype))
        for name, array in arrays.items()
    }
    part = file.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as opened:
            torch.save(tensors, opened)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
