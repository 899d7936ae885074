"""`run_ablation`: train image encoders on scenes that each lack one ingredient."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from keras import ops
from rich.console import Console
from rich.table import Table

from keras_sam.annotations.coco import CocoDataset, read_coco
from keras_sam.images.read_image import read_image
from keras_sam.masks.measures import mask_interior_point, mask_iou
from keras_sam.transforms.image_transform import ImageTransform
from recipes.sam_tiny_synthetic.affinity_loss import LOGIT_OFFSET
from recipes.sam_tiny_synthetic.run_directory import RunDirectory
from recipes.sam_tiny_synthetic.scene_dataset import build_scene_dataset
from recipes.sam_tiny_synthetic.scenes import canvas, objects, scene, simulate_camera, surfaces
from recipes.sam_tiny_synthetic.train import train
from recipes.sam_tiny_synthetic.training_config import Phase, TrainingConfig

IMAGE_SIZE = 128  # of scenes and images in pixels
WITH_NUCLEI = "with nuclei"  # the only variant that adds an ingredient

Patch = tuple[Any, str, Any]

affinity_phase = partial(
    Phase, IMAGE_SIZE, batch_size=16, masks_per_image=32, loss="affinity", color_jitter=True
)


def _objects_without(*kinds: Callable[..., None]) -> list[Callable[..., None]]:
    return [kind for kind in scene.OBJECTS if kind not in kinds]


def _no_noise(size: int, rng: np.random.Generator) -> np.ndarray:
    return np.zeros((size, size), np.float32)


def _no_camera(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


# Patches of module attributes for each variant: (module, name, value).
VARIANTS: dict[str, tuple[Patch, ...]] = {
    "all ingredients": (),
    "no regions": ((scene, "REGIONS_PROBABILITY", 0.0),),
    "no objects with parts": (
        (
            scene,
            "OBJECTS",
            _objects_without(objects.draw_animal, objects.draw_building, objects.draw_plant),
        ),
    ),
    "no thin or repeated objects": (
        (scene, "OBJECTS", _objects_without(objects.draw_cluster, objects.draw_tubes)),
    ),
    "no photo textures": ((surfaces, "PHOTO_PROBABILITY", 0.0),),
    "no texture but stripes": (
        (surfaces, "PHOTO_PROBABILITY", 0.0),
        (surfaces, "random_noise", _no_noise),
    ),
    "no shadows": (
        (canvas, "SHADOW_PROBABILITY", 0.0),
        (simulate_camera, "DAPPLED_LIGHT_PROBABILITY", 0.0),
    ),
    "no camera": ((scene, "simulate_camera", _no_camera),),
    WITH_NUCLEI: (),
}


def run_ablation(
    annotations: str | Path,
    images: str | Path,
    output: str | Path,
    *,
    dataset: str | None = None,
    num_scenes: int = 1000,
    steps: int = 300,
    seed: int = 1,
    dtype: str = "float32",
    variants: Iterable[str] | None = None,
) -> None:
    """Train an image encoder per variant of the scenes, measure it, and print a table.

    The encoders are trained by `AffinityLoss` alone. The mask of a point consists of the cells
    whose embeddings are similar to that at the point. Its IoU says nothing about the preset, but
    takes only minutes.

    Args:
        annotations: COCO annotations of the evaluation images.
        images: Folder of the evaluation images.
        output: Directory of the runs and of `results.jsonl`. Existing results are kept.
        dataset: Annotated images of nuclei, as `TrainingConfig.dataset`. `None` skips the
            variant that needs it.
        num_scenes: Number of scenes of each variant.
        steps: Number of training steps of each variant.
        seed: Seed of scenes and training. Several seeds show the noise.
        dtype: Dtype policy of training.
        variants: Names of variants to run; all if `None`.

    Raises:
        ValueError: If a variant is unknown.
    """
    names = list(VARIANTS if variants is None else variants)
    if unknown := set(names) - set(VARIANTS):
        raise ValueError(f"unknown variants {sorted(unknown)}; known are {list(VARIANTS)}")
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    results = output / "results.jsonl"
    evaluation_images = list(read_evaluation_images(read_coco(annotations), Path(images)))
    completed = {result["name"] for result in _read(results) if result["seed"] == seed}
    for name in names:
        if name in completed or (name == WITH_NUCLEI and dataset is None):
            continue
        config = TrainingConfig(
            phases=(affinity_phase(steps, annotated_share=0.2 if name == WITH_NUCLEI else 0.0),),
            image_size=IMAGE_SIZE,
            num_scenes=num_scenes,
            dataset=dataset if name == WITH_NUCLEI else None,
            seed=seed,
            dtype=dtype,
        )
        run = RunDirectory(output / f"{name.replace(' ', '_')}_{seed}")
        with patched(VARIANTS[name]):
            # In this process, since patches do not reach others. `train` uses these scenes.
            build_scene_dataset(run.scenes, count=num_scenes, seed=seed, size=IMAGE_SIZE)
        iou = point_iou(train(config, run.path), evaluation_images)
        with results.open("a") as file:
            file.write(json.dumps({"name": name, "seed": seed, "iou": iou}) + "\n")
        print_results(_read(results))


@contextmanager
def patched(patches: tuple[Patch, ...]) -> Iterator[None]:
    """Replace module attributes while the context is active."""
    with ExitStack() as stack:
        for module, name, value in patches:
            stack.enter_context(patch.object(module, name, value))
        yield


@dataclass(frozen=True)
class EvaluationImage:
    """An image, its masks, and a point for each.

    Attributes:
        transform: Transform of the image.
        pixels: Prepared image `(S, S, 3)`, float32.
        masks: Boolean masks `(H, W)` of the original.
        points: Points `(N, 2)` (x, y) in the model frame, one per mask.
    """

    transform: ImageTransform
    pixels: np.ndarray
    masks: list[np.ndarray]
    points: np.ndarray


def read_evaluation_images(dataset: CocoDataset, images: Path) -> Iterator[EvaluationImage]:
    """Yield the images that have masks, with the most interior point of each mask."""
    for image in dataset.images:
        annotated = [annotation.mask() for annotation in image.annotations]
        masks = [mask for mask in annotated if mask.any()]
        if masks:
            pixels = read_image(images / image.file_name)
            transform = ImageTransform(pixels.shape[:2], (IMAGE_SIZE, IMAGE_SIZE))
            points = transform.apply_points(np.array([mask_interior_point(mask) for mask in masks]))
            yield EvaluationImage(transform, transform.apply_image(pixels), masks, points)


def point_iou(segmenter: Any, images: list[EvaluationImage]) -> float:
    """Compute the mean IoU of masks with the cells that are similar to that at their point."""
    ious = []
    for image in images:
        pixels = ops.convert_to_tensor(image.pixels[None])
        embedding = segmenter.encode_image(pixels, training=False)["image_embeddings"]
        embedding = ops.convert_to_numpy(ops.cast(embedding[0], "float32"))  # (G, G, D)
        cell_size = IMAGE_SIZE / embedding.shape[0]
        for target, point in zip(image.masks, image.points, strict=True):
            x, y = (point / cell_size).astype(int)
            similarity = embedding @ embedding[y, x] / embedding.shape[-1] ** 0.5
            mask = image.transform.postprocess_masks(similarity - LOGIT_OFFSET)
            ious.append(mask_iou(mask, target))
    return round(float(np.mean(ious)), 4)


def print_results(results: list[dict[str, Any]]) -> None:
    """Print a table of the variants and their mean IoU over all seeds."""
    table = Table("scenes", "IoU of a point", title="image encoders trained by affinity loss")
    for name in VARIANTS:
        ious = [result["iou"] for result in results if result["name"] == name]
        if ious:
            each = ", ".join(f"{iou:.3f}" for iou in ious)
            table.add_row(name, f"{np.mean(ious):.3f} ({each})")
    Console().print(table)


def _read(results: Path) -> list[dict[str, Any]]:
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text().splitlines()]
