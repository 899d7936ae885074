"""`ImageEmbedding`: an encoded image, to keep and to prompt later."""

import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.files.safetensors_file import load_safetensors, save_safetensors
from keras_sam.images.read_image import MAX_PIXELS
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import Preprocessing
from keras_sam.types import Size, is_size

FORMAT = "keras_sam.ImageEmbedding"


@dataclass(frozen=True)
class ImageEmbedding:
    """The output of an image encoder for one image.

    Attributes:
        arrays: Named arrays: those of the model's `embedding_names`, float32 with batch axis 1,
            and whatever the mask refiner keeps of the image.
        original_size: `(height, width)` of the image.
        image_size: `(height, width)` of the model frame.
        fingerprint: Fingerprint of the image encoder.
        preprocessing: Preparation of the image.
    """

    arrays: Mapping[str, np.ndarray] = field(repr=False)
    original_size: Size
    image_size: Size
    fingerprint: str
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file. It is replaced only when the new one is complete."""
        metadata = {
            "original_size": self.original_size,
            "image_size": self.image_size,
            "fingerprint": self.fingerprint,
            "preprocessing": asdict(self.preprocessing),
        }
        save_safetensors(path, FORMAT, self.arrays, metadata)

    @classmethod
    def load(cls, path: str | Path) -> "ImageEmbedding":
        """Read the output of `save`.

        Raises:
            FileNotFoundError: If the file is missing.
            ValueError: If the file is damaged or contains something else.
        """
        return load_safetensors(path, FORMAT, _parse, description="an image embedding")


def check_embedding(embedding: ImageEmbedding, model: SAMImageSegmenter) -> ImageTransform:
    """Check that an embedding fits a model, and return the transform of its image.

    Raises:
        ValueError: If another model made the embedding, or the image was prepared differently.
    """
    image_size = tuple(model.backbone.image_shape[:2])
    expected = {name: (1, *shape) for name, shape in model.backbone.embedding_shapes.items()}
    found = {name: embedding.arrays[name].shape for name in expected if name in embedding.arrays}
    if embedding.image_size != image_size or found != expected:
        raise ValueError(
            f"the embedding has the arrays {found} of images {embedding.image_size}; "
            f"this model needs {expected} of {image_size}"
        )
    if embedding.fingerprint != model.encoder_fingerprint():
        raise ValueError("the embedding was made by another model's image encoder")
    transform = model.image_transform(embedding.original_size)
    if transform.preprocessing != embedding.preprocessing:
        raise ValueError(
            f"the embedding's image was prepared with {embedding.preprocessing}; this model uses "
            f"{transform.preprocessing}"
        )
    return transform


def _parse(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> ImageEmbedding:
    sizes = {name: _check_size(name, metadata[name]) for name in ("original_size", "image_size")}
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.uint8) or not np.isfinite(array).all():
            raise ValueError(
                f"the array {name} of an image embedding must contain finite float32 values or "
                f"uint8 pixels, got {array.dtype} {array.shape}"
            )
    return ImageEmbedding(
        arrays=arrays,
        fingerprint=str(metadata["fingerprint"]),
        preprocessing=Preprocessing(**metadata["preprocessing"]),
        **sizes,
    )


def _check_size(name: str, size: Any) -> Size:
    """Check a size from a file. Masks of the original size are allocated later."""
    if not is_size(size) or size[0] * size[1] > MAX_PIXELS:
        raise ValueError(
            f"{name} of an image embedding must be (height, width) of at most {MAX_PIXELS} "
            f"pixels, got {reprlib.repr(size)}"
        )
    return size[0], size[1]
