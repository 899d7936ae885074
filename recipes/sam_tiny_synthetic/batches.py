"""`Batches`: what a training step sees, made from stores of scenes."""

import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recipes.sam_tiny_synthetic.scene_store import SceneStore
from recipes.sam_tiny_synthetic.scenes import Scene

Batch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]

PIXEL_MEAN = (124, 116, 104)  # padding that normalizes to about zero, as in prediction
MAX_SHARE = 0.9  # of the crop, for a mask to be asked for


@dataclass(frozen=True)
class BatchOptions:
    """What a batch holds.

    Attributes:
        stores: directories of scene stores.
        weights: share of images from each store.
        min_shares: of each store, the least share of a crop that a mask takes to be asked for.
        image_size: side of the images in pixels.
        low_res_size: side of the masks.
        images: images of a batch.
        prompts: masks of an image.
        min_crops: of each store, the smallest side of a crop, as a share of the scene's.
        is_jittered: whether brightness, contrast and colors of a crop are changed at random.
        size_exponent: a mask is chosen with a weight of its area to this power.
        seed: seed of the choice.
    """

    stores: tuple[str, ...]
    weights: tuple[float, ...]
    image_size: int
    low_res_size: int
    min_shares: tuple[float, ...] = (0.004,)
    images: int = 8
    prompts: int = 16
    min_crops: tuple[float, ...] = (0.5,)
    is_jittered: bool = False
    size_exponent: float = 0.35
    seed: int = 0


class Batches:
    """Batches by step: the same options and step give the same batch in any process.

    Args:
        options: what a batch holds.
    """

    def __init__(self, options: BatchOptions) -> None:
        self.options = options
        self._stores = [SceneStore.open(Path(path)) for path in options.stores]

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step.

        Returns:
            `{"images": (B, S, S, 3)}` float32 in 0..1 and `{"masks": (B, P, L, L)}` uint8.
        """
        options = self.options
        rng = np.random.default_rng((options.seed, step))
        images: list[np.ndarray] = []
        masks: list[np.ndarray] = []
        while len(images) < options.images:
            number = rng.choice(len(self._stores), p=options.weights)
            store = self._stores[number]
            example = _example(store[int(rng.integers(len(store)))], options, number, rng)
            if example is not None:
                images.append(example[0])
                masks.append(example[1])
        return (
            {"images": np.stack(images).astype(np.float32) / 255.0},
            {"masks": np.stack(masks)},
        )


def stream_batches(
    options: BatchOptions, *, start: int, stop: int, workers: int = 1, ahead: int = 6
) -> Iterator[Batch]:
    """Batches of the steps `start` to `stop`, in order, made ahead in worker processes.

    Args:
        options: what a batch holds.
        start: first step.
        stop: step behind the last.
        workers: processes; 0 makes batches in this one.
        ahead: batches that may wait.
    """
    if not workers:
        batches = Batches(options)
        yield from (batches[step] for step in range(start, stop))
        return
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(options,)
    ) as pool:
        waiting: deque[Any] = deque()
        steps = iter(range(start, stop))
        try:
            while True:
                while len(waiting) < ahead and (step := next(steps, None)) is not None:
                    waiting.append(pool.submit(_make_in_worker, step))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


_worker_batches: Batches | None = None


def _start_worker(options: BatchOptions) -> None:
    global _worker_batches
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker_batches = Batches(options)


def _end_with_parent() -> None:
    """A killed run cannot tell its workers to stop."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _make_in_worker(step: int) -> Batch:
    if _worker_batches is None:
        raise RuntimeError("the worker was not started")
    return _worker_batches[step]


def _example(
    scene: Scene, options: BatchOptions, store: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """A crop of a scene of a store with its masks, or `None` where the crop holds none."""
    side = scene.image.shape[0]
    # Choose a crop: its longest side, and an aspect ratio as photographs have.
    longest = side * rng.uniform(options.min_crops[store], 1.0)
    height, width = longest, longest
    aspect = rng.uniform(0.6, 1.0) if rng.random() < 0.7 else 1.0
    if rng.random() < 0.7:
        height *= aspect
    else:
        width *= aspect
    top, left = int(rng.uniform(0, side - height)), int(rng.uniform(0, side - width))
    crop = slice(top, top + int(height)), slice(left, left + int(width))
    # Choose masks by their area in the crop.
    bits = scene.bits[crop]
    kinds = np.uint32(1) << np.arange(max(1, scene.count), dtype=np.uint32)
    shares = ((bits[::2, ::2, None] & kinds) > 0).mean((0, 1))
    known = np.flatnonzero((shares > options.min_shares[store]) & (shares < MAX_SHARE))
    if not len(known):
        return None
    weights = shares[known] ** options.size_exponent
    chosen = rng.choice(
        known,
        options.prompts,
        replace=len(known) < options.prompts,
        p=weights / weights.sum(),
    )
    # Resize to the longest side, flip, and pad right and bottom.
    flip = rng.random() < 0.5
    image = _resize(scene.image[crop], options.image_size, flip, Image.Resampling.BILINEAR)
    if options.is_jittered:
        image = jitter(image, rng)
    padded = np.empty((options.image_size, options.image_size, 3), np.uint8)
    padded[:] = PIXEL_MEAN
    padded[: image.shape[0], : image.shape[1]] = image
    masks = np.zeros((options.prompts, options.low_res_size, options.low_res_size), np.uint8)
    for kind in np.unique(chosen):
        mask = ((bits & kinds[kind]) > 0).astype(np.uint8) * 255
        mask = _resize(mask, options.low_res_size, flip, Image.Resampling.BOX) >= 128
        masks[chosen == kind, : mask.shape[0], : mask.shape[1]] = mask
    return padded, masks


def jitter(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another exposure of `(H, W, 3)` uint8: brightness, contrast, tint, now and then gray."""
    pixels = image.astype(np.float32) / 255
    if rng.random() < 0.05:
        pixels = np.repeat(pixels.mean(-1, keepdims=True), 3, -1)
    gain = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.05, 3)).astype(np.float32)
    pixels = np.clip(pixels * gain + np.float32(rng.normal(0, 0.04)), 0, 1)
    pixels = pixels ** np.float32(np.exp(rng.normal(0, 0.2)))
    return (pixels * 255 + 0.5).astype(np.uint8)


def _resize(array: np.ndarray, longest: int, flip: bool, resampling: Any) -> np.ndarray:
    height, width = array.shape[:2]
    scale = longest / max(height, width)
    size = max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5))
    resized = np.asarray(Image.fromarray(array).resize(size, resampling))
    return resized[:, ::-1] if flip else resized
