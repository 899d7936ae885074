"""Metrics and published protocols that compare predicted masks with labeled ones."""

from keras_sam.evaluate.boundary_iou import boundary_band, boundary_iou
from keras_sam.evaluate.box_ap import BoxAP, box_ap
from keras_sam.evaluate.calibration import CalibrationBin, expected_calibration_error
from keras_sam.evaluate.evaluate import Evaluation, evaluate, evaluate_dataset
from keras_sam.evaluate.mean_scores import (
    MeanScores,
    mean_scores,
    scores_by_category,
    scores_by_size,
)
from keras_sam.evaluate.number_of_clicks import (
    ClickScores,
    ClicksToIoU,
    click_ious,
    number_of_clicks,
    summarize_clicks,
)
from keras_sam.evaluate.score_masks import BoxMask, MaskScore, Target, score_masks
from keras_sam.evaluate.scores_csv import write_scores_csv
from keras_sam.evaluate.simulate_clicks import jittered_click, largest_error_click, next_click

__all__ = [
    "BoxAP",
    "BoxMask",
    "CalibrationBin",
    "ClickScores",
    "ClicksToIoU",
    "Evaluation",
    "MaskScore",
    "MeanScores",
    "Target",
    "boundary_band",
    "boundary_iou",
    "box_ap",
    "click_ious",
    "evaluate",
    "evaluate_dataset",
    "expected_calibration_error",
    "jittered_click",
    "largest_error_click",
    "mean_scores",
    "next_click",
    "number_of_clicks",
    "score_masks",
    "scores_by_category",
    "scores_by_size",
    "summarize_clicks",
    "write_scores_csv",
]
