"""`read_transformers`: a SAM model of transformers."""

from pathlib import Path

from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError


def read_transformers(
    directory: Path, *, load_weights: bool = True, source: str = ""
) -> Checkpoint:
    """Reads a directory of transformers whose `config.json` has `model_type` "sam"."""
    raise CheckpointError(f"'{source or directory}' is of transformers")
