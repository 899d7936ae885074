"""`load_processors`: the model of a batch, and what its results tell of it."""

import hashlib
import json
from importlib.metadata import version

import keras
import numpy as np

from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.image_processor import ImageProcessor
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.weight_names import weights_by_name

PACKAGES = {"keras_sam": "keras-sam", "keras": "keras", "numpy": "numpy", "pillow": "pillow"}


def load_processors(settings: BatchSettings, count: int = 1) -> list[ImageProcessor]:
    """Maskers that share one model, each for a thread of its own."""
    model = SAMImageSegmenter.from_preset(settings.preset, dtype=settings.dtype)
    backend = keras.backend.backend()
    facts = {
        "preset": settings.preset,
        "revision": model_revision(model),
        **{name: version(package) for name, package in PACKAGES.items()},
        "backend": backend,
        "backend_version": version(backend),
    }
    first = ImageProcessor(model, settings, facts=facts)
    engine = first.predictor.engine
    others = [ImageProcessor(model, settings, facts=facts, engine=engine) for _ in range(1, count)]
    return [first, *others]


def model_revision(model: SAMImageSegmenter) -> str:
    """A hash of what a model computes with: its image size, preprocessing and every weight.

    It is the same wherever the weights came from, and tells a moved tag or a changed directory.
    """
    about = [
        list(model.backbone.image_shape),
        model.preprocessing,
        model.backbone.dtype_policy.name,
    ]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, variable in sorted(weights_by_name(model.backbone).items()):
        values = keras.ops.convert_to_numpy(variable.value)
        digest.update(f"{name} {values.shape} {values.dtype}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]
