"""`SceneStore`: images with many masks on disk, drawn or cut once and read many times."""

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

from recipes.sam_tiny_synthetic.scenes import Scene, draw_scene

SHARD_SIZE = 250
SEEDS = 1_000_000  # of scenes, for each seed of a store


@dataclass(frozen=True)
class SceneStore:
    """Shards of scenes of one size, read through memory maps.

    Attributes:
        images: for each shard `(N, S, S, 3)` uint8.
        bits: for each shard `(N, S, S)` uint32, as `Scene.bits`.
        counts: for each shard `(N,)`.
    """

    images: tuple[np.ndarray, ...]
    bits: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]

    @classmethod
    def open(cls, directory: str | Path) -> "SceneStore":
        """Opens the finished shards of a directory.

        Raises:
            ValueError: if there is none.
        """
        paths = sorted(Path(directory).glob("*.images.npy"))
        if not paths:
            raise ValueError(f"no scenes in {directory}; make some with build_store")

        def load(kind: str) -> tuple[np.ndarray, ...]:
            files = [path.with_name(path.name.replace("images", kind)) for path in paths]
            return tuple(np.load(file, mmap_mode="r") for file in files)

        return cls(load("images"), load("bits"), load("counts"))

    def __len__(self) -> int:
        return sum(len(counts) for counts in self.counts)

    def __getitem__(self, index: int) -> Scene:
        for images, bits, counts in zip(self.images, self.bits, self.counts, strict=True):
            if index < len(counts):
                return Scene(images[index], bits[index], int(counts[index]))
            index -= len(counts)
        raise IndexError(index)


def build_store(
    directory: str | Path,
    *,
    count: int,
    seed: int = 1,
    size: int = 256,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> SceneStore:
    """Draws scenes into a store; shards that are there already are kept.

    Args:
        directory: where the shards go.
        count: number of scenes.
        seed: seed of the store; below 4,000.
        size: side of a scene in pixels.
        workers: processes that draw.
        progress: called with the number of scenes done after each shard.
    """
    Path(directory).mkdir(parents=True, exist_ok=True)
    shards = range(-(-count // SHARD_SIZE))
    missing = [shard for shard in shards if not _is_drawn(Path(directory), shard)]
    draw = partial(_draw_shard, Path(directory), seed, size, count)
    with _mapping(min(workers, len(missing))) as run:
        for done, _ in enumerate(run(draw, missing), start=len(shards) - len(missing) + 1):
            if progress is not None:
                progress(min(count, done * SHARD_SIZE))
    return SceneStore.open(directory)


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map` in worker processes, or here if one would do."""
    if workers < 2:
        yield map
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield pool.map


def write_shard(directory: Path, shard: int, scenes: list[Scene]) -> None:
    """Writes one shard; its images come last and under their name only when complete."""
    arrays = {
        "counts": np.array([scene.count for scene in scenes]),
        "bits": np.stack([scene.bits for scene in scenes]),
        "images": np.stack([scene.image for scene in scenes]),
    }
    for kind, array in arrays.items():
        path = directory / f"{shard:05d}.{kind}.npy"
        beside = path.with_suffix(".part.npy")
        np.save(beside, array)
        os.replace(beside, path)


def _is_drawn(directory: Path, shard: int) -> bool:
    return (directory / f"{shard:05d}.images.npy").exists()


def _draw_shard(directory: Path, seed: int, size: int, count: int, shard: int) -> None:
    first = shard * SHARD_SIZE
    indices = range(first, min(count, first + SHARD_SIZE))
    write_shard(directory, shard, [draw_scene(seed * SEEDS + i, size) for i in indices])
