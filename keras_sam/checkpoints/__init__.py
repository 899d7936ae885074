"""Checkpoints on disk and on hubs, as configs and arrays; and back. No Keras model."""

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.builtin_presets import PresetInfo, builtin_presets
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.convert_checkpoint import Conversion, convert_checkpoint
from keras_sam.checkpoints.fold_batch_norms import fold_batch_norms
from keras_sam.checkpoints.inspect_checkpoint import Inspection, inspect_checkpoint
from keras_sam.checkpoints.keras_hub.write_preset import write_keras_hub
from keras_sam.checkpoints.preprocessing import describe_preprocessing, parse_preprocessing
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.resize_position_embeddings import resize_position_embeddings
from keras_sam.checkpoints.resolve_preset import resolve_preset
from keras_sam.checkpoints.thresholds import parse_thresholds
from keras_sam.checkpoints.transformers.read_transformers import read_transformers

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Conversion",
    "Inspection",
    "PresetInfo",
    "builtin_presets",
    "convert_checkpoint",
    "describe_preprocessing",
    "expected_shapes",
    "fold_batch_norms",
    "inspect_checkpoint",
    "parse_preprocessing",
    "parse_thresholds",
    "read_checkpoint",
    "read_transformers",
    "resize_position_embeddings",
    "resolve_preset",
    "write_keras_hub",
]
