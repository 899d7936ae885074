"""`weights_hash`: an identifier of a model's config-independent content, its weights."""

import hashlib

import keras
import numpy as np

from keras_sam.models.weight_names import weights_by_name


def weights_hash(model: keras.layers.Layer, *, samples_per_weight: int | None = None) -> str:
    """Hash the names, shapes and values of a model's weights.

    Args:
        model: Built model or layer.
        samples_per_weight: Number of evenly spaced values to hash per weight. Hashes every value
            if `None`; a few hundred are enough to tell trained models apart.

    Returns:
        SHA-256 as 64 hexadecimal digits. Equal weights give the same hash on every backend.
    """
    digest = hashlib.sha256()
    for name, variable in sorted(weights_by_name(model).items()):
        digest.update(f"{name} {tuple(variable.shape)} {variable.dtype}".encode())
        values = keras.ops.convert_to_numpy(variable.value).ravel()
        step = 1 if samples_per_weight is None else max(1, values.size // samples_per_weight)
        digest.update(np.ascontiguousarray(values[::step], np.float32).tobytes())
    return digest.hexdigest()
