"""`write_model`: the same weights in the format of each implementation."""

from pathlib import Path

from benchmarks.implementations import ModelFiles
from benchmarks.random_checkpoint import PRESETS, TRAINED, random_checkpoint
from keras_sam.checkpoints import (
    CHECKPOINT_FORMATS,
    CheckpointError,
    convert_checkpoint,
    read_checkpoint,
)


def write_model(
    size: str, directory: Path, *, image_size: int | None = None, with_meta: bool = False
) -> ModelFiles:
    """Write the files of a model. Files of an earlier run are used again.

    Args:
        size: One of `random_checkpoint.SIZES`.
        directory: Directory of all models.
        image_size: Side of the images in pixels. Defaults to that of the model. Ignored for the
            trained model.
        with_meta: If True, the file for Meta's code is written too, if it has such a model.
            Checkouts may need it.
    """
    if size == TRAINED:
        checkpoint = read_checkpoint(PRESETS[size], load_weights=False)
    else:
        checkpoint = random_checkpoint(size, image_size)
    side = checkpoint.config["image_encoder"]["config"]["image_shape"][0]
    files = ModelFiles((directory / f"{size}-{side}").resolve(), side)
    files.directory.mkdir(parents=True, exist_ok=True)
    paths = {"transformers": files.transformers, "keras": files.keras}
    if with_meta:
        paths["meta"] = files.meta
    for name, path in paths.items():
        if path.exists():
            continue
        try:
            if size == TRAINED:
                convert_checkpoint(PRESETS[size], path, to=name, dtype="float32")
            else:
                CHECKPOINT_FORMATS[name].write(path, checkpoint, dtype="float32")
        except CheckpointError:
            if name != "meta":  # Meta's code does not have every model
                raise
    return files
