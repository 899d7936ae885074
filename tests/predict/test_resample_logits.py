"""Resampling between crops against one cell at a time."""

import numpy as np
import pytest

from keras_sam.predict.resample_logits import resample_logits
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import Preprocessing

FRAME = (64, 64)
CELLS = 16
IMAGE = (0, 0, 90, 60)
CROPS = [IMAGE, (20, 10, 50, 40), (30, 20, 41, 31), (60, 24, 90, 60)]


def transform_of(box, resize):
    x0, y0, x1, y1 = box
    return ImageTransform((y1 - y0, x1 - x0), FRAME, Preprocessing(resize=resize))


def cell_size(box, transform, axis):
    """Return the size of a low-res cell in pixels of the original, along y (0) or x (1)."""
    pixels = box[3] - box[1] if axis == 0 else box[2] - box[0]
    return pixels / transform.input_size[axis] * FRAME[axis] / CELLS


def resample_cell(logits, source, target, row, column):
    """Return one resampled logit, or None if the cell is outside the source crop."""
    weights = []
    for axis, index in ((0, row), (1, column)):
        start, stop = source[0][1 - axis], source[0][3 - axis]
        size, target_size = (cell_size(*crop, axis) for crop in (source, target))
        center = target[0][1 - axis] + (index + 0.5) * target_size  # in the original
        if not start <= center <= stop:
            return None
        position = min(max((center - start) / size - 0.5, 0), CELLS - 1)
        width = max(1, target_size / size)
        weights.append([max(0, 1 - abs(position - cell) / width) for cell in range(CELLS)])
    total = weight_sum = 0.0
    for i, vertical in enumerate(weights[0]):
        for j, horizontal in enumerate(weights[1]):
            total += vertical * horizontal * logits[i, j]
            weight_sum += vertical * horizontal
    return total / weight_sum


@pytest.mark.parametrize("resize", ["longest_side", "stretch"])
@pytest.mark.parametrize("crop", CROPS[1:], ids=["inner", "small", "corner"])
@pytest.mark.parametrize("is_zoomed_in", [True, False], ids=["to crop", "to image"])
def test_equal_to_one_cell_at_a_time(crop, is_zoomed_in, resize):
    logits = np.random.default_rng(0).normal(size=(CELLS, CELLS)).astype(np.float32)
    boxes = (IMAGE, crop) if is_zoomed_in else (crop, IMAGE)
    source, target = ((box, transform_of(box, resize)) for box in boxes)
    resampled = resample_logits(logits, source, target)
    assert resampled.dtype == np.float32
    num_outside = 0
    for row, column in np.ndindex(CELLS, CELLS):
        expected = resample_cell(logits, source, target, row, column)
        num_outside += expected is None
        expected = -16 if expected is None else expected
        assert resampled[row, column] == pytest.approx(expected, abs=1e-4)
    assert num_outside < CELLS**2 - 1
    assert is_zoomed_in or num_outside > CELLS**2 / 2


def test_each_mask_is_resampled_alone():
    logits = np.random.default_rng(1).normal(size=(2, 3, CELLS, CELLS))
    source, target = ((box, transform_of(box, "stretch")) for box in CROPS[:2])
    resampled = resample_logits(logits, source, target)
    assert resampled.shape == logits.shape
    for index in np.ndindex(2, 3):
        expected = resample_logits(logits[index], source, target)
        np.testing.assert_allclose(resampled[index], expected, rtol=1e-6)


def test_the_same_crop_is_unchanged_except_for_the_padding():
    logits = np.random.default_rng(2).normal(size=(CELLS, CELLS)).astype(np.float32)
    crop = IMAGE, transform_of(IMAGE, "longest_side")
    resampled = resample_logits(logits, crop, crop)
    rows = -(-crop[1].input_size[0] * CELLS // FRAME[0])
    assert 0 < rows < CELLS
    np.testing.assert_allclose(resampled[:rows], logits[:rows], atol=1e-5)
    assert (resampled[rows:] == -16).all()


def test_a_linear_function_of_the_position_stays_linear():
    """Positions are in the original, so the two grids have the same values at the same point."""
    source, target = ((box, transform_of(box, "stretch")) for box in ((0, 0, 80, 80), CROPS[1]))

    def x_of_cells(box, transform):
        centers = (np.arange(CELLS) + 0.5) * cell_size(box, transform, 1)
        return np.tile(box[0] + centers, (CELLS, 1)).astype(np.float32)

    resampled = resample_logits(x_of_cells(*source), source, target)
    np.testing.assert_allclose(resampled, x_of_cells(*target), atol=1e-3)
