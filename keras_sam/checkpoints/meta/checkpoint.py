"""`read_meta`: a SAM checkpoint of Meta, and of those who train with Meta's code."""

from pathlib import Path

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.architectures.tiny_vit_names import ignored_tensors
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.meta.config import meta_config
from keras_sam.checkpoints.meta.tensor_names import meta_name
from keras_sam.checkpoints.meta.torch_file import TorchFile
from keras_sam.checkpoints.safetensors_file import SafetensorsFile
from keras_sam.checkpoints.torch_layout import open_torch_arrays

PICKLED = (".pth", ".pt")
SUFFIXES = (*PICKLED, ".safetensors")


def read_meta(file: Path, *, load_weights: bool = True, source: str | None = None) -> Checkpoint:
    """Reads a file with Meta's tensor names; sizes and layers are told by the tensors' shapes.

    A file of MobileSAM or TinySAM has tensors that its model does not use, such as a classifier:
    these are left out, and told by `Checkpoint.unused_tensors`. Any other is an error.

    Args:
        file: `.pth` or `.pt`, which needs PyTorch, or `.safetensors`.
        load_weights: whether to read weights.
        source: what to call it in messages; the file if `None`.

    Raises:
        CheckpointError: if it is damaged or not such a model.
    """
    source = str(file) if source is None else source
    if file.suffix not in SUFFIXES:
        raise CheckpointError(
            f"'{source}' is a file of an unknown kind; supported are {', '.join(SUFFIXES)}"
        )
    kind = TorchFile if file.suffix in PICKLED else SafetensorsFile
    opened = kind(file, source=source, unused=ignored_tensors)
    unused_tensors = tuple(sorted(opened.unused_tensors))
    config = meta_config(opened.shapes, source=source)
    if not load_weights:
        return Checkpoint(
            "SAMBackbone", config, source=source, format="meta", unused_tensors=unused_tensors
        )
    shapes = expected_shapes("SAMBackbone", config)
    tensors = {name: meta_name(name) for name in shapes}
    places = dict.fromkeys(opened.shapes, opened)
    arrays = open_torch_arrays(tensors, places, shapes, source=source)
    return Checkpoint("SAMBackbone", config, arrays, None, source, "meta", tensors, unused_tensors)
