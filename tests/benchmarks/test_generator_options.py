import numpy as np

from benchmarks.generator_options import passing_thresholds


def test_thresholds_pass_a_fraction_of_prompts_and_of_their_masks():
    rng = np.random.default_rng(0)
    iou_predictions = np.repeat(rng.uniform(0, 1, (200, 1)), 3, axis=1)
    scale = rng.uniform(1, 4, (200, 1, 1, 1))  # makes some masks more stable than others
    low_res_logits = scale * rng.standard_normal((200, 3, 16, 16))
    iou_thresh, stability_thresh = passing_thresholds(low_res_logits, iou_predictions)

    passes_iou = iou_predictions > iou_thresh
    assert passes_iou.any(axis=1).mean() == 0.3
    inner, outer = ((low_res_logits > offset).sum((2, 3)) for offset in (1, -1))
    assert ((inner / outer)[passes_iou] >= stability_thresh).mean() == 0.5


def test_stability_threshold_is_at_most_the_default_of_meta():
    stable = np.full((10, 3, 8, 8), 5.0)
    _, stability_thresh = passing_thresholds(stable, np.random.default_rng(0).random((10, 3)))
    assert stability_thresh == 0.95


def test_stability_threshold_without_masks_is_zero():
    empty = np.full((10, 3, 8, 8), -5.0)
    _, stability_thresh = passing_thresholds(empty, np.random.default_rng(0).random((10, 3)))
    assert stability_thresh == 0
