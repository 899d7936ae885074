"""What is lost in 8-bit integers: the embedding, and the masks of labeled images."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.contenders.ours import PHOTOGRAPHS
from keras_sam.annotations.coco import read_coco
from keras_sam.engines.int8_encoder import Int8Encoder
from keras_sam.evaluate.evaluate import Evaluation, evaluate
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.predictor import SAMPredictor

SCORES = ("box", "click", "point_oracle_iou", "three_point_iou")


def main(
    annotations: Annotated[Path, typer.Argument(help="COCO annotations, a JSON file.")],
    images: Annotated[Path, typer.Option(help="The folder with the images.")],
    preset: Annotated[str, typer.Option(help="Name or directory.")] = "sam_tiny_synthetic",
    limit: Annotated[int | None, typer.Option(help="Only the first images.")] = None,
) -> None:
    """Float32 and int8 side by side, with KERAS_BACKEND=openvino."""
    dataset = read_coco(annotations)
    # Its own masks: outlines that are moved to the image's edges would hide a part of the loss.
    model = SAMImageSegmenter.from_preset(preset)
    model.preprocessing |= {"outlines": "model", "ratings": None}
    int8_encoder = Int8Encoder.quantize(model, sorted(PHOTOGRAPHS.glob("*.jpg")))
    predictors = {
        "float32": SAMPredictor(model),
        "int8": SAMPredictor(model, int8_encoder=int8_encoder),
    }
    files = [images / image.file_name for image in dataset.images[:limit]]
    table = Table("", "embedding off by", *SCORES)
    for name, predictor in predictors.items():
        difference = median_difference(predictor, predictors["float32"], files)
        found = evaluate(predictor, dataset, images, limit=limit)
        table.add_row(name, f"{difference:.3f}", *_scores(found))
    Console().print(table)


def median_difference(found: SAMPredictor, expected: SAMPredictor, files: list[Path]) -> float:
    """Of the embeddings of images: the L2 norm of the difference over that of the embedding."""
    differences = []
    for file in files:
        embeddings = []
        for predictor in (found, expected):
            predictor.set_image(file)
            embeddings.append(predictor.get_image_embedding().embedding)
        ours, theirs = embeddings
        differences.append(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
    return float(np.median(differences))


def _scores(evaluation: Evaluation) -> list[str]:
    return [f"{getattr(evaluation, name):.3f}" for name in SCORES]
