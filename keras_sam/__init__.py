"""The Segment Anything Model for Keras 3.

Names are imported at first use, so that the command line can choose a backend before Keras is
imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_sam import (
        annotations,
        batch,
        drawing,
        engines,
        errors,
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
    from keras_sam.annotations import open_dataset
    from keras_sam.drawing import draw_overlay
    from keras_sam.images import read_image
    from keras_sam.models import SAMImageSegmenter
    from keras_sam.predict import (
        GeneratorConfig,
        ImageEmbedding,
        MultiScalePredictor,
        SAMMaskGenerator,
        SAMPredictor,
        TiledMaskGenerator,
    )

__version__ = "0.2.0"

FOLDER_OF_NAME = {
    "GeneratorConfig": "predict",
    "ImageEmbedding": "predict",
    "MultiScalePredictor": "predict",
    "SAMImageSegmenter": "models",
    "SAMMaskGenerator": "predict",
    "SAMPredictor": "predict",
    "TiledMaskGenerator": "predict",
    "draw_overlay": "drawing",
    "open_dataset": "annotations",
    "read_image": "images",
}

__all__ = [
    "GeneratorConfig",
    "ImageEmbedding",
    "MultiScalePredictor",
    "SAMImageSegmenter",
    "SAMMaskGenerator",
    "SAMPredictor",
    "TiledMaskGenerator",
    "__version__",
    "annotations",
    "batch",
    "draw_overlay",
    "drawing",
    "engines",
    "errors",
    "evaluate",
    "images",
    "layers",
    "losses",
    "masks",
    "models",
    "open_dataset",
    "predict",
    "read_image",
    "train",
    "transforms",
]


def __getattr__(name: str) -> Any:
    if name in FOLDER_OF_NAME:
        return getattr(import_module(f"keras_sam.{FOLDER_OF_NAME[name]}"), name)
    if name in __all__:
        return import_module(f"keras_sam.{name}")
    raise AttributeError(f"module 'keras_sam' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
