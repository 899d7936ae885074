"""`Batches`: training batches made from scene datasets."""

import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from typing import Any

import numpy as np
from PIL import Image

from recipes.sam_tiny_synthetic.scene_dataset import SceneDataset
from recipes.sam_tiny_synthetic.scenes.scene import Scene

Batch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
Rng = np.random.Generator

PADDING_COLOR = (124, 116, 104)  # ImageNet's mean, which normalization turns to about zero
MAX_MASK_AREA = 0.9  # of a target mask, as a share of the crop


@dataclass(frozen=True)
class DatasetOptions:
    """How a scene dataset is sampled.

    Attributes:
        directory: Directory of the dataset.
        weight: Share of the images that come from it; the weights of a batch sum to 1.
        min_mask_area: Smallest area of a target mask, as a share of the crop.
        min_crop_scale: Smallest longest side of a crop, as a share of the scene's side.
    """

    directory: str
    weight: float = 1.0
    min_mask_area: float = 0.004
    min_crop_scale: float = 0.5


@dataclass(frozen=True)
class BatchOptions:
    """Contents of a batch.

    Attributes:
        datasets: Scene datasets to sample from.
        image_size: Side of the images in pixels.
        low_res_size: Side of the target masks.
        batch_size: Number of images.
        masks_per_image: Number of target masks of an image. Masks repeat if a crop has fewer.
        area_sampling_exponent: Exponent of a mask's area in its sampling weight. With 0, all
            masks of a crop are equally likely.
        color_jitter: If True, the brightness, contrast and colors of a crop change at random.
        seed: Seed of the batches.
    """

    datasets: tuple[DatasetOptions, ...]
    image_size: int
    low_res_size: int
    batch_size: int = 8
    masks_per_image: int = 16
    area_sampling_exponent: float = 0.35
    color_jitter: bool = False
    seed: int = 0


class Batches:
    """Batches by step. The same options and step give the same batch in any process."""

    def __init__(self, options: BatchOptions) -> None:
        self.options = options
        self._datasets = [SceneDataset.open(dataset.directory) for dataset in options.datasets]
        self._weights = [dataset.weight for dataset in options.datasets]

    def __getitem__(self, step: int) -> Batch:
        """Create the batch of a step.

        Returns:
            `{"images": (B, S, S, 3)}`, float32 in [0, 1], and `{"masks": (B, P, L, L)}`, uint8.
        """
        rng = np.random.default_rng((self.options.seed, step))
        images: list[np.ndarray] = []
        masks: list[np.ndarray] = []
        while len(images) < self.options.batch_size:
            index = rng.choice(len(self._datasets), p=self._weights)
            dataset = self._datasets[index]
            scene = dataset[int(rng.integers(len(dataset)))]
            example = _sample_example(scene, self.options, self.options.datasets[index], rng)
            if example is not None:
                images.append(example[0])
                masks.append(example[1])
        return (
            {"images": np.stack(images).astype(np.float32) / 255.0},
            {"masks": np.stack(masks)},
        )


def stream_batches(
    options: BatchOptions, *, start: int, stop: int, num_workers: int = 1, prefetch: int = 6
) -> Iterator[Batch]:
    """Yield the batches of the steps from `start` to before `stop`, in order.

    Args:
        options: Contents of the batches.
        start: First step.
        stop: Step after the last one.
        num_workers: Number of worker processes. 0 makes the batches in this process.
        prefetch: Number of batches that workers make in advance.
    """
    if not num_workers:
        batches = Batches(options)
        yield from (batches[step] for step in range(start, stop))
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, _start_worker, (options,)) as pool:
        pending: deque[Any] = deque()
        steps = iter(range(start, stop))
        try:
            while True:
                while len(pending) < prefetch and (step := next(steps, None)) is not None:
                    pending.append(pool.submit(_make_batch, step))
                if not pending:
                    return
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


_worker_batches: Batches | None = None


