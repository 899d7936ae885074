"""The pictures in the documentation of what a preset finds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

import keras_sam
from keras_sam.annotations.coco import read_coco
from keras_sam.annotations.mask_record import mask_to_record
from keras_sam.drawing.draw_annotations import draw_annotations
from keras_sam.drawing.overlay import draw_overlay
from keras_sam.images.read_image import read_image
from keras_sam.masks.measures import mask_to_box
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.mask_generator import SAMMaskGenerator
from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
from keras_sam.predict.predictor import SAMPredictor

PHOTOGRAPHS = Path(keras_sam.__file__).parent / "assets"
SPOON, CUP = (366, 285), (175, 18, 412, 310)  # the click and the box of `make demo`
# Where it fails: a lattice tower, a glossy saucer, wood, fur.
FAILURES = (
    ("rocket.jpg", (48, 260)),
    ("coffee.jpg", (120, 250)),
    ("coffee.jpg", (540, 160)),
    ("chelsea.jpg", (300, 60)),
)
NUCLEI = "7f2b15454116.jpg"  # of those held out; 102 nuclei
PART = (slice(0, 260), slice(0, 348))  # of it, to be drawn large
WHITE = 255
GAP = 8  # pixels between pictures


def main(
    preset: Annotated[str, typer.Option(help="Name or directory.")] = "sam_tiny_synthetic",
    output: Annotated[Path, typer.Option(help="A folder.")] = Path("docs/images"),
    labeled: Annotated[Path | None, typer.Option(help="The folder of labeled nuclei.")] = None,
) -> None:
    """Draws the demo, everything on each photograph of the package, failures, and nuclei."""
    predictor = SAMPredictor(SAMImageSegmenter.from_preset(preset))
    output.mkdir(parents=True, exist_ok=True)
    _save(
        output / "coffee.jpg", beside([_clicked(predictor, "coffee.jpg", SPOON), _cup(predictor)])
    )
    failures = [_clicked(predictor, name, click) for name, click in FAILURES]
    _save(output / "tiny_failures.jpg", beside([_of_height(one, 214) for one in failures]))
    generator = SAMMaskGenerator(predictor, points_per_side=24, min_mask_region_area=200)
    drawn = {}
    for name in ("astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg"):
        image = read_image(PHOTOGRAPHS / name)
        drawn[name] = draw_annotations(image, generator.generate(image))
    _save(output / "coffee_everything.jpg", _of_height(drawn["coffee.jpg"], 560))
    four = [_of_height(one, 340) for one in drawn.values()]
    _save(output / "tiny_everything.jpg", below([beside(four[:2]), beside(four[2:])]))
    if labeled is not None:
        _save(
            output / "zoom.jpg",
            beside([_of_height(one, 400) for one in _nuclei(predictor, labeled)]),
        )


def beside(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures `(H, W, 3)` in a row, with gaps, on white."""
    height = max(len(one) for one in pictures)
    padded = [
        np.pad(one, ((0, height - len(one)), (0, GAP), (0, 0)), constant_values=WHITE)
        for one in pictures
    ]
    return np.concatenate(padded, axis=1)[:, :-GAP]


def below(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures `(H, W, 3)` in a column."""
    return beside([one.swapaxes(0, 1) for one in pictures]).swapaxes(0, 1)


def _clicked(predictor: SAMPredictor, name: str, click: tuple[int, int]) -> np.ndarray:
    """The mask rated best of one click on a photograph of the package."""
    image = read_image(PHOTOGRAPHS / name)
    predictor.set_image(image)
    masks, ratings, _ = predictor.predict([click], [1])
    return draw_overlay(image, masks[ratings.argmax()], points=[click])


def _cup(predictor: SAMPredictor) -> np.ndarray:
    image = read_image(PHOTOGRAPHS / "coffee.jpg")
    predictor.set_image(image)
    masks, _, _ = predictor.predict(box=CUP, multimask_output=False)
    return draw_overlay(image, masks[0], boxes=[CUP])


def _nuclei(predictor: SAMPredictor, folder: Path) -> Iterator[np.ndarray]:
    """The masks of the true boxes of nuclei, as the whole image shows them, then from near."""
    images = read_coco(folder / "annotations.json").images
    (labeled,) = (image for image in images if image.file_name == NUCLEI)
    image = read_image(folder / "images" / NUCLEI)
    boxes = [mask_to_box(note.mask()) for note in labeled.annotations]
    for seen in (predictor, MultiScalePredictor(predictor)):
        seen.set_image(image)
        masks = seen.predict_many(boxes=boxes, multimask_output=False)[0][:, 0]
        parts = [part for mask in masks if (part := mask[PART]).any()]
        yield draw_annotations(image[PART], [mask_to_record(one) for one in parts], legend=False)


def _of_height(picture: np.ndarray, height: int) -> np.ndarray:
    width = round(picture.shape[1] * height / picture.shape[0])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def _save(path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(path, quality=88)
    typer.echo(str(path))
