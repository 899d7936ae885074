"""Images with two rectangles each, and their scores before and after training."""

import numpy as np
from PIL import Image

from keras_sam.annotations.labeled_dataset import LabeledDataset, LabeledImage, LabeledMask
from keras_sam.evaluate import evaluate_dataset
from tests.evaluate.known_masks import BOXES, SIZE, KnownMasks, rectangle


class ExactBoxes(KnownMasks):
    """Predicts exact masks for boxes, and empty masks for points."""

    def predict_many(self, point_coords=None, point_labels=None, boxes=None, *args, **options):
        if boxes is None:
            masks, *others = super().predict_many(
                point_coords, point_labels, boxes, *args, **options
            )
            return np.zeros_like(masks), *others
        masks = np.array([[rectangle(*np.asarray(box).astype(int))] for box in boxes])
        return masks, np.ones((len(boxes), 1)), np.zeros((len(boxes), 1, 4, 4), np.float32)


def write_dataset(folder, names=("a.png", "b.png"), categories=("cat", "dog")):
    """Write smooth images with the masks of `BOXES`."""
    images = []
    for index, name in enumerate(names):
        y, x = np.mgrid[: SIZE[0], : SIZE[1]]
        pixels = np.stack([2 * x, 3 * y, np.full_like(x, 40 * index)], axis=-1)
        path = folder / f"{index}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        labels = [
            LabeledMask(category, lambda box=box: rectangle(*box))
            for category, box in zip(categories, BOXES, strict=True)
        ]
        images.append(LabeledImage(name, path, lambda labels=labels: labels))
    return LabeledDataset(tuple(images), "coco", folder)


def evaluate_both(dataset):
    """Return the scores of masks that are 2 pixels too narrow, and of exact ones."""
    return evaluate_dataset(KnownMasks(), dataset), evaluate_dataset(ExactBoxes(), dataset)
