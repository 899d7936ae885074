"""Ratings beside what they promise."""

import numpy as np
import pytest

from keras_sam.evaluate.calibration import CalibrationBin, calibrate, expected_calibration_error


def test_masks_are_sorted_by_their_rating():
    ratings = np.array([0.51, 0.12, 0.59, -0.2, 1.3])
    bins = calibrate(ratings, np.array([0.4, 0.3, 0.2, 0.0, 1.0]))
    assert [one.masks for one in bins] == [1, 1, 2, 1]
    assert [one.rating for one in bins] == pytest.approx([-0.2, 0.12, 0.55, 1.3])
    assert [one.iou for one in bins] == pytest.approx([0.0, 0.3, 0.3, 1.0])


def test_the_error_counts_each_mask():
    bins = (CalibrationBin(0.5, 0.3, 3), CalibrationBin(0.8, 0.8, 1))
    assert expected_calibration_error(bins) == pytest.approx(0.15)
    assert expected_calibration_error(calibrate(np.array([0.3, 0.7]), np.array([0.3, 0.7]))) == 0
