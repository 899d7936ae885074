"""The `mask-generation` pipeline of transformers, with records as results.

It is Meta's algorithm with four differences, which the tests avoid:

- Duplicates are dropped in all crops at once, by predicted IoU. Meta first drops them within each
  crop, and then prefers small crops. Both are equal without crops, or without duplicates.
- All crops must have the same number of points. Fewer points in a layer are an error of NumPy.
- A mask must be more stable than the threshold. Meta also keeps a mask that is exactly as stable,
  which small masks are at thresholds such as 3 / 5.
- It has no `min_mask_region_area`.
"""

import numpy as np

from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from tests.predict.reference_generator import nms

# Our option: theirs.
OPTION_NAMES = {
    "points_per_side": "points_per_crop",
    "crop_n_layers": "crops_n_layers",
    "crop_nms_thresh": "crops_nms_thresh",
}


def build_pipeline(segmenter, directory):
    """Build the pipeline with the weights of a segmenter, written by our converter."""
    from transformers import SamModel, pipeline

    segmenter.save_to_preset(directory / "ours")
    convert_checkpoint(directory / "ours", directory / "theirs", to="transformers", dtype="float32")
    model = SamModel.from_pretrained(directory / "theirs")
    processor = build_processor(directory / "theirs")
    return pipeline("mask-generation", model=model, image_processor=processor)


def build_processor(directory):
    """Load their image processor, with a record of stability scores.

    The pipeline does not return these scores. Its non-maximum suppression is torchvision's, which
    is not installed for the tests.
    """
    from transformers.models.sam import image_processing_pil_sam as theirs

    class RecordingProcessor(theirs.SamImageProcessorPil):
        def filter_masks(self, masks, iou_scores, *arguments):
            threshold, offset = arguments[-2:]
            scores = theirs._compute_stability_score(masks.flatten(0, 1), threshold, offset)
            predicted_iou = iou_scores.flatten().tolist()
            self.stability |= dict(zip(predicted_iou, scores.tolist(), strict=True))
            return super().filter_masks(masks, iou_scores, *arguments)

        def post_process_for_mask_generation(self, masks, scores, boxes, threshold):
            indexed = [{"index": index, "box": box} for index, box in enumerate(boxes.tolist())]
            kept = [mask["index"] for mask in nms(indexed, scores.tolist(), threshold)]
            pixels = [theirs._rle_to_mask(masks[index]) for index in kept]
            return pixels, scores[kept], [masks[index] for index in kept], boxes[kept]

    return RecordingProcessor.from_pretrained(directory)


def generate_with_pipeline(pipeline, image, options):
    """Return the masks of the pipeline as records."""
    options = {"box_nms_thresh": 0.7} | options
    # They have one threshold for both.
    options["crop_nms_thresh"] = options.pop("box_nms_thresh")
    named = {OPTION_NAMES.get(name, name): value for name, value in options.items()}
    processor = pipeline.image_processor
    processor.stability = {}
    results = pipeline(image, output_bboxes_mask=True, **named)
    return [
        {
            "segmentation": np.asarray(mask),
            "predicted_iou": predicted_iou,
            "stability_score": processor.stability[predicted_iou],
            "bbox": [x0, y0, x1 - x0, y1 - y0],
        }
        for mask, predicted_iou, (x0, y0, x1, y1) in zip(
            results["masks"],
            results["scores"].tolist(),
            results["bounding_boxes"].tolist(),
            strict=True,
        )
    ]


def assert_equal_masks(records, expected):
    """Check that each of their masks has one of ours, and that none of ours remains."""
    assert len(records) == len(expected) > 10
    remaining = list(records)
    for theirs in expected:
        predicted_iou = theirs["predicted_iou"]
        overlaps = [
            iou(ours["segmentation"], theirs["segmentation"])
            if abs(ours["predicted_iou"] - predicted_iou) < 1e-4
            else -1.0
            for ours in remaining
        ]
        ours = remaining.pop(int(np.argmax(overlaps)))
        assert max(overlaps) >= 0.999
        # A logit of a millionth may be on either side of 0, and change the box by a pixel.
        assert np.abs(np.subtract(ours["bbox"], theirs["bbox"])).max() <= 1
        assert ours["bbox"] == box_of(ours["segmentation"])
        assert theirs["bbox"] == box_of(theirs["segmentation"])
        # Random weights predict values of 2 and more, where float32 is coarser than in [0, 1].
        tolerance = 1e-5 * max(1.0, predicted_iou)
        np.testing.assert_allclose(ours["predicted_iou"], predicted_iou, atol=tolerance)
        np.testing.assert_allclose(ours["stability_score"], theirs["stability_score"], atol=1e-3)


def box_of(mask):
    """Return the box XYWH from the first to the last pixel, as Meta has it."""
    if not mask.any():
        return [0, 0, 0, 0]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [columns[0], rows[0], columns[-1] - columns[0], rows[-1] - rows[0]]


def iou(mask, other):
    """Return the IoU of two masks, 1 if both are empty."""
    union = (mask | other).sum()
    return (mask & other).sum() / union if union else 1.0
