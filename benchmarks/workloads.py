"""`WORKLOADS`: what is measured, and on what."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.contenders import Contender, Everything
from benchmarks.write_models import TRAINED
from keras_sam.images.read_image import read_image
from keras_sam.transforms.image_transform import ImageTransform

PHOTOGRAPH = Path(__file__).parent.parent / "keras_sam" / "assets" / "coffee.jpg"


@dataclass(frozen=True)
class Workload:
    """A thing to measure.

    Attributes:
        name: of the workload.
        text: what it is, for the report.
        step: "encode", "predict", "everything" or "start".
        batch: images at once.
        prompts: prompts at once.
        size: of the model, where it is not the one asked for.
        photograph: `(width, height)` that everything mode's is enlarged to; as it is if `None`.
    """

    name: str
    text: str
    step: str
    batch: int = 1
    prompts: int = 1
    size: str | None = None
    photograph: tuple[int, int] | None = None


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("encoder", "image encoder, one image", "encode"),
        Workload("encoder-4", "image encoder, four images at once", "encode", batch=4),
        Workload("click", "one click on an encoded image", "predict"),
        Workload("prompts", "64 prompts on one encoded image", "predict", prompts=64),
        Workload(
            "everything", "everything in a photograph of 600 x 400, random weights", "everything"
        ),
        Workload(
            "everything-large",
            "everything in a photograph of 2400 x 1600, random weights",
            "everything",
            photograph=(2400, 1600),
        ),
        Workload(
            "everything-trained",
            "everything in a photograph, the trained preset of the package",
            "everything",
            size=TRAINED,
        ),
        Workload("start", "from the start of Python to the masks of a first click", "start"),
    )
}


@dataclass(frozen=True)
class Task:
    """A workload, ready to run.

    Attributes:
        run: what is timed.
        to_arrays: its result as named arrays, to be compared.
    """

    run: Callable[[], Any]
    to_arrays: Callable[[Any], dict[str, np.ndarray]]


def create_task(
    workload: Workload, contender: Contender, image_size: int, wanted: Everything | None
) -> Task:
    """What a contender does for a workload; its inputs are made here.

    Args:
        workload: what to do.
        contender: prepared.
        image_size: side of the images that the model takes.
        wanted: of everything mode.
    """
    if workload.step == "encode":
        inputs = contender.images_to_inputs(square_images(workload.batch, image_size))
        return Task(
            lambda: contender.encode(inputs),
            lambda embedding: {"embedding": contender.embedding_to_numpy(embedding)},
        )
    if workload.step == "everything":
        if wanted is None:
            raise ValueError("everything mode needs to know what is wanted")
        photograph = read_photograph(workload.photograph)
        return Task(lambda: contender.everything(photograph, wanted), _found_to_arrays)
    image = square_images(1, image_size)[0]
    points, labels = random_prompts(workload.prompts, image_size)
    if workload.step == "predict":
        contender.set_image(image)
        return Task(lambda: contender.predict(points, labels), _masks_to_arrays)

    def start() -> tuple[np.ndarray, np.ndarray]:
        contender.set_image(image)
        return contender.predict(points, labels)

    return Task(start, _masks_to_arrays)


def read_photograph(size: tuple[int, int] | None) -> np.ndarray:
    """The photograph `(H, W, 3)` uint8, enlarged to `(width, height)`."""
    pixels = read_image(PHOTOGRAPH)
    if size is None:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(tuple(size), Image.Resampling.BICUBIC))


def square_images(count: int, side: int) -> np.ndarray:
    """The photograph as a model sees it, and its mirror images, `(B, S, S, 3)` uint8."""
    photograph = read_image(PHOTOGRAPH)
    padded = ImageTransform(photograph.shape[:2], (side, side)).apply_image(photograph)
    image = np.round(255 * padded).astype(np.uint8)
    mirrored = [image, image[:, ::-1], image[::-1], image[::-1, ::-1]]
    return np.ascontiguousarray([mirrored[index % 4] for index in range(count)])


def random_prompts(count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Clicks on the photograph: points `(P, 1, 2)` float32, labels `(P, 1)` int32, all 1."""
    height, width = ImageTransform(read_image(PHOTOGRAPH).shape[:2], (side, side)).input_size
    limits = np.array([width - 1, height - 1])
    points = np.random.default_rng(0).uniform(0, limits, (count, 1, 2)).astype(np.float32)
    return points, np.ones((count, 1), np.int32)


def _masks_to_arrays(found: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    return {"logits": np.asarray(found[0]), "ratings": np.asarray(found[1])}


def _found_to_arrays(found: list[tuple[np.ndarray, float]]) -> dict[str, np.ndarray]:
    masks = [np.packbits(np.asarray(mask, bool)) for mask, _ in found]
    ratings = np.array([rating for _, rating in found], np.float32)
    return {"masks": np.stack(masks) if masks else np.zeros((0, 1), np.uint8), "ratings": ratings}
