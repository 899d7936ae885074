"""`python -m benchmarks int8`: loss of accuracy with an 8-bit image encoder."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.console import print_table
from benchmarks.sample_photos import sample_photos
from keras_sam import SAMImageSegmenter, SAMPredictor, read_image
from keras_sam.annotations import read_coco
from keras_sam.engines import Int8Encoder
from keras_sam.evaluate import evaluate

METRICS = ("box_iou", "point_iou", "point_oracle_iou", "three_point_iou")
EMBEDDING = "image_embeddings"


def main(
    annotations: Annotated[Path, typer.Argument(help="COCO annotations, a JSON file.")],
    images: Annotated[Path, typer.Option(help="Folder of the images.")],
    preset: Annotated[str, typer.Option(help="Name or directory.")] = "sam_tiny_synthetic",
    max_images: Annotated[int | None, typer.Option(min=1, help="Maximum number of images.")] = None,
) -> None:
    """Compare float32 with int8 on labeled images. Needs KERAS_BACKEND=openvino and NNCF.

    The encoder is calibrated on the photographs of the package. Masks are not refined, since
    refinement would hide a part of the loss.
    """
    dataset = read_coco(annotations)
    model = SAMImageSegmenter.from_preset(preset)
    int8_encoder = Int8Encoder.quantize(model, [read_image(photo) for photo in sample_photos()])
    predictors = {
        "float32": SAMPredictor(model, mask_refiner=None),
        "int8": SAMPredictor(model, mask_refiner=None, int8_encoder=int8_encoder),
    }
    files = [images / image.file_name for image in dataset.images[:max_images]]
    rows = []
    for name, predictor in predictors.items():
        difference = median_difference(predictor, predictors["float32"], files)
        evaluation = evaluate(predictor, dataset, images, max_images=max_images)
        metrics = [f"{getattr(evaluation, metric):.3f}" for metric in METRICS]
        rows.append([name, f"{difference:.3f}", *metrics])
    print_table(preset, ("precision", "embedding difference", *METRICS), rows)


def median_difference(predictor: SAMPredictor, reference: SAMPredictor, files: list[Path]) -> float:
    """Return the median relative L2 difference between the embeddings of two predictors."""
    differences = []
    for file in files:
        actual, expected = (_embedding(one, file) for one in (predictor, reference))
        differences.append(np.linalg.norm(actual - expected) / np.linalg.norm(expected))
    return float(np.median(differences))


def _embedding(predictor: SAMPredictor, file: Path) -> np.ndarray:
    predictor.set_image(file)
    return predictor.get_image_embedding().arrays[EMBEDDING]
