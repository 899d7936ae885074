"""`python -m benchmarks finetune-memory`: memory of training steps, estimated and measured.

Each row is the peak of the resident set of a process of its own, which takes two steps with
PyTorch on one thread. Weights, images and masks are random. The part "decoder" is trained on an
image embedding.
"""

import json
from typing import Annotated, Any

import typer

from benchmarks.call_in_process import call_in_process
from benchmarks.console import print_table
from benchmarks.peak_memory import resident_bytes

ENVIRONMENT = {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"}
NUM_STEPS = 2  # the first creates the optimizer's moments
COLUMNS = ("part", "images", "masks", "remat", "estimated", "measured", "difference")


def main(
    preset: Annotated[
        str, typer.Option(help="Built-in preset whose config is used.")
    ] = "sam_tiny_synthetic",
    image_size: Annotated[
        int | None, typer.Option(help="Side of the images in pixels. Default: the preset's.")
    ] = None,
    parts: Annotated[
        str, typer.Option(help="Trained parts, separated by commas.")
    ] = "decoder,lora,all",
    masks: Annotated[
        str, typer.Option(help="Numbers of masks per image, separated by commas.")
    ] = "4,16",
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare the memory estimates of fine-tuning with measured peaks."""
    rows = []
    for part in parts.split(","):
        for masks_per_image in map(int, masks.split(",")):
            for remat in (False, True):
                settings = {
                    "part": part,
                    "batch_size": batch_size,
                    "masks_per_image": masks_per_image,
                    "remat": remat,
                }
                arguments = {"preset": preset, "image_size": image_size, "settings": settings}
                metrics = call_in_process(measure, arguments, environment=ENVIRONMENT)
                rows.append(settings | metrics)
    if as_json:
        print(json.dumps(rows))
        return
    print_table(f"Training steps of {preset}", COLUMNS, map(format_row, rows))


def measure(preset: str, image_size: int | None, settings: dict[str, Any]) -> dict[str, int]:
    """Train a model in this process.

    Args:
        preset: Built-in preset whose config is used.
        image_size: Side of the images in pixels. If `None`, that of the preset.
        settings: Arguments of `estimate_memory` after the model.

    Returns:
        Bytes: `estimated` by `estimate_memory`; `measured`, the peak of the resident set; and
        `started`, the resident set before the model was built.
    """
    from keras_sam.losses import InteractiveSegmentationLoss
    from keras_sam.models import SAMImageSegmenter
    from keras_sam.train.memory_plan import estimate_memory

    started = resident_bytes("VmRSS")
    shape = {} if image_size is None else {"image_shape": (image_size, image_size, 3)}
    segmenter = SAMImageSegmenter.from_preset(
        preset, load_weights=False, preprocessor=None, **shape
    )
    estimate = estimate_memory(segmenter, **settings)
    part, remat = settings["part"], settings["remat"]
    segmenter.set_trained_part(part, remat=remat)
    segmenter.compile("auto", loss=InteractiveSegmentationLoss(seed=0, remat=remat))
    x, y = _random_batch(segmenter, part, settings["batch_size"], settings["masks_per_image"])
    for _ in range(NUM_STEPS):
        segmenter.train_on_batch(x, y)
    return {
        "estimated": estimate.total_bytes,
        "measured": resident_bytes("VmHWM"),
        "started": started,
    }


def _random_batch(segmenter: Any, part: str, images: int, masks: int) -> tuple[Any, Any]:
    """Images or embeddings, and rectangles as masks."""
    import numpy as np

    random = np.random.default_rng(0)
    height, width, _ = segmenter.backbone.image_shape
    targets = np.zeros((images, masks, height, width), "uint8")
    for target in targets.reshape(-1, height, width):
        top, left = random.integers(0, height // 2), random.integers(0, width // 2)
        target[top : top + height // 3, left : left + width // 4] = 1
    shapes = segmenter.backbone.embedding_shapes if part == "decoder" else {}
    shapes = shapes or {"images": (height, width, 3)}
    arrays = {
        name: random.random((images, *shape), dtype="float32") for name, shape in shapes.items()
    }
    return arrays, {"masks": targets}


def format_row(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row."""
    return [
        row["part"],
        str(row["batch_size"]),
        str(row["masks_per_image"]),
        "yes" if row["remat"] else "no",
        f"{row['estimated'] / 1e9:.2f} GB",
        f"{row['measured'] / 1e9:.2f} GB",
        f"{row['estimated'] / row['measured'] - 1:+.0%}",
    ]
