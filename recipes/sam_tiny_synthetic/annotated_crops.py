"""`build_annotated_crops`: scenes cut from an annotated image dataset."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from keras_sam.annotations.coco import CocoDataset, CocoImage, read_coco
from keras_sam.annotations.split_validation import split_validation
from keras_sam.images.read_image import read_image
from recipes.sam_tiny_synthetic.scene_dataset import SHARD_SIZE, SceneDataset, write_shard
from recipes.sam_tiny_synthetic.scenes.scene import MAX_MASKS, Scene, pack_scene

NUM_VALIDATION = 80  # images that are never trained on
CROPS_PER_IMAGE = 6
MIN_CROP_SCALE = 0.25  # smallest side of a crop, as a share of the image's short side
MIN_MASK_PIXELS = 12  # of a mask in a crop
COMPLETE = "complete"  # marker file of a complete dataset

Rng = np.random.Generator


def build_annotated_crops(
    directory: str | Path, dataset: str | Path, *, seed: int = 1, size: int = 256
) -> SceneDataset:
    """Cut scenes from the training images of a dataset. A complete directory is kept.

    Args:
        directory: Directory of the scenes.
        dataset: Folder with `images/` and `annotations.json` (COCO).
        seed: Seed of the crops.
        size: Side of a scene in pixels.

    Raises:
        FileNotFoundError: If an image or the annotations are missing.
        ValueError: If a file is damaged, or there are no more than `NUM_VALIDATION` images.
    """
    directory, dataset = Path(directory), Path(dataset)
    if is_complete(directory):
        return SceneDataset.open(directory)
    rng = np.random.default_rng(seed)
    scenes = list(_crop_all(read_training_images(dataset), dataset / "images", size, rng))
    directory.mkdir(parents=True, exist_ok=True)
    for shard, first in enumerate(range(0, len(scenes), SHARD_SIZE)):
        write_shard(directory, shard, scenes[first : first + SHARD_SIZE])
    (directory / COMPLETE).touch()
    return SceneDataset.open(directory)


def is_complete(directory: str | Path) -> bool:
    """Return True if a directory contains all scenes of its dataset."""
    return (Path(directory) / COMPLETE).exists()


def read_training_images(dataset: str | Path) -> CocoDataset:
    """Read the annotations of a dataset's training images.

    Raises:
        FileNotFoundError: If the annotations are missing.
        ValueError: If they are damaged, or have no more than `NUM_VALIDATION` images.
    """
    return split_validation(read_coco(Path(dataset) / "annotations.json"), NUM_VALIDATION)[0]


def _crop_all(dataset: CocoDataset, images: Path, size: int, rng: Rng) -> Iterator[Scene]:
    for image in dataset.images:
        pixels = read_image(images / image.file_name)
        for _ in range(CROPS_PER_IMAGE):
            scene = random_crop(image, pixels, size, rng)
            if scene.num_masks:
                yield scene


def random_crop(image: CocoImage, pixels: np.ndarray, size: int, rng: Rng) -> Scene:
    """Cut a random square, then resize, rotate and flip it.

    The logarithm of its side is uniform, from `MIN_CROP_SCALE` of the image's short side to the
    whole. So training has objects as small as in a full image and as large as in a zoomed crop.

    Args:
        image: Annotations of the image.
        pixels: RGB image `(H, W, 3)`, uint8.
        size: Side of the scene in pixels.
        rng: Random number generator.

    Returns:
        The scene, with at most `MAX_MASKS` masks, chosen at random.
    """
    height, width = pixels.shape[:2]
    side = max(1, round(min(height, width) * MIN_CROP_SCALE ** rng.random()))
    top, left = (int(rng.integers(0, length - side + 1)) for length in (height, width))
    crop = slice(top, top + side), slice(left, left + side)
    quarter_turns, is_flipped = int(rng.integers(4)), rng.random() < 0.5

    def transform(array: np.ndarray, resampling: Image.Resampling) -> np.ndarray:
        resized = np.asarray(Image.fromarray(array[crop]).resize((size, size), resampling))
        rotated = np.rot90(resized, quarter_turns)
        return rotated[:, ::-1] if is_flipped else rotated

    masks = [
        transform(annotation.mask().astype(np.uint8) * 255, Image.Resampling.BOX) >= 128
        for annotation in image.annotations
    ]
    masks = [mask for mask in masks if np.count_nonzero(mask) >= MIN_MASK_PIXELS]
    chosen = [masks[index] for index in rng.permutation(len(masks))[:MAX_MASKS]]
    return pack_scene(transform(pixels, Image.Resampling.BILINEAR), chosen)
