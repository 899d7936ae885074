"""`WORKLOADS`: the table of workloads. A new one is a row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.implementations import GeneratorOptions, Implementation
from benchmarks.random_checkpoint import TRAINED
from benchmarks.sample_photos import read_photo
from keras_sam.transforms import ImageTransform


@dataclass(frozen=True)
class Workload:
    """One workload.

    Attributes:
        name: Name for the command line.
        description: Description for the report.
        step: Step that is timed: "encode", "predict", "generate" or "start".
        batch_size: Number of images encoded together.
        num_prompts: Number of prompts decoded together.
        model_size: Model size to use instead of the requested one.
        photo_size: `(width, height)` to which the photograph of "generate" is enlarged.
    """

    name: str
    description: str
    step: str
    batch_size: int = 1
    num_prompts: int = 1
    model_size: str | None = None
    photo_size: tuple[int, int] | None = None


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("encoder", "image encoder, one image", "encode"),
        Workload("encoder-4", "image encoder, four images together", "encode", batch_size=4),
        Workload("point", "one point on an encoded image", "predict"),
        Workload("points-64", "64 points on one encoded image", "predict", num_prompts=64),
        Workload("automatic", "automatic masks of 600 x 400 pixels, random weights", "generate"),
        Workload(
            "automatic-large",
            "automatic masks of 2400 x 1600 pixels, random weights",
            "generate",
            photo_size=(2400, 1600),
        ),
        Workload(
            "automatic-trained",
            "automatic masks of 600 x 400 pixels, sam_tiny_synthetic",
            "generate",
            model_size=TRAINED,
        ),
        Workload("startup", "from the start of Python to the masks of a first point", "start"),
    )
}


@dataclass(frozen=True)
class Task:
    """A workload that is ready to run.

    Attributes:
        run: Function that is timed.
        to_arrays: Function from the result of `run` to named arrays, for comparison.
    """

    run: Callable[[], Any]
    to_arrays: Callable[[Any], dict[str, np.ndarray]]


def create_task(
    workload: Workload,
    implementation: Implementation,
    image_size: int,
    options: GeneratorOptions | None = None,
) -> Task:
    """Prepare a workload: create its inputs, and encode the image where that is not timed.

    Args:
        workload: Workload.
        implementation: Implementation whose model is loaded.
        image_size: Side of the model's images in pixels.
        options: Options of the step "generate", which needs them.

    Raises:
        ValueError: If options are missing.
    """
    if workload.step == "encode":
        images = square_images(workload.batch_size, image_size)
        inputs = implementation.images_to_inputs(images)
        return Task(
            lambda: implementation.encode(inputs),
            lambda embedding: {"embedding": implementation.embedding_to_numpy(embedding)},
        )
    if workload.step == "generate":
        if options is None:
            raise ValueError("automatic mask generation needs options")
        photo = read_photo(workload.photo_size)
        return Task(lambda: implementation.generate_masks(photo, options), _generated_to_arrays)
    image = square_images(1, image_size)[0]
    points, labels = random_points(workload.num_prompts, image_size)
    if workload.step == "predict":
        implementation.set_image(image)
        return Task(lambda: implementation.predict(points, labels), _predicted_to_arrays)

    def start() -> tuple[np.ndarray, np.ndarray]:
        implementation.set_image(image)
        return implementation.predict(points, labels)

    return Task(start, _predicted_to_arrays)


def square_images(count: int, side: int) -> np.ndarray:
    """Return the photograph in the model frame, and its mirror images, `(B, S, S, 3)`, uint8."""
    photo = read_photo()
    padded = ImageTransform(photo.shape[:2], (side, side)).apply_image(photo)
    image = np.round(255 * padded).astype(np.uint8)
    mirrored = [image, image[:, ::-1], image[::-1], image[::-1, ::-1]]
    return np.ascontiguousarray([mirrored[index % 4] for index in range(count)])


def random_points(count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points `(P, 1, 2)`, float32, within the photograph, and labels `(P, 1)`, all 1."""
    height, width = ImageTransform(read_photo().shape[:2], (side, side)).input_size
    limits = np.array([width - 1, height - 1])
    points = np.random.default_rng(0).uniform(0, limits, (count, 1, 2)).astype(np.float32)
    return points, np.ones((count, 1), np.int32)


def _predicted_to_arrays(predicted: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    low_res_logits, iou_predictions = map(np.asarray, predicted)
    return {"low_res_logits": low_res_logits, "iou_predictions": iou_predictions}


def _generated_to_arrays(generated: list[tuple[np.ndarray, float]]) -> dict[str, np.ndarray]:
    masks = [np.packbits(np.asarray(mask, bool)) for mask, _ in generated]
    return {"masks": np.stack(masks) if masks else np.zeros((0, 1), np.uint8)}
