"""What each ingredient of the procedural scenes does for photographs: trained without it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import keras
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from keras_sam.annotations.coco import CocoDataset, read_coco
from keras_sam.images.read_image import read_image
from keras_sam.masks.measures import mask_interior_point
from keras_sam.transforms.image_transform import ImageTransform
from recipes.sam_tiny_synthetic import camera, canvas, scene_objects, scenes, surfaces
from recipes.sam_tiny_synthetic.affinity_loss import OFFSET
from recipes.sam_tiny_synthetic.scene_store import build_store
from recipes.sam_tiny_synthetic.train import train
from recipes.sam_tiny_synthetic.training_config import Phase, Recipe

SIZE = 128  # of scenes and images in pixels
NUCLEI = "with nuclei"  # the one ingredient that is added, not left out

Patch = tuple[Any, str, Any]

warm_up = partial(
    Phase, SIZE, images=16, prompts=32, loss="affinity", is_jittered=True, learning_rate=1e-3
)


def _without(*drawn: Callable[..., None]) -> list[Callable[..., None]]:
    return [kind for kind in scenes.KINDS if kind not in drawn]


def _as_painted(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def _no_noise(size: int, rng: np.random.Generator, index: int) -> np.ndarray:
    return np.zeros((size, size), np.float32)


# What is put in the place of what is drawn; the names are those of the table.
INGREDIENTS: dict[str, tuple[Patch, ...]] = {
    "all of them": (),
    "no regions that tile": ((scenes, "REGIONS_PROBABILITY", 0.0),),
    "no things made of parts": (
        (
            scenes,
            "KINDS",
            _without(
                scene_objects.draw_animal, scene_objects.draw_building, scene_objects.draw_plant
            ),
        ),
    ),
    "no thin or repeated things": (
        (scenes, "KINDS", _without(scene_objects.draw_cluster, scene_objects.draw_tubes)),
    ),
    "no grain of photographs": ((surfaces, "PHOTO_PROBABILITY", 0.0),),
    "no texture but stripes": (
        (surfaces, "PHOTO_PROBABILITY", 0.0),
        (surfaces, "_bank_crop", _no_noise),
    ),
    "no shadows": (
        (canvas.Canvas, "_shadow", lambda *_: None),
        (camera, "_dappled_light", lambda size, rng: np.ones((size, size), np.float32)),
    ),
    "no camera": ((scenes, "photograph", _as_painted),),
    NUCLEI: (),
}


def main(
    annotations: Annotated[Path, typer.Argument(help="COCO annotations to measure on.")],
    images: Annotated[Path, typer.Option(help="The folder with the images.")],
    labeled: Annotated[Path | None, typer.Option(help="Nuclei: images/, annotations.json.")] = None,
    output: Annotated[Path, typer.Option(help="A folder; what is there is kept.")] = Path(
        "runs/ablation"
    ),
    count: Annotated[int, typer.Option("--scenes", help="Scenes of a training.")] = 1000,
    steps: Annotated[int, typer.Option(help="Steps of a training.")] = 300,
    seed: Annotated[int, typer.Option(help="Run again with another to see the noise.")] = 1,
    dtype: Annotated[str, typer.Option(help="Policy of training.")] = "float32",
    only: Annotated[list[str] | None, typer.Option(help="Rows of the table; all.")] = None,
) -> None:
    """Trains image encoders by the dense warm-up, each without one ingredient of the scenes.

    A mask is where the embedding is like that at a click, deepest inside the true mask. That is no
    figure of the preset, but it comes from nothing in minutes.
    """
    output.mkdir(parents=True, exist_ok=True)
    log = output / "results.jsonl"
    photographs = list(read_photographs(read_coco(annotations), images))
    done = {one["name"] for one in _read(log) if one["seed"] == seed}
    if unknown := set(only or ()) - set(INGREDIENTS):
        raise typer.BadParameter(f"{sorted(unknown)}; expected some of {list(INGREDIENTS)}")
    for name in only or INGREDIENTS:
        if name in done or (name == NUCLEI and labeled is None):
            continue
        place = output / f"{name.replace(' ', '_')}_{seed}"
        with patched(INGREDIENTS[name]):  # drawn in this process; training finds them there
            build_store(place / "scenes", count=count, seed=seed, size=SIZE)
        recipe = Recipe(
            phases=(warm_up(steps, labeled_share=0.2 if name == NUCLEI else 0.0),),
            image_size=SIZE,
            scenes=count,
            labeled=str(labeled) if name == NUCLEI else None,
            seed=seed,
            dtype=dtype,
        )
        segmenter = train(recipe, place)
        line = {"name": name, "seed": seed, "iou": click_iou(segmenter, photographs)}
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print_results(_read(log))


def _read(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@contextmanager
def patched(patches: tuple[Patch, ...]) -> Iterator[None]:
    """Scenes are drawn with other constants and functions."""
    with ExitStack() as stack:
        for owner, name, value in patches:
            stack.enter_context(patch.object(owner, name, value))
        yield


@dataclass(frozen=True)
class Photograph:
    """An image in the model frame, its masks, and a click on each."""

    frame: ImageTransform
    image: np.ndarray
    masks: list[np.ndarray]
    clicks: np.ndarray


def read_photographs(dataset: CocoDataset, images: Path) -> Iterator[Photograph]:
    """Each image that has masks; a click is deepest inside its mask."""
    for image in dataset.images:
        masks = [mask for note in image.annotations if (mask := note.mask()).any()]
        if masks:
            pixels = read_image(images / image.file_name)
            frame = ImageTransform(pixels.shape[:2], (SIZE, SIZE))
            clicks = frame.apply_points(np.array([mask_interior_point(mask) for mask in masks]))
            yield Photograph(frame, frame.apply_image(pixels), masks, clicks)


def click_iou(segmenter: Any, photographs: list[Photograph]) -> float:
    """Mean IoU of what looks like the clicked place of each mask."""
    ious = []
    for photograph in photographs:
        inputs = keras.ops.convert_to_tensor(photograph.image[None])
        embedding = segmenter.encode_image(inputs, training=False)[0]
        embedding = keras.ops.convert_to_numpy(keras.ops.cast(embedding, "float32"))
        cells = embedding.shape[0]
        for mask, click in zip(photograph.masks, photograph.clicks, strict=True):
            x, y = (click * cells / SIZE).astype(int)
            logits = embedding @ embedding[y, x] / embedding.shape[-1] ** 0.5 - OFFSET
            found = photograph.frame.postprocess_masks(logits)
            ious.append(np.count_nonzero(found & mask) / np.count_nonzero(found | mask))
    return round(float(np.mean(ious)), 4)


def print_results(done: list[dict[str, Any]]) -> None:
    """A row for each ingredient, and what the others make of it."""
    table = Table("scenes with", "IoU of a click", title="image encoders after the dense warm-up")
    for name in INGREDIENTS:
        found = [one["iou"] for one in done if one["name"] == name]
        if found:
            each = ", ".join(f"{iou:.3f}" for iou in found)
            table.add_row(name, f"{np.mean(found):.3f} ({each})")
    Console().print(table)
