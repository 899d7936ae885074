"""Masks and scores as arrays, and in a file."""

import numpy as np
import pytest

from keras_sam.annotations.mask_record import mask_to_record
from keras_sam.annotations.npz import records_to_arrays, write_npz

MASKS = np.random.default_rng(0).random((2, 3, 4)) < 0.5
RECORDS = [
    mask_to_record(
        MASKS[0],
        predicted_iou=0.5,
        stability_score=0.75,
        point_coords=[[1, 2], [0, 0]],
        crop_box=[0, 0, 4, 3],
    ),
    mask_to_record(MASKS[1], category="cat"),
]


def check(masks, scores, categories):
    np.testing.assert_array_equal(masks, MASKS)
    assert scores["area"].tolist() == [record["area"] for record in RECORDS]
    assert scores["bbox"].tolist() == [record["bbox"] for record in RECORDS]
    np.testing.assert_array_equal(scores["predicted_iou"], [0.5, np.nan])
    np.testing.assert_array_equal(scores["stability_score"], [0.75, np.nan])
    np.testing.assert_array_equal(scores["point_coords"], [[1, 2], [np.nan, np.nan]])
    np.testing.assert_array_equal(scores["crop_box"], [[0, 0, 4, 3], [np.nan] * 4])
    assert categories.tolist() == ["object", "cat"]


def test_masks_and_scores_are_stacked():
    arrays = records_to_arrays(RECORDS, (3, 4))
    check(arrays.masks, arrays.scores, arrays.categories)


def test_file_is_read_without_pickle(tmp_path):
    write_npz(RECORDS, tmp_path / "a.npz", size=(3, 4))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as content:
        check(content["masks"], content["scores"], content["categories"])


def test_no_records(tmp_path):
    arrays = records_to_arrays([], (3, 4))
    assert (arrays.masks.shape, arrays.scores.shape, arrays.categories.shape) == (
        (0, 3, 4),
        (0,),
        (0,),
    )
    write_npz([], tmp_path / "a.npz", size=(3, 4))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as content:
        assert content["masks"].shape == (0, 3, 4)


@pytest.mark.parametrize("size", [(4, 3), (3, 0), None])
def test_wrong_size_raises(size):
    with pytest.raises(ValueError, match="size"):
        records_to_arrays(RECORDS, size)
