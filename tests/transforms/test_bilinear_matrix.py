"""Interpolation matrices against `np.interp`, and their slices against brute force."""

import numpy as np
import pytest

from keras_sam.transforms.bilinear_matrix import (
    ROWS_PER_BLOCK,
    BilinearMatrix,
    interpolation_weights,
    stretch_weights,
)

# Cells, side of the model frame, side of the image in it, pixels of the original.
SIDES = [(8, 32, 32, 50), (8, 32, 21, 13), (16, 64, 64, 64), (4, 16, 1, 7), (8, 32, 32, 3)]


def interpolate_slowly(values: np.ndarray, new_size: int) -> np.ndarray:
    """Interpolate between the centers of pixels that fill the same length; constant beyond."""
    size = len(values)
    positions = (np.arange(new_size) + 0.5) / new_size
    return np.interp(positions, (np.arange(size) + 0.5) / size, values)


def matrix_of(sides: tuple[int, int, int, int]) -> BilinearMatrix:
    return BilinearMatrix(interpolation_weights(*sides))


@pytest.mark.parametrize(("cells", "pixels"), [(8, 30), (8, 8), (30, 8), (1, 5), (5, 1)])
def test_stretch_weights_are_one_linear_resize(cells, pixels):
    values = np.random.default_rng(0).normal(size=cells)
    weights = stretch_weights(cells, pixels)
    assert (weights.shape, weights.dtype) == ((pixels, cells), np.float32)
    np.testing.assert_allclose(weights @ values, interpolate_slowly(values, pixels), atol=1e-5)


@pytest.mark.parametrize("sides", SIDES)
def test_interpolation_weights_are_two_resizes_with_a_crop_between(sides):
    cells, image_side, input_side, pixels = sides
    values = np.random.default_rng(0).normal(size=cells)
    expected = interpolate_slowly(interpolate_slowly(values, image_side)[:input_side], pixels)
    weights = interpolation_weights(*sides)
    assert (weights.shape, weights.dtype) == ((pixels, cells), np.float32)
    np.testing.assert_allclose(weights @ values, expected, atol=1e-5)


@pytest.mark.parametrize("sides", SIDES)
def test_slices_contain_exactly_the_dependent_entries(sides):
    matrix = matrix_of(sides)
    cells, pixels = sides[0], sides[3]
    for start in range(pixels):
        for stop in range(start + 1, min(pixels, start + 12) + 1):
            used = np.flatnonzero(matrix.weights[start:stop].any(axis=0))
            expected = slice(used[0], used[-1] + 1)
            assert matrix.source_slice(slice(start, stop)) == expected
    for first in range(cells):
        for last in range(first, cells):
            dependent = np.flatnonzero(matrix.weights[:, first : last + 1].any(axis=1))
            targets = matrix.target_slice(first, last)
            np.testing.assert_array_equal(np.arange(targets.start, targets.stop), dependent)


def test_cells_of_the_padding_have_no_target_pixels():
    targets = matrix_of((8, 32, 12, 24)).target_slice(5, 7)
    assert targets.start >= targets.stop


@pytest.mark.parametrize("pixels", [slice(0, 200), slice(3, 140), slice(199, 200)])
def test_row_blocks_are_parts_of_the_matrix_product(pixels):
    matrix = matrix_of((16, 64, 50, 200))
    values = np.random.default_rng(0).normal(size=(2, 16, 5)).astype(np.float32)
    blocks = list(matrix.iter_row_blocks(values[:, matrix.source_slice(pixels)], pixels))
    assert max(rows.shape[1] for _, rows in blocks) <= ROWS_PER_BLOCK
    covered = [index for position, _ in blocks for index in range(position.start, position.stop)]
    assert covered == list(range(pixels.stop - pixels.start))
    product = np.concatenate([rows for _, rows in blocks], axis=1)
    np.testing.assert_allclose(product, (matrix.weights @ values)[:, pixels], atol=1e-5)
