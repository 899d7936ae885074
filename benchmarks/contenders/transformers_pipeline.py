"""`mask_generation_pipeline`: everything mode of transformers."""

from pathlib import Path
from typing import Any

import numpy as np


def mask_generation_pipeline(model: Any, directory: Path) -> Any:
    """The pipeline of a loaded model.

    It takes torchvision for its last step, the suppression of duplicates. Where that does not
    load, as beside a CPU build of torch, ours takes that step, on the same boxes.
    """
    from transformers import SamImageProcessorPil, pipeline

    processor: Any
    if has_torchvision():
        from transformers import AutoImageProcessor

        processor = AutoImageProcessor.from_pretrained(directory)
    else:
        processor = SamImageProcessorPil.from_pretrained(directory)
        processor.post_process_for_mask_generation = without_duplicates
    return pipeline("mask-generation", model=model, image_processor=processor, device=model.device)


def has_torchvision() -> bool:
    """Whether torchvision is there and fits torch."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


def without_duplicates(
    rle_masks: list[dict[str, Any]], scores: Any, boxes: Any, threshold: float
) -> tuple[list[np.ndarray], Any, list[dict[str, Any]], Any]:
    """What the method of the same purpose returns: masks, scores, runs and boxes of those kept."""
    from transformers.models.sam.image_processing_pil_sam import _rle_to_mask

    from keras_sam.masks.box_nms import box_nms

    kept = box_nms(boxes.float().cpu().numpy(), scores.float().cpu().numpy(), threshold)
    runs = [rle_masks[index] for index in kept]
    return [_rle_to_mask(rle) for rle in runs], scores[kept], runs, boxes[kept]
