"""Crops of an image in layers."""

import numpy as np
import pytest

from keras_sam.predict.crops import Crop, crop_boxes
from tests.predict.reference_generator import crops_of_layer


@pytest.mark.parametrize("size", [(45, 80), (100, 60), (64, 64), (37, 201)])
@pytest.mark.parametrize("overlap_ratio", [0.0, 0.25, 512 / 1500])
def test_crops_are_those_of_meta(size, overlap_ratio):
    crops = crop_boxes(size, crop_n_layers=2, overlap_ratio=overlap_ratio)
    expected = [
        (box, layer) for layer in range(3) for box in crops_of_layer(layer, *size, overlap_ratio)
    ]
    assert [(crop.box, crop.layer) for crop in crops] == expected


def test_crops_of_each_layer_cover_the_image_and_overlap():
    crops = crop_boxes((90, 120), crop_n_layers=2, overlap_ratio=0.3)
    for layer, overlap in ((1, 27), (2, 13)):
        covered = np.zeros((90, 120), int)
        for crop in crops:
            if crop.layer == layer:
                x0, y0, x1, y1 = crop.box
                covered[y0:y1, x0:x1] += 1
        assert covered.min() == 1
        assert (covered[0] == 2).sum() == (2**layer - 1) * overlap


def test_size_and_shift_of_a_crop():
    crop = Crop((2, 3, 10, 7), 1)
    assert crop.size == (4, 8)
    assert crop.shifted(5, 1) == Crop((7, 4, 15, 8), 1)
