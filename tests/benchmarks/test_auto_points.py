import numpy as np
import pytest

from benchmarks.auto_points import Generated, best_ious, compare_grids
from keras_sam.masks import mask_to_coco_rle


def rectangle(width):
    mask = np.zeros((10, 10), bool)
    mask[:, :width] = True
    return mask_to_coco_rle(mask)


def test_best_iou_of_each_mask():
    ious = best_ious([rectangle(10), rectangle(4)], [rectangle(5), rectangle(8)])
    np.testing.assert_allclose(ious, [0.8, 0.8])


def test_best_iou_without_other_masks_is_zero():
    np.testing.assert_array_equal(best_ious([rectangle(10)], []), [0])
    assert len(best_ious([], [rectangle(10)])) == 0


def test_grids_are_compared_over_all_images():
    comparison = compare_grids(
        [
            (
                Generated([rectangle(10), rectangle(2)], prompts=100, seconds=2.0),
                Generated([rectangle(9)], prompts=50, seconds=1.0),
            ),
            (
                Generated([rectangle(10), rectangle(5)], prompts=100, seconds=2.0),
                Generated([rectangle(6), rectangle(5)], prompts=30, seconds=0.5),
            ),
        ]
    )
    # Best IoUs of the reference's masks: 0.9 and 2 / 9; 0.6 and 1.
    assert (comparison.recall_50, comparison.recall_75) == (0.75, 0.5)
    assert comparison.prompts == pytest.approx(0.4)
    assert comparison.seconds == pytest.approx(0.375)
    assert (comparison.masks, comparison.reference_masks) == (3, 4)
