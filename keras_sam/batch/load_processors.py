"""`load_processors`: the model of a batch, ready to process images."""

import hashlib
import json
from importlib.metadata import version

import keras

from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.image_processor import ImageProcessor
from keras_sam.batch.image_result import Provenance
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.weights_hash import weights_hash

HASH_LENGTH = 16


def load_processors(settings: BatchSettings, count: int = 1) -> list[ImageProcessor]:
    """Load a model and create processors that share it, one per thread.

    Args:
        settings: Options of the batch.
        count: Number of processors.

    Raises:
        ValueError: If the preset cannot be loaded.
    """
    model = SAMImageSegmenter.from_preset(settings.preset, dtype=settings.dtype)
    backend = keras.backend.backend()
    provenance = Provenance(
        preset=settings.preset,
        model_hash=model_hash(model),
        keras_sam=version("keras-sam"),
        keras=version("keras"),
        backend=backend,
        backend_version=version(backend),
        numpy=version("numpy"),
        pillow=version("pillow"),
    )
    first = ImageProcessor(model, settings, provenance=provenance)
    others = [
        ImageProcessor(model, settings, provenance=provenance, shared_with=first)
        for _ in range(1, count)
    ]
    return [first, *others]


def model_hash(model: SAMImageSegmenter) -> str:
    """Hash the image shape, dtype, inference config and every weight of a model.

    The hash does not depend on where the model was loaded from. It changes if a preset's
    directory is edited or its version tag is moved.

    Returns:
        First 16 hexadecimal digits of a SHA-256.
    """
    config = {
        "image_shape": list(model.backbone.image_shape),
        "dtype": model.backbone.dtype_policy.name,
        "inference_config": model.inference_config.to_dict(),
    }
    content = json.dumps(config, sort_keys=True) + weights_hash(model.backbone)
    return hashlib.sha256(content.encode()).hexdigest()[:HASH_LENGTH]
