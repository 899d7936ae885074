"""The Segment Anything Model for Keras 3.

Names are imported when they are first used, so that the command line can choose a backend
before Keras starts.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_sam import (
        annotations,
        batch,
        drawing,
        engines,
        evaluate,
        images,
        layers,
        losses,
        masks,
        models,
        predict,
        train,
        transforms,
    )
    from keras_sam.predict import (
        ImageEmbedding,
        SAMMaskGenerator,
        SAMPredictor,
        TiledMaskGenerator,
    )

__all__ = [
    "ImageEmbedding",
    "SAMMaskGenerator",
    "SAMPredictor",
    "TiledMaskGenerator",
    "annotations",
    "batch",
    "drawing",
    "engines",
    "evaluate",
    "images",
    "layers",
    "losses",
    "masks",
    "models",
    "predict",
    "train",
    "transforms",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'keras_sam' has no attribute '{name}'")
    if name[0].islower():
        return import_module(f"keras_sam.{name}")
    return getattr(import_module("keras_sam.predict"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
