"""`SceneDataset`: scenes on disk, drawn or cut once and read many times."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from recipes.sam_tiny_synthetic.scenes.scene import Scene, draw_scene

SHARD_SIZE = 250  # scenes
SEEDS_PER_DATASET = 1_000_000  # so that datasets of different seeds share no scene


@dataclass(frozen=True)
class SceneDataset:
    """Shards of scenes of one size, read through memory maps.

    Attributes:
        images: Images of each shard, `(N, S, S, 3)`, uint8.
        mask_bits: Masks of each shard, `(N, S, S)`, uint32, as `Scene.mask_bits`.
        num_masks: Numbers of masks of each shard, `(N,)`.
    """

    images: tuple[np.ndarray, ...]
    mask_bits: tuple[np.ndarray, ...]
    num_masks: tuple[np.ndarray, ...]

    @classmethod
    def open(cls, directory: str | Path) -> "SceneDataset":
        """Open the complete shards of a directory.

        Raises:
            ValueError: If there are none.
        """
        paths = sorted(Path(directory).glob("*.images.npy"))
        if not paths:
            raise ValueError(f"no scenes in {directory}; create them with build_scene_dataset")

        def load(kind: str) -> tuple[np.ndarray, ...]:
            files = [path.with_name(path.name.replace("images", kind)) for path in paths]
            return tuple(np.load(file, mmap_mode="r") for file in files)

        return cls(load("images"), load("mask_bits"), load("num_masks"))

    def __len__(self) -> int:
        return sum(len(num_masks) for num_masks in self.num_masks)

    def __getitem__(self, index: int) -> Scene:
        shards = zip(self.images, self.mask_bits, self.num_masks, strict=True)
        for images, mask_bits, num_masks in shards:
            if index < len(num_masks):
                return Scene(images[index], mask_bits[index], int(num_masks[index]))
            index -= len(num_masks)
        raise IndexError(index)


def build_scene_dataset(
    directory: str | Path,
    *,
    count: int,
    seed: int = 1,
    size: int = 256,
    num_workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> SceneDataset:
    """Draw scenes to disk. Shards that exist are kept.

    Args:
        directory: Directory of the shards.
        count: Number of scenes.
        seed: Seed of the dataset, below 4,000.
        size: Side of a scene in pixels.
        num_workers: Number of processes that draw.
        progress: Function that is called with the number of completed scenes after each shard.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    shards = range(-(-count // SHARD_SIZE))
    missing = [shard for shard in shards if not _shard_path(directory, shard, "images").exists()]
    draw = partial(_draw_shard, directory, seed, size, count)
    with _mapper(min(num_workers, len(missing))) as run:
        num_existing = len(shards) - len(missing)
        for completed, _ in enumerate(run(draw, missing), start=num_existing + 1):
            if progress is not None:
                progress(min(count, completed * SHARD_SIZE))
    return SceneDataset.open(directory)


def write_shard(directory: Path, shard: int, scenes: list[Scene]) -> None:
    """Write one shard. Its images are written last, so a shard with images is complete."""
    arrays = {
        "num_masks": np.array([scene.num_masks for scene in scenes]),
        "mask_bits": np.stack([scene.mask_bits for scene in scenes]),
        "images": np.stack([scene.image for scene in scenes]),
    }
    for kind, array in arrays.items():
        path = _shard_path(directory, shard, kind)
        partial_path = path.with_suffix(".part.npy")
        np.save(partial_path, array)
        os.replace(partial_path, path)


def _shard_path(directory: Path, shard: int, kind: str) -> Path:
    return directory / f"{shard:05d}.{kind}.npy"


def _draw_shard(directory: Path, seed: int, size: int, count: int, shard: int) -> None:
    first = shard * SHARD_SIZE
    indices = range(first, min(count, first + SHARD_SIZE))
    scenes = [draw_scene(seed * SEEDS_PER_DATASET + index, size) for index in indices]
    write_shard(directory, shard, scenes)


@contextmanager
def _mapper(num_workers: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """Yield a `map` in worker processes, or the built-in one if a single worker is enough."""
    if num_workers < 2:
        yield map
        return
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        yield pool.map
