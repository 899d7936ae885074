"""`ImageEmbedding`: an encoded image, to be kept and prompted later."""

import hashlib
import reprlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_sam.files.safetensors_file import load_safetensors, save_safetensors
from keras_sam.images.read_image import MAX_PIXELS
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.weight_names import weights_by_name
from keras_sam.predict.frame_for_model import transform_for_model
from keras_sam.transforms.guided_filter import GuidedFilterRefiner
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import SAM, Preprocessing
from keras_sam.types import is_size

FORMAT = "keras_sam.ImageEmbedding"
SAMPLED_VALUES = 256


@dataclass(frozen=True)
class ImageEmbedding:
    """What the image encoder makes of an image.

    Attributes:
        embedding: `(1, G, G, D)` float32.
        original_size: `(height, width)` of the image.
        input_size: `(height, width)` of its content in the model frame.
        image_size: `(height, width)` of the model frame.
        fingerprint: of the image encoder that made it.
        preprocessing: how the image was prepared.
        outline_pixels: of `GuidedFilterRefiner`, where `preprocessing.outlines` is "image".
    """

    embedding: np.ndarray
    original_size: tuple[int, int]
    input_size: tuple[int, int]
    image_size: tuple[int, int]
    fingerprint: str
    preprocessing: Preprocessing = SAM
    outline_pixels: np.ndarray | None = None

    @property
    def guide(self) -> GuidedFilterRefiner | None:
        """What moves outlines to the image's edges, if something does."""
        if self.outline_pixels is None:
            return None
        return GuidedFilterRefiner(self.outline_pixels, self.original_size)

    def save(self, path: str | Path) -> None:
        """Writes a `.safetensors` file; an old one stays whole if that fails."""
        facts = {
            "original_size": self.original_size,
            "input_size": self.input_size,
            "image_size": self.image_size,
            "fingerprint": self.fingerprint,
            "preprocessing": asdict(self.preprocessing),
        }
        arrays = {"embedding": np.ascontiguousarray(self.embedding, np.float32)}
        if self.outline_pixels is not None:
            arrays["outline_pixels"] = np.ascontiguousarray(self.outline_pixels)
        save_safetensors(path, FORMAT, arrays, facts)

    @classmethod
    def load(cls, path: str | Path) -> "ImageEmbedding":
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: if the file is missing.
            ValueError: if it is damaged or something else.
        """
        names, optional = {"embedding"}, frozenset({"outline_pixels"})
        return load_safetensors(
            path, FORMAT, names, cls._parse, optional=optional, what="image embedding"
        )

    @classmethod
    def _parse(cls, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> "ImageEmbedding":
        sizes = {
            name: _check_size(name, facts[name])
            for name in ("original_size", "input_size", "image_size")
        }
        fingerprint = str(facts["fingerprint"])
        preprocessing = Preprocessing(**facts.get("preprocessing", {}))  # older files: SAM's
        embedding = arrays["embedding"]
        if embedding.ndim != 4 or embedding.dtype != np.float32 or not np.isfinite(embedding).all():
            raise ValueError(
                "an image embedding must hold finite float32 values of shape (1, G, G, D), got "
                f"{embedding.dtype} {embedding.shape}"
            )
        pixels = arrays.get("outline_pixels")
        if (pixels is not None) != (preprocessing.outlines == "image"):
            raise ValueError("an image embedding holds pixels where they guide outlines, else none")
        found = cls(
            embedding=embedding,
            fingerprint=fingerprint,
            preprocessing=preprocessing,
            outline_pixels=pixels,
            **sizes,
        )
        _ = found.guide  # checks the pixels
        return found


def _check_size(name: str, size: Any) -> tuple[int, int]:
    """A size that a picture may have: masks of the original's are made later."""
    if not is_size(size) or size[0] * size[1] > MAX_PIXELS:
        raise ValueError(
            f"{name} of an image embedding must be (height, width) of at most {MAX_PIXELS} "
            f"pixels, got {reprlib.repr(size)}"
        )
    return size[0], size[1]


def check_embedding(image: ImageEmbedding, model: SAMImageSegmenter) -> ImageTransform:
    """The way of an encoded image into a model, and of its masks back.

    Raises:
        ValueError: if the embedding is another model's, or its image was prepared otherwise.
    """
    backbone = model.backbone
    expected, image_size = (1, *backbone.image_embedding_shape), tuple(backbone.image_shape[:2])
    if image.image_size != image_size or image.embedding.shape != expected:
        raise ValueError(
            f"the embedding has shape {image.embedding.shape} of images {image.image_size}; "
            f"this model's has {expected} of {image_size}"
        )
    if image.fingerprint != encoder_fingerprint(model):
        raise ValueError("the embedding was made by another model's image encoder")
    frame = transform_for_model(model, image.original_size)
    if frame.preprocessing != image.preprocessing:
        raise ValueError(
            f"the embedding's image was prepared with {image.preprocessing}; this model has "
            f"{frame.preprocessing}"
        )
    if frame.input_size != image.input_size:
        raise ValueError(
            f"the embedding's input_size is {image.input_size}, expected {frame.input_size}"
        )
    expected_pixels = None
    if frame.preprocessing.outlines == "image":
        expected_pixels = (*frame.low_res_input_size(backbone.low_res_size), 3)
    found_pixels = None if image.outline_pixels is None else image.outline_pixels.shape
    if found_pixels != expected_pixels:
        raise ValueError(
            f"the embedding's outline_pixels have shape {found_pixels}, expected {expected_pixels}"
        )
    return frame


def encoder_fingerprint(model: SAMImageSegmenter) -> str:
    """A hash of the image encoder: names, shapes, and a sample of each weight's values."""
    encoder = model.backbone.image_encoder
    digest = hashlib.sha256(repr(tuple(encoder.image_shape)).encode())
    for name, variable in sorted(weights_by_name(encoder).items()):
        digest.update(f"{name} {tuple(variable.shape)} {variable.dtype}".encode())
        values = keras.ops.convert_to_numpy(variable.value).ravel()
        step = max(1, values.size // SAMPLED_VALUES)
        digest.update(np.ascontiguousarray(values[::step], np.float32).tobytes())
    return digest.hexdigest()
