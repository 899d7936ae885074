"""SAM checkpoints, on disk or on a hub, as configs and arrays, and back; no Keras models."""

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.builtin_presets import PresetInfo, builtin_presets
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.convert_checkpoint import Conversion, convert_checkpoint
from keras_sam.checkpoints.fold_batch_norms import fold_batch_norms
from keras_sam.checkpoints.inspect_checkpoint import Inspection, inspect_checkpoint
from keras_sam.checkpoints.keras_hub.preset import write_keras_hub
from keras_sam.checkpoints.lazy_arrays import LazyArrays
from keras_sam.checkpoints.meta.checkpoint import write_meta
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.registry import CHECKPOINT_FORMATS, CheckpointFormat
from keras_sam.checkpoints.resize_position_embeddings import resize_position_embeddings
from keras_sam.checkpoints.resolve_preset import resolve_preset
from keras_sam.checkpoints.transformers.model import write_transformers
from keras_sam.errors import CheckpointError

__all__ = [
    "CHECKPOINT_FORMATS",
    "Checkpoint",
    "CheckpointError",
    "CheckpointFormat",
    "Conversion",
    "Inspection",
    "LazyArrays",
    "PresetInfo",
    "builtin_presets",
    "convert_checkpoint",
    "expected_shapes",
    "fold_batch_norms",
    "inspect_checkpoint",
    "read_checkpoint",
    "resize_position_embeddings",
    "resolve_preset",
    "write_keras_hub",
    "write_meta",
    "write_transformers",
]
