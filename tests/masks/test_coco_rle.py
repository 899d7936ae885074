"""COCO RLE against pycocotools."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from keras_sam.masks.coco_rle import (
    check_rle_size,
    coco_rle_to_counts,
    coco_rle_to_mask,
    coco_rle_to_runs,
    mask_to_coco_rle,
    runs_to_coco_rle,
)
from keras_sam.masks.run_length_mask import RunLengthMask, mask_to_runs, runs_to_mask


def random_masks(count):
    random = np.random.default_rng(0)
    for index in range(count):
        yield random.random(random.integers(1, 40, 2)) < (0, 1, random.random())[min(index, 2)]


def test_masks_are_encoded_and_decoded_like_in_pycocotools():
    for mask in random_masks(40):
        rle = mask_to_coco_rle(mask)
        expected = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        assert rle == {"size": list(mask.shape), "counts": expected["counts"].decode()}
        np.testing.assert_array_equal(coco_rle_to_mask(rle), mask)


def test_runs_are_encoded_and_decoded_without_pixels():
    for mask in random_masks(40):
        height, width = mask.shape
        rle = runs_to_coco_rle(mask_to_runs(mask), mask.shape)
        assert rle == mask_to_coco_rle(mask)
        np.testing.assert_array_equal(
            runs_to_mask(coco_rle_to_runs(rle), (0, 0, width, height)), mask
        )


def test_counts_are_those_of_pycocotools():
    random = np.random.default_rng(0)
    for length in (1, 2, 3, 4, 50, 300):
        counts = random.integers(1, 2 ** random.integers(1, 21, length), endpoint=True).tolist()
        size = [sum(counts), 1]
        expected = coco_mask.frPyObjects({"size": size, "counts": counts}, *size)
        rle = {"size": size, "counts": expected["counts"]}
        assert coco_rle_to_counts(rle) == counts
        runs = coco_rle_to_runs({"size": size, "counts": counts})
        assert runs_to_coco_rle(runs, size)["counts"] == expected["counts"].decode()


def test_a_list_of_counts_runs_down_the_columns():
    mask = coco_rle_to_mask({"size": [2, 3], "counts": [1, 2, 3]})
    np.testing.assert_array_equal(mask, [[0, 1, 0], [1, 0, 0]])


def test_counts_of_zero_are_allowed():
    rle = {"size": [4, 2], "counts": [0, 1, 0, 2, 2, 0, 3]}
    runs = coco_rle_to_runs(rle)
    assert (runs.tops.tolist(), runs.bottoms.tolist()) == ([0], [3])
    np.testing.assert_array_equal(coco_rle_to_mask(rle)[:, 0], [1, 1, 1, 0])


def test_a_mask_in_an_image_larger_than_memory():
    size = (700_000, 700_000)  # 0.49 terapixels, close to the limit
    mask = np.random.default_rng(0).random((20, 30)) < 0.5
    rle = runs_to_coco_rle(mask_to_runs(mask).shifted(600_000, 500_000), size)
    assert len(rle["counts"]) < 2_000
    runs = coco_rle_to_runs(rle)
    np.testing.assert_array_equal(runs_to_mask(runs, (600_000, 500_000, 600_030, 500_020)), mask)
    assert runs.area == mask.sum()


def test_long_runs_in_a_large_image():
    """pycocotools 2.0.11 writes past the end of its buffer here."""
    length = 2**24 + 5
    column = np.zeros(1, np.int64)
    runs = RunLengthMask(column.repeat(2), np.array([1, 4]) * length, np.array([2, 6]) * length)
    rle = runs_to_coco_rle(runs, (6 * length, 1))
    assert coco_rle_to_counts(rle) == [length, length, 2 * length, 2 * length]


@pytest.mark.parametrize("convert", [coco_rle_to_mask, coco_rle_to_runs, coco_rle_to_counts])
@pytest.mark.parametrize(
    "counts",
    [
        [1, 2],
        [7, -1],
        [],
        [6.0],
        [None, 6],
        ["6"],
        [[6]],
        [True, 5],
        [10**30],
        "~~~",
        "1o",
        "",
        b"",
        5,
        None,
        {},
        bytearray(b"6"),
    ],
    ids=repr,
)
def test_malformed_counts_raise(convert, counts):
    with pytest.raises(ValueError, match="counts of an RLE"):
        convert({"size": [2, 3], "counts": counts})


@pytest.mark.parametrize(
    "size",
    [None, 6, "23", ["2", "3"], [2.0, 3.0], [2], [2, 3, 1], [0, 6], [True, 6], {2: 3, 3: 2}],
    ids=repr,
)
def test_malformed_size_raises(size):
    with pytest.raises(ValueError, match=r"size of an RLE must be \[height, width\]"):
        coco_rle_to_mask({"size": size, "counts": [6]})


@pytest.mark.parametrize("rle", [None, 5, "abc", bytearray(b"6"), [], {"size": [2, 3]}], ids=repr)
def test_other_types_raise(rle):
    with pytest.raises(ValueError, match="an RLE must be a dictionary"):
        coco_rle_to_mask(rle)


def test_too_many_pixels_raise_before_decoding():
    with pytest.raises(ValueError, match="at most 4294967295 pixels"):
        coco_rle_to_mask({"size": [2**16, 2**16], "counts": [2**32]})
    with pytest.raises(ValueError, match="at most 549755813887 pixels"):
        coco_rle_to_runs({"size": [2**20, 2**20], "counts": [2**38]})
    with pytest.raises(ValueError, match="at most 549755813887 pixels"):
        check_rle_size((2**20, 2**20))


def test_too_many_runs_raise_before_decoding():
    with pytest.raises(ValueError, match="at most 67108864 runs"):
        coco_rle_to_runs({"size": [1, 2**38], "counts": [0, 2**38]})


@pytest.mark.parametrize("shift", [(3, 0), (0, -1)])
def test_runs_outside_the_image_raise(shift):
    runs = mask_to_runs(np.ones((2, 2), bool)).shifted(*shift)
    with pytest.raises(ValueError, match="does not fit an image of size"):
        runs_to_coco_rle(runs, (4, 4))