def _start_worker(options: BatchOptions) -> None:
    global _worker_batches
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _worker_batches = Batches(options)


def _exit_with_parent() -> None:
    """End this worker when its parent is killed, which cannot shut it down."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _make_batch(step: int) -> Batch:
    if _worker_batches is None:
        raise RuntimeError("the worker was not started")
    return _worker_batches[step]


def _sample_example(
    scene: Scene, options: BatchOptions, dataset: DatasetOptions, rng: Rng
) -> tuple[np.ndarray, np.ndarray] | None:
    """Create an image `(S, S, 3)` and masks `(P, L, L)`, or `None` if no mask fits the crop."""
    # Choose a crop and masks.
    crop = _random_crop(scene.image.shape[0], dataset.min_crop_scale, rng)
    mask_bits = scene.mask_bits[crop]
    bits = np.uint32(1) << np.arange(max(1, scene.num_masks), dtype=np.uint32)
    areas = ((mask_bits[::2, ::2, None] & bits) > 0).mean((0, 1))  # of every fourth pixel
    usable = np.flatnonzero((areas > dataset.min_mask_area) & (areas < MAX_MASK_AREA))
    if not len(usable):
        return None
    count = options.masks_per_image
    weights = areas[usable] ** options.area_sampling_exponent
    probabilities = weights / weights.sum()
    chosen = rng.choice(usable, count, replace=len(usable) < count, p=probabilities)
    # Resize to the longest side, flip, and pad at the right and at the bottom.
    is_flipped = rng.random() < 0.5
    image = _resize(scene.image[crop], options.image_size, is_flipped, Image.Resampling.BILINEAR)
    if options.color_jitter:
        image = jitter_colors(image, rng)
    padded = np.empty((options.image_size, options.image_size, 3), np.uint8)
    padded[:] = PADDING_COLOR
    padded[: image.shape[0], : image.shape[1]] = image
    masks = np.zeros((count, options.low_res_size, options.low_res_size), np.uint8)
    for index in np.unique(chosen):
        mask = ((mask_bits & bits[index]) > 0).astype(np.uint8) * 255
        mask = _resize(mask, options.low_res_size, is_flipped, Image.Resampling.BOX) >= 128
        masks[chosen == index, : mask.shape[0], : mask.shape[1]] = mask
    return padded, masks


def _random_crop(side: int, min_scale: float, rng: Rng) -> tuple[slice, slice]:
    """Choose rows and columns of a crop with the aspect ratio of a photograph."""
    height = width = side * rng.uniform(min_scale, 1.0)
    aspect = rng.uniform(0.6, 1.0) if rng.random() < 0.7 else 1.0
    if rng.random() < 0.7:
        height *= aspect
    else:
        width *= aspect
    top, left = int(rng.uniform(0, side - height)), int(rng.uniform(0, side - width))
    return slice(top, top + int(height)), slice(left, left + int(width))


def jitter_colors(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Change brightness, contrast and tint of an image at random; sometimes remove its color.

    Args:
        image: RGB image `(H, W, 3)`, uint8.
        rng: Random number generator.

    Returns:
        RGB image `(H, W, 3)`, uint8.
    """
    pixels = image.astype(np.float32) / 255
    if rng.random() < 0.05:
        pixels = np.repeat(pixels.mean(-1, keepdims=True), 3, -1)
    gain = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.05, 3)).astype(np.float32)
    pixels = np.clip(pixels * gain + np.float32(rng.normal(0, 0.04)), 0, 1)
    pixels = pixels ** np.float32(np.exp(rng.normal(0, 0.2)))
    return (pixels * 255 + 0.5).astype(np.uint8)


def _resize(array: np.ndarray, longest: int, is_flipped: bool, resampling: Any) -> np.ndarray:
    height, width = array.shape[:2]
    scale = longest / max(height, width)
    size = max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5))
    resized = np.asarray(Image.fromarray(array).resize(size, resampling))
    return resized[:, ::-1] if is_flipped else resized
