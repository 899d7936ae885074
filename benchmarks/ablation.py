"""What each ingredient of the procedural scenes does for photographs: trained without it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import keras
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from keras_sam.geometry import CocoDataset, ModelFrame, deepest_point, read_coco, read_image
from keras_sam.train import camera, canvas, scene_objects, scenes, surfaces
from keras_sam.train.affinity_loss import OFFSET, AffinityLoss
from keras_sam.train.batches import Batches, BatchOptions
from keras_sam.train.labelled_store import build_labelled_store
from keras_sam.train.scene_store import build_store
from keras_sam.train.tiny_segmenter import tiny_segmenter
from keras_sam.train.warmup_cosine import WarmupCosine

SIZE = 128  # of scenes and images in pixels
NUCLEI = "with nuclei"  # the one ingredient that is added, not left out

Patch = tuple[Any, str, Any]


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
    labelled: Annotated[
        Path | None, typer.Option(help="Nuclei: images/, annotations.json.")
    ] = None,
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
        if name in done or (name == NUCLEI and labelled is None):
            continue
        stores = [output / f"{name.replace(' ', '_')}_{seed}"]
        with patched(INGREDIENTS[name]):
            build_store(stores[0], count=count, seed=seed, size=SIZE)  # in this process
        if name == NUCLEI and labelled is not None:
            stores.append(output / f"labelled_{seed}")
            build_labelled_store(stores[1], labelled, seed=seed, size=SIZE)
        encoder = train_encoder(stores, steps=steps, seed=seed, dtype=dtype)
        line = {"name": name, "seed": seed, "iou": click_iou(encoder, photographs)}
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


def train_encoder(stores: list[Path], *, steps: int, seed: int, dtype: str) -> keras.Model:
    """A segmenter from nothing whose image encoder learned from scenes."""
    keras.utils.set_random_seed(seed)
    segmenter = tiny_segmenter(SIZE, dtype=dtype)
    for part in (segmenter.backbone.prompt_encoder, segmenter.backbone.mask_decoder):
        part.trainable = False
    optimizer = keras.optimizers.AdamW(
        WarmupCosine(1e-3, steps), weight_decay=0.05, beta_2=0.98, global_clipnorm=1.0
    )
    segmenter.compile(optimizer, loss=AffinityLoss())
    shares = (1.0,) if len(stores) == 1 else (0.8, 0.2)
    batches = Batches(
        BatchOptions(
            stores=tuple(map(str, stores)),
            weights=shares,
            min_shares=(0.004, 0.0006)[: len(stores)],
            min_crops=(0.5, 0.8)[: len(stores)],
            image_size=SIZE,
            low_res_size=segmenter.backbone.low_res_size[0],
            images=16,
            prompts=32,
            is_jittered=True,
            seed=seed,
        )
    )
    for step in range(steps):
        segmenter.train_on_batch(*batches[step])
    return segmenter


@dataclass(frozen=True)
class Photograph:
    """An image in the model frame, its masks, and a click on each."""

    frame: ModelFrame
    image: np.ndarray
    masks: list[np.ndarray]
    clicks: np.ndarray


def read_photographs(dataset: CocoDataset, images: Path) -> Iterator[Photograph]:
    """Each image that has masks; a click is deepest inside its mask."""
    for image in dataset.images:
        masks = [mask for note in image.annotations if (mask := note.mask()).any()]
        if masks:
            pixels = read_image(images / image.file_name)
            frame = ModelFrame(pixels.shape[:2], (SIZE, SIZE))
            clicks = frame.to_model_points(np.array([deepest_point(mask) for mask in masks]))
            yield Photograph(frame, frame.to_model_image(pixels), masks, clicks)


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
            found = photograph.frame.to_original_masks(logits)
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
