"""Metrics and published protocols that compare predicted masks with labeled ones."""

from keras_sam.evaluate.calibration import CalibrationBin, expected_calibration_error
from keras_sam.evaluate.evaluate import Evaluation, evaluate

__all__ = [
    "CalibrationBin",
    "Evaluation",
    "evaluate",
    "expected_calibration_error",
]
