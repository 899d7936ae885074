import numpy as np
import pytest

from benchmarks.export_consumers import _from_runs, _iou, _to_runs


@pytest.mark.parametrize("mask", [np.zeros((3, 4)), np.ones((3, 4)), np.eye(4, 5)])
def test_runs_restore_the_mask(mask):
    np.testing.assert_array_equal(_from_runs(_to_runs(mask.astype(bool))), mask)


def test_iou_of_overlapping_masks():
    first, second = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    first[:, :3] = second[:, 1:] = True
    assert _iou(_to_runs(first), _to_runs(second)) == 0.5
