"""`MaskBatches`: random batches of images and masks, for `SAMImageSegmenter.fit`."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_sam.annotations.labeled_dataset import LabeledDataset, decode_masks
from keras_sam.train.batch_part import DividedBatches

CANDIDATES = 3  # masks that are decoded for each one that is used, since crops drop some
Augment = Callable[..., tuple[Any, Any]]


class MaskBatches(DividedBatches):
    """Batches `(images, masks)` of raw samples. The preprocessor of a model prepares them.

    A batch depends only on the seed, the epoch and its index, not on workers or on earlier
    batches. All full batches have the same number of masks per image, and so one shape after
    preprocessing.

    Example, with a transform of albumentations:

    ```python
    def augment(image, masks, rng):
        transform.set_random_seed(int(rng.integers(2**31)))
        changed = transform(image=image, masks=masks.astype("uint8"))
        return changed["image"], changed["masks"]

    batches = MaskBatches(train, augment=augment)
    ```

    Args:
        dataset: Images with their masks. Images without masks do not train: remove them with
            `check_dataset(dataset).usable`.
        batch_size: Images per batch.
        masks_per_image: Masks of each image. Of more masks, a random subset is used. Missing
            masks are filled with empty ones, which losses ignore.
        augment: Function `f(image, masks, rng)` or `f(image, masks)` that returns a changed
            image `(H, W, 3)`, uint8, and masks `(P, H, W)`. It may drop masks. `Augmentation` is
            one. Without `rng`, batches are only repeatable if the function is. Images without
            masks are not changed.
        shuffle: If True, each epoch has another order, other subsets of masks and other changes,
            and the last batch is filled with images of the first. If False, all epochs are the
            same, and the last batch may be smaller, as validation needs it.
        seed: Seed of the order, of the subsets and of `rng`.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of
            `keras.utils.PyDataset`. With workers, prefer threads, the default: decoders release
            the GIL, and JAX warns of processes that are forked.

    Raises:
        ValueError: If the data set is empty, or a number is less than 1.
    """

    def __init__(
        self,
        dataset: LabeledDataset,
        *,
        batch_size: int = 1,
        masks_per_image: int = 16,
        augment: Augment | None = None,
        shuffle: bool = True,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(batch_size, **kwargs)
        for name, value in (
            ("the number of images", len(dataset)),
            ("batch_size", batch_size),
            ("masks_per_image", masks_per_image),
        ):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.dataset = dataset
        self.masks_per_image = masks_per_image
        self.augment = augment
        self.shuffle = shuffle
        self.seed = seed

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Read a batch.

        Args:
            index: Index of the batch in the epoch.

        Returns:
            Images `(H, W, 3)`, uint8, and masks `(masks_per_image, H, W)`, bool, of each image.
            Images may differ in size.

        Raises:
            IndexError: If there is no such batch.
            ValueError: If a file is malformed, a mask does not have its image's size, or
                `augment` returns arrays of wrong shapes.
            OSError: If a file cannot be read.
        """
        rows, padding = self._part.rows(self._rows(index))
        images, masks = zip(*(self._sample(*row) for row in rows), strict=True)
        for array in masks[len(masks) - padding :]:
            array[:] = False
        return list(images), list(masks)

    def image_names(self, index: int) -> list[str]:
        """Return the names of the images of a batch.

        Args:
            index: Index of the batch in the epoch.

        Raises:
            IndexError: If there is no such batch.
        """
        return [self.dataset.images[row].name for row, _ in self._rows(index)]

    def _rows(self, index: int) -> list[tuple[int, int]]:
        """Return the index of each image of a batch, and how often it occurred before."""
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} batches, got index {index}")
        count = len(self.dataset)
        positions = range(index * self.batch_size, (index + 1) * self.batch_size)
        order = np.arange(count)
        if self.shuffle:
            order = self._rng(0, 0).permutation(count)
        else:
            positions = range(positions.start, min(positions.stop, count))
        return [(int(order[at % count]), at // count) for at in positions]

    def _sample(self, index: int, repeat: int) -> tuple[np.ndarray, np.ndarray]:
        """Read one image, and choose and change its masks."""
        rng = self._rng(1 + index, repeat)
        source = self.dataset.images[index]
        labels, image = source.labels(), source.image()
        limit = self.masks_per_image * (CANDIDATES if self.augment else 1)
        indices = np.arange(len(labels))
        if len(labels) > self.masks_per_image:
            indices = rng.permutation(indices)[:limit]
        masks = decode_masks(labels, image.shape[:2], source.name, indices.tolist())
        if self.augment is not None and len(masks):
            image, masks = apply_augment(self.augment, image, masks, rng, source.name)
        masks = masks[masks.any(axis=(1, 2))][: self.masks_per_image]
        padding = self.masks_per_image - len(masks)
        return image, np.pad(masks, ((0, padding), (0, 0), (0, 0)))

    def _rng(self, *key: int) -> np.random.Generator:
        """Return a generator for a key of two numbers."""
        return np.random.default_rng((self.seed, self.epoch if self.shuffle else 0, *key))


def apply_augment(
    augment: Augment, image: np.ndarray, masks: np.ndarray, rng: np.random.Generator, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Apply an augmentation, and check its outputs.

    Args:
        augment: Function `f(image, masks, rng)` or `f(image, masks)`.
        image: Image `(H, W, 3)`, uint8.
        masks: Masks `(P, H, W)`, bool.
        rng: Random generator for the function.
        name: Name of the image, for errors.

    Returns:
        Changed image and masks.

    Raises:
        ValueError: If the function returns arrays of wrong shapes or types.
    """
    arguments = (image, masks, rng) if _takes_rng(augment) else (image, masks)
    new_image, new_masks = (np.asarray(array) for array in augment(*arguments))
    size = new_image.shape[:2]
    if new_image.shape != (*size, 3) or new_image.dtype != np.uint8:
        raise ValueError(
            f"augment must return an image (H, W, 3) of uint8 for {name}, "
            f"got {new_image.dtype} {new_image.shape}"
        )
    if not len(new_masks):
        new_masks = np.zeros((0, *size), bool)
    if new_masks.ndim != 3 or new_masks.shape[1:] != size:
        raise ValueError(
            f"augment must return masks (P, {size[0]}, {size[1]}) for {name}, got {new_masks.shape}"
        )
    return np.ascontiguousarray(new_image), new_masks.astype(bool)


def _takes_rng(augment: Augment) -> bool:
    try:
        parameters = inspect.signature(augment).parameters.values()
    except (TypeError, ValueError):  # some callables in C have no signature
        return False
    required = [value for value in parameters if value.default is value.empty]
    return len(required) > 2 or "rng" in {value.name for value in parameters}
