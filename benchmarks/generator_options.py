"""`find_generator_options`: options of automatic mask generation with which many masks pass."""

from dataclasses import replace

import numpy as np

from benchmarks.implementations import GeneratorOptions, ModelFiles
from benchmarks.participant import create_participant
from benchmarks.plan import Job, Plan
from benchmarks.random_checkpoint import MEAN_IOU, TRAINED
from benchmarks.workloads import WORKLOADS

# With random weights: fraction of prompts with a mask above `pred_iou_thresh`, and fraction of
# those masks above `stability_score_thresh`.
PASSING_PROMPTS, PASSING_MASKS = 0.3, 0.5
MAX_STABILITY_THRESHOLD = 0.95  # Meta's default
# The trained model predicts low IoUs on photographs. With these thresholds it keeps about a hundred
# masks of one, as Meta's models do with theirs.
TRAINED_OPTIONS = GeneratorOptions(
    points_per_side=32, pred_iou_thresh=0.35, stability_score_thresh=0.6
)


def find_generator_options(job: Job, plan: Plan, files: ModelFiles) -> GeneratorOptions | None:
    """Return the options of a job, or `None` if it does not generate masks.

    With random weights, the reference predicts masks of 64 points, and the thresholds are
    quantiles of their scores.

    Args:
        job: Job.
        plan: Settings of the comparison.
        files: Files of the model.
    """
    if job.workload.step != "generate":
        return None
    side = plan.points_per_side
    if job.model_size == TRAINED:
        return replace(TRAINED_OPTIONS, points_per_side=side)
    points_job = Job(job.model_size, WORKLOADS["points-64"], "float32")
    reference = create_participant(plan.reference, points_job, plan.for_reference(), files)
    reference.open()
    reference.close()
    if not reference.is_running:
        return GeneratorOptions(side, MEAN_IOU, TRAINED_OPTIONS.stability_score_thresh)
    with np.load(reference.outputs) as outputs:
        thresholds = passing_thresholds(outputs["low_res_logits"], outputs["iou_predictions"])
    return GeneratorOptions(side, *thresholds)


def passing_thresholds(
    low_res_logits: np.ndarray, iou_predictions: np.ndarray
) -> tuple[float, float]:
    """Return thresholds of predicted IoU and stability score that the fractions above pass.

    Args:
        low_res_logits: Logits `(P, M, L, L)`.
        iou_predictions: IoU predictions `(P, M)`.
    """
    iou_thresh = float(np.quantile(iou_predictions.max(axis=1), 1 - PASSING_PROMPTS))
    inner, outer = ((low_res_logits > offset).sum(axis=(2, 3)) for offset in (1, -1))
    is_candidate = (iou_predictions > iou_thresh) & (inner > 0)
    if not is_candidate.any():
        return iou_thresh, 0.0
    stability = (inner / np.maximum(outer, 1))[is_candidate]
    quantile = float(np.quantile(stability, 1 - PASSING_MASKS))
    return iou_thresh, min(MAX_STABILITY_THRESHOLD, quantile)
