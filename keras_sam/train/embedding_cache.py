"""`cache_embeddings`, `CachedBatches`: encode images once, and train the decoder many times."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.annotations.labeled_dataset import LabeledDataset, LabeledImage
from keras_sam.files.safetensors_file import load_safetensors, save_safetensors
from keras_sam.masks.coco_rle import coco_rle_to_mask, mask_to_coco_rle
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.train.batch_part import DividedBatches
from keras_sam.train.mask_batches import Augment, apply_augment

FORMAT = "keras-sam cached embedding 2"


@dataclass(frozen=True)
class CachedEmbedding:
    """An encoded image with its masks.

    Attributes:
        name: Name of the image.
        arrays: Arrays of the image embedding, float32, without a batch axis.
        masks: Masks `(P, H, W)` in the model frame, uint8, 0 or 1.
        boxes: Boxes `(P, 2, 2)` of the masks in the model frame, float32.
    """

    name: str
    arrays: dict[str, np.ndarray]
    masks: np.ndarray
    boxes: np.ndarray


def cache_embeddings(
    segmenter: SAMImageSegmenter,
    dataset: LabeledDataset,
    folder: str | Path,
    *,
    views: int = 1,
    augment: Augment | None = None,
    seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
) -> list[list[Path]]:
    """Encode each image of a data set once per view, and write one file each.

    The first view is the image itself, the others are augmented. Files that exist and fit are
    kept, so that a stopped call resumes. Embeddings are stored in float16.

    Args:
        segmenter: Segmenter with a preprocessor, whose image encoder is not trained any more.
        dataset: Images with their masks.
        folder: Folder of the files.
        views: Number of views of each image.
        augment: Function for the other views, as in `MaskBatches`. A view depends only on the
            seed, its number and the name of the image.
        seed: Seed of the views.
        progress: Function called with the number of files completed and their total.

    Returns:
        Files of each image, by view.

    Raises:
        ValueError: If `views` is below 1, or above 1 without `augment`.
    """
    if views < 1 or (views > 1 and augment is None):
        raise ValueError(f"views must be 1, or more with augment, got {views}")
    fingerprint = segmenter.encoder_fingerprint()
    files: list[list[Path]] = []
    for index, image in enumerate(dataset.images):
        files.append([])
        for view in range(views):
            key = f"{fingerprint}\0{image.name}\0{view}\0{seed}\0{_name(augment) if view else ''}"
            path = Path(folder) / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(segmenter, image, path, augment if view else None, f"{seed}/{view}")
            files[-1].append(path)
            if progress is not None:
                progress(index * views + view + 1, len(dataset) * views)
    return files


def load_embedding(path: str | Path) -> CachedEmbedding:
    """Read a file that `cache_embeddings` wrote.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is damaged or contains something else.
    """

    def parse(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> CachedEmbedding:
        boxes = arrays.pop("boxes")
        masks = [coco_rle_to_mask(rle).astype(np.uint8) for rle in metadata["masks"]]
        size = tuple(metadata["image_size"])
        return CachedEmbedding(
            metadata["name"],
            {name: array.astype(np.float32) for name, array in arrays.items()},
            np.stack(masks) if masks else np.zeros((0, *size), np.uint8),
            boxes,
        )

    return load_safetensors(
        path, FORMAT, parse, required=["boxes"], description="a cached embedding"
    )


class CachedBatches(DividedBatches):
    """Batches of cached embeddings, to `fit` a segmenter without a preprocessor.

    Each epoch uses another view of each image, in another order, with other masks. What a batch
    contains depends only on the seed, the epoch and its index.

    Args:
        files: Output of `cache_embeddings`.
        batch_size: Images per batch.
        masks_per_image: Masks per image: a random choice if there are more, padded if there are
            fewer.
        seed: Seed of the order and of the choice of masks.
        **kwargs: Arguments of `keras.utils.PyDataset`, such as `workers`.

    Raises:
        ValueError: If there are no files.
    """

    def __init__(
        self,
        files: list[list[Path]],
        *,
        batch_size: int = 1,
        masks_per_image: int = 16,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(batch_size, **kwargs)
        if not files:
            raise ValueError("expected at least one image, got none")
        self.files = files
        self.masks_per_image = masks_per_image
        self.seed = seed

    def __len__(self) -> int:
        return math.ceil(len(self.files) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        rows, padding = self._part.rows(self._rows(index))
        samples = [self._sample(row) for row in rows]
        names = samples[0].arrays
        x = {name: np.stack([sample.arrays[name] for sample in samples]) for name in names}
        y = {
            "masks": np.stack([sample.masks for sample in samples]),
            "boxes": np.stack([sample.boxes for sample in samples]),
        }
        y["masks"][len(rows) - padding :] = 0
        return x, y

    def image_names(self, index: int) -> list[str]:
        """Return the names of the images of a batch, given its index in the epoch."""
        return [self._load(row).name for row in self._rows(index)]

    def _rows(self, index: int) -> list[int]:
        """Return the index of each image of a batch."""
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.files))
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        return [int(row) for row in rows]

    def _load(self, row: int) -> CachedEmbedding:
        views = self.files[row]
        return load_embedding(views[self.epoch % len(views)])

    def _sample(self, row: int) -> CachedEmbedding:
        sample = self._load(row)
        random = np.random.default_rng((self.seed, self.epoch, row))
        chosen = random.permutation(len(sample.masks))[: self.masks_per_image]
        masks = np.zeros((self.masks_per_image, *sample.masks.shape[1:]), np.uint8)
        boxes = np.zeros((self.masks_per_image, 2, 2), np.float32)
        masks[: len(chosen)], boxes[: len(chosen)] = sample.masks[chosen], sample.boxes[chosen]
        return CachedEmbedding(sample.name, sample.arrays, masks, boxes)


def _name(augment: Augment | None) -> str:
    """Return what identifies an augmentation: its settings, or the name of a function."""
    return getattr(augment, "__qualname__", None) or repr(augment)


def _write(
    segmenter: SAMImageSegmenter,
    image: LabeledImage,
    path: Path,
    augment: Augment | None,
    seed: str,
) -> None:
    pixels, masks = image.image(), image.masks()
    if augment is not None:
        digest = hashlib.sha256(f"{seed}/{image.name}".encode()).digest()
        rng = np.random.default_rng(list(digest))
        pixels, masks = apply_augment(augment, pixels, masks, rng, image.name)
    x, y = segmenter.preprocessor({"images": pixels}, {"masks": masks})
    embedding = segmenter.backbone.image_encoder.predict(x["images"], verbose=0)
    if not isinstance(embedding, dict):
        embedding = {"image_embeddings": embedding}
    arrays = {
        name: np.asarray(embedding[name][0], np.float16) for name in segmenter.embedding_names
    }
    count = len(masks)
    arrays["boxes"] = y["boxes"][0, :count]
    metadata = {
        "name": image.name,
        "masks": [mask_to_coco_rle(mask) for mask in y["masks"][0, :count]],
        "image_size": segmenter.backbone.image_shape[:2],
    }
    save_safetensors(path, FORMAT, arrays, metadata)
