"""`predict_records`: masks of prompts, as records like those of the mask generator."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_sam.annotations.mask_record import MaskRecord
from keras_sam.predict.crops import Crop
from keras_sam.predict.generated_mask import GeneratedMask
from keras_sam.predict.predictor import MASK_THRESHOLD
from keras_sam.predict.sam_predictor import SAMPredictor
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor


def predict_records(
    predictor: SAMPredictor,
    point_coords: Sequence[Any] | np.ndarray | None = None,
    point_labels: Sequence[Any] | np.ndarray | None = None,
    boxes: Sequence[Any] | np.ndarray | None = None,
    *,
    multimask_output: bool = True,
    stability_score_offset: float = 1.0,
    output_mode: str = "coco_rle",
) -> list[list[MaskRecord]]:
    """Predict the masks of P prompts, with stability scores.

    Masks are rendered one at a time, so memory does not grow with P.

    Args:
        predictor: Predictor with an image.
        point_coords: See `Predictor.predict_many`.
        point_labels: See `Predictor.predict_many`.
        boxes: See `Predictor.predict_many`.
        multimask_output: If True, three masks per prompt. If False, one.
        stability_score_offset: Difference between the mask threshold and the two thresholds of
            the stability score, in logits.
        output_mode: Format of `segmentation`: "binary_mask", "uncompressed_rle" or "coco_rle".

    Returns:
        Records of each prompt, by descending predicted IoU. `point_coords` contains the first
        point of the prompt, or the center of its box.

    Raises:
        RuntimeError: If no image is set.
        ValueError: If a prompt has neither points nor a box, a wrong shape, or lies outside the
            image.
    """
    low_res_logits, iou_predictions = predictor.predict_low_res(
        point_coords, point_labels, boxes, multimask_output=multimask_output
    )
    height, width = predictor.original_size
    postprocessor = MaskPostprocessor(
        predictor.transform,
        (low_res_logits.shape[-2], low_res_logits.shape[-1]),
        threshold=MASK_THRESHOLD,
        offset=stability_score_offset,
    )

    def record(prompt: int, mask: int) -> MaskRecord:
        coords = None if point_coords is None else point_coords[prompt]
        generated = GeneratedMask(
            crop=Crop((0, 0, width, height)),
            original_size=(height, width),
            low_res=postprocessor.compute_box_and_stability(low_res_logits[prompt, mask]),
            predicted_iou=float(iou_predictions[prompt, mask]),
            point=_center(coords, None if boxes is None else boxes[prompt]),
            postprocessor=postprocessor,
        )
        return generated.to_record(output_mode)

    order = np.argsort(-iou_predictions, axis=1, kind="stable")
    return [[record(prompt, mask) for mask in masks] for prompt, masks in enumerate(order.tolist())]


def _center(coords: Any, box: Any) -> tuple[float, float]:
    """Return the first point, or the center of the box."""
    if coords is not None:
        x, y = coords[0]
        return float(x), float(y)
    if box is None:
        raise ValueError("each prompt must have points or a box, got neither")
    x0, y0, x1, y1 = box
    return float((x0 + x1) / 2), float((y0 + y1) / 2)
