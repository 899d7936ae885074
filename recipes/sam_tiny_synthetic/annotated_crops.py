"""`build_annotated_crops`: labeled images, cut into scenes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from keras_sam.annotations.coco import CocoDataset, CocoImage, read_coco
from keras_sam.annotations.split_validation import split_validation
from keras_sam.images.read_image import read_image
from recipes.sam_tiny_synthetic.scene_store import SHARD_SIZE, SceneStore, write_shard
from recipes.sam_tiny_synthetic.scenes import MAX_MASKS, Scene

NUM_VALIDATION = 80  # images of a folder that are measured on
MIN_PIXELS = 12  # of a scene, for a mask to be kept
CUTS = 6  # scenes of an image
MIN_SIDE = 0.25  # of a cut, as a share of the picture's short side
COMPLETE = "complete"  # a file that is made when all scenes are there

Rng = np.random.Generator


def build_annotated_crops(
    directory: str | Path, folder: str | Path, *, seed: int = 1, size: int = 256
) -> SceneStore:
    """Cuts scenes from labeled images, but for those held out; a store that is there is kept.

    Args:
        directory: where the shards go.
        folder: `images/` and `annotations.json` (COCO).
        seed: seed of the cuts.
        size: side of a scene in pixels.

    Raises:
        FileNotFoundError: if the folder lacks a file.
        ValueError: if it has no more than `NUM_VALIDATION` images, or a damaged one.
    """
    directory, folder = Path(directory), Path(folder)
    if is_complete(directory):
        return SceneStore.open(directory)
    rng = np.random.default_rng(seed)
    scenes = list(_cut_all(read_annotated(folder), folder / "images", size, rng))
    directory.mkdir(parents=True, exist_ok=True)
    for shard, first in enumerate(range(0, len(scenes), SHARD_SIZE)):
        write_shard(directory, shard, scenes[first : first + SHARD_SIZE])
    (directory / COMPLETE).touch()
    return SceneStore.open(directory)


def is_complete(directory: str | Path) -> bool:
    """Whether a store was built to its end."""
    return (Path(directory) / COMPLETE).exists()


def read_annotated(folder: str | Path) -> CocoDataset:
    """The images of a folder that are trained on.

    Raises:
        FileNotFoundError: if the folder lacks its annotations.
        ValueError: if they are damaged, or of no more than `NUM_VALIDATION` images.
    """
    return split_validation(read_coco(Path(folder) / "annotations.json"), NUM_VALIDATION)[0]


def _cut_all(dataset: CocoDataset, images: Path, size: int, rng: Rng) -> Iterator[Scene]:
    for image in dataset.images:
        pixels = read_image(images / image.file_name)
        for _ in range(CUTS):
            scene = cut_scene(image, pixels, size, rng)
            if scene.count:
                yield scene


def cut_scene(image: CocoImage, pixels: np.ndarray, size: int, rng: Rng) -> Scene:
    """A square of an image, scaled, turned and mirrored at random, on any scale.

    Its side is a quarter of the image's short side or more, each doubling as likely, so that
    training sees small things as small, and as large as a closer look shows them.

    Args:
        image: its annotations.
        pixels: `(H, W, 3)` uint8.
        size: side of the scene in pixels.
        rng: of the choices; of more than `MAX_MASKS` masks it keeps some.
    """
    height, width = pixels.shape[:2]
    side = max(1, round(min(height, width) * MIN_SIDE ** rng.random()))
    top, left = (int(rng.integers(0, length - side + 1)) for length in (height, width))
    place = slice(top, top + side), slice(left, left + side)
    turns, is_mirrored = int(rng.integers(4)), rng.random() < 0.5

    def turned(array: np.ndarray, resampling: Image.Resampling) -> np.ndarray:
        scaled = np.asarray(Image.fromarray(array[place]).resize((size, size), resampling))
        scaled = np.rot90(scaled, turns)
        return scaled[:, ::-1] if is_mirrored else scaled

    masks = [
        turned(note.mask().astype(np.uint8) * 255, Image.Resampling.BOX) >= 128
        for note in image.annotations
    ]
    masks = [mask for mask in masks if np.count_nonzero(mask) >= MIN_PIXELS]
    kept = rng.permutation(len(masks))[:MAX_MASKS]
    bits = np.zeros((size, size), np.uint32)
    for index, number in enumerate(kept):
        bits |= masks[number].astype(np.uint32) << np.uint32(index)
    return Scene(turned(pixels, Image.Resampling.BILINEAR), bits, len(kept))
