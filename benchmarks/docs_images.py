"""`python -m benchmarks docs-images`: the documentation's images of masks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from benchmarks.sample_photos import SAMPLE_DIR, sample_photos
from keras_sam import (
    MultiScalePredictor,
    SAMImageSegmenter,
    SAMMaskGenerator,
    SAMPredictor,
    draw_overlay,
    read_image,
)
from keras_sam.annotations import mask_to_record, read_coco
from keras_sam.drawing import draw_annotations
from keras_sam.masks import mask_to_box

SPOON, CUP = (366, 285), (175, 18, 412, 310)  # the point and the box of `make demo`
# Typical failures: a lattice tower, a glossy saucer, wood, fur.
FAILURES = (
    ("rocket.jpg", (48, 260)),
    ("coffee.jpg", (120, 250)),
    ("coffee.jpg", (540, 160)),
    ("chelsea.jpg", (300, 60)),
)
NUCLEI = "7f2b15454116.jpg"  # a validation image with 102 nuclei
NUCLEI_REGION = (slice(0, 260), slice(0, 348))  # rows and columns that are shown
WHITE = 255
GAP = 8  # pixels between images


def main(
    preset: Annotated[str, typer.Option(help="Name or directory.")] = "sam_tiny_synthetic",
    output: Annotated[Path, typer.Option(help="Folder for the images.")] = Path("docs/images"),
    nuclei: Annotated[
        Path | None,
        typer.Option(help="Folder of labeled nuclei: images/ and annotations.json."),
    ] = None,
) -> None:
    """Draw masks of prompts, automatic masks, failures, and nuclei if there are labeled ones."""
    predictor = SAMPredictor(SAMImageSegmenter.from_preset(preset))
    output.mkdir(parents=True, exist_ok=True)
    prompts = [draw_point_mask(predictor, "coffee.jpg", SPOON), draw_box_mask(predictor)]
    save_image(output / "coffee.jpg", join_row(prompts))
    failures = [draw_point_mask(predictor, *failure) for failure in FAILURES]
    save_image(output / "tiny_failures.jpg", join_row(resize_all(failures, height=214)))
    automatic = draw_automatic_masks(predictor)
    (coffee,) = resize_all([automatic["coffee"]], height=560)
    save_image(output / "coffee_everything.jpg", coffee)
    photos = resize_all(list(automatic.values()), height=340)
    grid = join_column([join_row(photos[:2]), join_row(photos[2:])])
    save_image(output / "tiny_everything.jpg", grid)
    if nuclei is not None:
        drawn = list(draw_nuclei(predictor, nuclei))
        save_image(output / "zoom.jpg", join_row(resize_all(drawn, height=400)))


def draw_point_mask(predictor: SAMPredictor, name: str, point: tuple[int, int]) -> np.ndarray:
    """Draw the mask with the highest predicted IoU for a point of a photograph."""
    image = read_image(SAMPLE_DIR / name)
    predictor.set_image(image)
    masks, iou_predictions, _ = predictor.predict([point], [1])
    return draw_overlay(image, masks[iou_predictions.argmax()], points=[point])


def draw_box_mask(predictor: SAMPredictor) -> np.ndarray:
    """Draw the mask of the cup's box."""
    image = read_image(SAMPLE_DIR / "coffee.jpg")
    predictor.set_image(image)
    masks, _, _ = predictor.predict(box=CUP, multimask_output=False)
    return draw_overlay(image, masks[0], boxes=[CUP])


def draw_automatic_masks(predictor: SAMPredictor) -> dict[str, np.ndarray]:
    """Draw the automatic masks of each photograph of the package, by the photograph's name."""
    generator = SAMMaskGenerator(predictor, points_per_side=24, min_mask_region_area=200)
    drawn = {}
    for path in sample_photos():
        image = read_image(path)
        drawn[path.stem] = draw_annotations(image, generator.generate(image))
    return drawn


def draw_nuclei(predictor: SAMPredictor, folder: Path) -> Iterator[np.ndarray]:
    """Draw the masks of the boxes of nuclei: predicted in the whole image, then in crops."""
    annotated = read_coco(folder / "annotations.json").images
    (labeled,) = (image for image in annotated if image.file_name == NUCLEI)
    image = read_image(folder / "images" / NUCLEI)
    boxes = [mask_to_box(note.mask()) for note in labeled.annotations]
    for one in (predictor, MultiScalePredictor(predictor)):
        one.set_image(image)
        masks = one.predict_many(boxes=boxes, multimask_output=False)[0][:, 0]
        visible = [part for mask in masks if (part := mask[NUCLEI_REGION]).any()]
        records = [mask_to_record(mask) for mask in visible]
        yield draw_annotations(image[NUCLEI_REGION], records, legend=False)


def join_row(images: Sequence[np.ndarray]) -> np.ndarray:
    """Join images `(H, W, 3)` in a row on white, with gaps."""
    height = max(len(image) for image in images)
    padded = [
        np.pad(image, ((0, height - len(image)), (0, GAP), (0, 0)), constant_values=WHITE)
        for image in images
    ]
    return np.concatenate(padded, axis=1)[:, :-GAP]


def join_column(images: Sequence[np.ndarray]) -> np.ndarray:
    """Join images `(H, W, 3)` in a column on white, with gaps."""
    return join_row([image.swapaxes(0, 1) for image in images]).swapaxes(0, 1)


def resize_all(images: Sequence[np.ndarray], *, height: int) -> list[np.ndarray]:
    """Resize images to a height and keep their aspect ratios."""
    return [
        np.asarray(
            Image.fromarray(image).resize(
                (round(image.shape[1] * height / image.shape[0]), height), Image.Resampling.LANCZOS
            )
        )
        for image in images
    ]


def save_image(path: Path, image: np.ndarray) -> None:
    """Write a JPEG file and print its path."""
    Image.fromarray(image).save(path, quality=88)
    typer.echo(str(path))
