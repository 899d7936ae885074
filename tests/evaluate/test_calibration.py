"""Calibration of predicted IoU against sums by hand."""

import numpy as np
import pytest

from keras_sam.evaluate import CalibrationBin, expected_calibration_error
from keras_sam.evaluate.calibration import calibration_bins


def test_masks_are_grouped_by_predicted_iou():
    predicted_iou = np.array([0.51, 0.12, 0.59, -0.2, 1.3])
    bins = calibration_bins(predicted_iou, np.array([0.4, 0.3, 0.2, 0.0, 1.0]))
    assert [group.masks for group in bins] == [1, 1, 2, 1]
    assert [group.confidence for group in bins] == pytest.approx([-0.2, 0.12, 0.55, 1.3])
    assert [group.iou for group in bins] == pytest.approx([0.0, 0.3, 0.3, 1.0])


def test_values_outside_the_range_are_in_the_outer_bins():
    bins = calibration_bins(np.array([-5.0, 0.05, 0.95, 7.0]), np.zeros(4))
    assert [group.masks for group in bins] == [2, 2]


def test_error_is_weighted_by_the_number_of_masks():
    bins = (CalibrationBin(0.5, 0.3, 3), CalibrationBin(0.8, 0.9, 1))
    assert expected_calibration_error(bins) == pytest.approx((3 * 0.2 + 0.1) / 4)


def test_error_of_exact_predictions_is_zero():
    iou = np.array([0.3, 0.7, 0.31])
    assert expected_calibration_error(calibration_bins(iou, iou)) == 0


def test_error_without_masks_raises():
    bins = calibration_bins(np.zeros(0), np.zeros(0))
    assert bins == ()
    with pytest.raises(ValueError, match="at least one mask"):
        expected_calibration_error(bins)
