"""Everything mode against the `mask-generation` pipeline of transformers, mask by mask.

Theirs is Meta's algorithm but for four things, which the settings here stay clear of:

- of duplicates it keeps the better rated of all crops at once, where Meta first looks within each
  crop, and then prefers the smaller one: alike without crops, or where none is a duplicate;
- its crops must all have as many points: a layer with fewer is an error of NumPy;
- a mask must be stabler than the threshold, in Meta's at least as stable: alike but for a mask
  that is exactly as stable, which small masks are of thresholds such as 3 / 5;
- it has no `min_mask_region_area`.
"""

import numpy as np
import pytest
from PIL import Image

from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.mask_generator import SAMMaskGenerator
from tests.predict.metas_everything import PHOTOGRAPH, suppress

pytestmark = pytest.mark.filterwarnings(r"default:::transformers(\..*)?")

# Here: there.
NAMES = {
    "points_per_side": "points_per_crop",
    "crop_n_layers": "crops_n_layers",
    "crop_nms_thresh": "crops_nms_thresh",
}
NOT_THERE = "box_nms_thresh"
# 36 points in batches of 16: the last is smaller. Some masks pass, and others do not.
TINY = {
    "points_per_side": 6,
    "points_per_batch": 16,
    "pred_iou_thresh": 0.25,
    "stability_score_thresh": 0.61,
}
ALL = {"box_nms_thresh": 1.0, "crop_nms_thresh": 1.0}  # duplicates included
RANDOM = ALL | {  # most of its masks reach over the whole image: their boxes are alike
    "points_per_side": 10,
    "points_per_batch": 16,
    "pred_iou_thresh": 0.1,
    "stability_score_thresh": 0.31,
    "stability_score_offset": 0.2,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The shipped preset, here and there."""
    return both("sam_tiny_synthetic", tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def random(tiny_segmenter, tmp_path_factory):
    """A random model whose masks differ from point to point."""
    segmenter = tiny_segmenter(2)
    for weight in segmenter.weights:
        weight.assign(2 * weight)
    place = tmp_path_factory.mktemp("random")
    segmenter.save_to_preset(place / "ours")
    return both(place / "ours", place)


def both(preset, directory):
    """Our segmenter, and the pipeline of the same weights, which our converter wrote."""
    from transformers import SamModel, pipeline

    convert_checkpoint(preset, directory / "theirs", to="transformers", dtype="float32")
    model = SamModel.from_pretrained(directory / "theirs")
    processor = recording_processor(directory / "theirs")
    generator = pipeline("mask-generation", model=model, image_processor=processor)
    segmenter = SAMImageSegmenter.from_preset(preset)
    segmenter.preprocessing = {"outlines": "model"}  # as Meta's
    return segmenter, generator


def recording_processor(directory):
    """Their image processor, which keeps the stability that it tells nobody.

    Its suppression of duplicates is torchvision's, which the tests do without.
    """
    from transformers.models.sam import image_processing_pil_sam as theirs

    class RecordingProcessor(theirs.SamImageProcessorPil):
        def filter_masks(self, masks, iou_scores, *arguments):
            cut, offset = arguments[-2:]
            scores = theirs._compute_stability_score(masks.flatten(0, 1), cut, offset)
            ratings = iou_scores.flatten().tolist()
            self.stability |= dict(zip(ratings, scores.tolist(), strict=True))
            return super().filter_masks(masks, iou_scores, *arguments)

        def post_process_for_mask_generation(self, masks, scores, boxes, threshold):
            found = [{"index": index, "box": box} for index, box in enumerate(boxes.tolist())]
            kept = [mask["index"] for mask in suppress(found, scores.tolist(), threshold)]
            pixels = [theirs._rle_to_mask(masks[index]) for index in kept]
            return pixels, scores[kept], [masks[index] for index in kept], boxes[kept]

    return RecordingProcessor.from_pretrained(directory)


def their_records(pipeline, image, settings):
    """What the pipeline finds, as records."""
    named = {NAMES.get(name, name): value for name, value in settings.items() if name != NOT_THERE}
    processor = pipeline.image_processor
    processor.stability = {}
    found = pipeline(image, output_bboxes_mask=True, **named)
    return [
        {
            "segmentation": np.asarray(mask),
            "predicted_iou": rating,
            "stability_score": processor.stability[rating],
            "bbox": [x0, y0, x1 - x0, y1 - y0],
        }
        for mask, rating, (x0, y0, x1, y1) in zip(
            found["masks"],
            found["scores"].tolist(),
            found["bounding_boxes"].tolist(),
            strict=True,
        )
    ]


def assert_equal_masks(records, expected):
    """Each mask of theirs has one of ours, and none of ours is left."""
    assert len(records) == len(expected) > 10
    left = list(records)
    for theirs in expected:
        near = [abs(ours["predicted_iou"] - theirs["predicted_iou"]) < 1e-4 for ours in left]
        overlaps = [
            iou(ours["segmentation"], theirs["segmentation"]) if is_near else -1.0
            for ours, is_near in zip(left, near, strict=True)
        ]
        ours = left.pop(int(np.argmax(overlaps)))
        assert max(overlaps) >= 0.999
        # A logit of a millionth may fall on either side of 0, and take the box a pixel along.
        assert np.abs(np.subtract(ours["bbox"], theirs["bbox"])).max() <= 1
        assert ours["bbox"] == box_of(ours["segmentation"])
        assert theirs["bbox"] == box_of(theirs["segmentation"])
        # Random weights rate masks by 2 and more, where float32 is coarser than within 0 to 1.
        rating = theirs["predicted_iou"]
        np.testing.assert_allclose(ours["predicted_iou"], rating, atol=1e-5 * max(1.0, rating))
        np.testing.assert_allclose(ours["stability_score"], theirs["stability_score"], atol=1e-3)


def box_of(mask):
    """XYWH as Meta's: from the first to the last pixel."""
    if not mask.any():
        return [0, 0, 0, 0]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [columns[0], rows[0], columns[-1] - columns[0], rows[-1] - rows[0]]


def iou(mask, other):
    union = (mask | other).sum()
    return (mask & other).sum() / union if union else 1.0


@pytest.mark.parametrize(
    ("model", "size", "settings"),
    [
        ("tiny", (300, 200), TINY),
        ("tiny", (200, 300), TINY | {"pred_iou_thresh": 0.0, "points_per_batch": 36}),
        ("tiny", (130, 97), TINY | {"crop_n_layers": 1, "points_per_side": 4} | ALL),
        ("random", (96, 64), RANDOM),
        ("random", (64, 96), RANDOM | {"pred_iou_thresh": 0.0, "stability_score_offset": 0.05}),
        ("random", (101, 77), RANDOM | {"crop_n_layers": 2, "points_per_side": 5}),
    ],
    ids=["grid", "unrated", "crops", "random grid", "random unrated", "random crops of two layers"],
)
def test_equal_to_transformers(request, model, size, settings):
    ours, theirs = request.getfixturevalue(model)
    image = Image.open(PHOTOGRAPH).convert("RGB").resize(size)
    records = SAMMaskGenerator(ours, **settings).generate(np.asarray(image))
    # Without crops one threshold is both of theirs.
    thresholds = {"crop_nms_thresh": settings.get("box_nms_thresh", 0.7)}
    assert_equal_masks(records, their_records(theirs, image, settings | thresholds))
