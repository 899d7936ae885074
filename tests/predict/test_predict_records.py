"""Records of prompts against the predictor's full-size logits."""

import numpy as np
import pytest
from pycocotools import mask as coco

from keras_sam.predict.predict_records import predict_records

POINTS = [None, [[50, 20], [5, 60]], [[20, 30]]]
LABELS = [None, [1, 0], [1]]
BOXES = [[20, 10, 71, 50], None, [5, 5, 60, 50]]
CENTERS = [[[45.5, 30.0]], [[50.0, 20.0]], [[20.0, 30.0]]]


@pytest.fixture
def predictor(trained_predictor, photo):
    trained_predictor.set_image(photo)
    return trained_predictor


@pytest.mark.parametrize("multimask_output", [True, False])
@pytest.mark.parametrize("output_mode", ["binary_mask", "coco_rle"])
def test_equal_to_full_size_logits(predictor, multimask_output, output_mode):
    prompts = POINTS, LABELS, BOXES
    records = predict_records(
        predictor,
        *prompts,
        multimask_output=multimask_output,
        stability_score_offset=0.5,
        output_mode=output_mode,
    )
    logits, predicted_iou, _ = predictor.predict_many(
        *prompts, multimask_output=multimask_output, return_logits=True
    )
    assert len(records) == 3
    for prompt, prompt_records in enumerate(records):
        order = np.argsort(-predicted_iou[prompt], kind="stable")
        assert len(prompt_records) == len(order) == (3 if multimask_output else 1)
        for record, index in zip(prompt_records, order, strict=True):
            mask_logits = logits[prompt, index]
            segmentation = record["segmentation"]
            if output_mode == "coco_rle":
                segmentation = coco.decode(segmentation).astype(bool)
            assert (segmentation != (mask_logits > 0)).sum() <= 1
            y, x = np.nonzero(segmentation)
            assert record["area"] == len(x) > 0
            assert record["bbox"] == [x.min(), y.min(), np.ptp(x), np.ptp(y)]
            assert record["predicted_iou"] == pytest.approx(predicted_iou[prompt, index], abs=1e-5)
            stability = (mask_logits > 0.5).sum() / (mask_logits > -0.5).sum()
            assert record["stability_score"] == pytest.approx(stability, abs=2e-3)
            assert record["point_coords"] == CENTERS[prompt]
            assert record["crop_box"] == [0, 0, 100, 70]


def test_prompt_without_points_and_box_raises(predictor):
    message = "each prompt must have points or a box"
    with pytest.raises(ValueError, match=message):
        predict_records(predictor)
    with pytest.raises(ValueError, match=message):
        predict_records(predictor, [None, [[5, 5]]], [None, [1]])
