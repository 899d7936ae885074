"""Crops and batches of everything mode, where rewrites of Meta's code went wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_sam.predict.mask_generator import SAMMaskGenerator
from keras_sam.predict.predictor import SAMPredictor

# Every mask that no crop cuts is found.
ALL = {
    "pred_iou_thresh": 0.0,
    "stability_score_thresh": 0.0,
    "box_nms_thresh": 1.0,
    "crop_nms_thresh": 1.0,
}


@pytest.fixture
def watched(segmenter, monkeypatch):
    """A predictor, the images that it encodes, and the prompts that it rates for each."""
    predictor = SAMPredictor(segmenter)
    engine, seen = predictor.engine, []
    encode, rate = engine.encode, engine.rate

    def seen_encode(images):
        seen.append((np.array(images), []))
        return encode(images)

    def seen_rate(features, points, labels):
        seen[-1][1].append((predictor.input_size, points[0, :, 0]))
        return rate(features, points, labels)

    monkeypatch.setattr(engine, "encode", seen_encode)
    monkeypatch.setattr(engine, "rate", seen_rate)
    return SimpleNamespace(predictor=predictor, seen=seen)


def test_each_crop_is_encoded_once(watched, image):
    """Not once for each batch, and not the whole image for all (ultralytics #25909)."""
    settings = {"points_per_side": 4, "points_per_batch": 3, "crop_n_layers": 2}
    SAMMaskGenerator(watched.predictor, **settings).generate(image)
    assert len(watched.seen) == 1 + 4 + 16
    assert len({images.tobytes() for images, _ in watched.seen}) == len(watched.seen)
    assert [len(batches) for _, batches in watched.seen] == [6] * len(watched.seen)


def test_points_reach_over_each_crop(watched, image):
    """They are moved into the frame of the model with the crop (ultralytics #26129)."""
    settings = {"points_per_side": 5, "points_per_batch": 25, "crop_n_layers": 1}
    SAMMaskGenerator(watched.predictor, **settings).generate(image)
    for _, ((input_size, points),) in watched.seen:
        ends = np.array([0.1, 0.9])[:, None] * input_size[::-1]
        np.testing.assert_allclose([points.min(axis=0), points.max(axis=0)], ends, rtol=1e-6)


def test_an_image_that_was_set_changes_nothing(segmenter, image):
    """Its embedding is not that of the crops (ultralytics #25909)."""
    settings = ALL | {"points_per_side": 2, "crop_n_layers": 1, "output_mode": "coco_rle"}
    expected = SAMMaskGenerator(segmenter, **settings).generate(image)
    predictor = SAMPredictor(segmenter)
    predictor.set_image(image[::-1].copy())
    assert repr(SAMMaskGenerator(predictor, **settings).generate(image)) == repr(expected)


def test_the_last_batch_counts(segmenter, image):
    """Though it is smaller than the others (transformers #46123)."""
    generator = SAMMaskGenerator(segmenter, 10, points_per_batch=64, **ALL)
    records = generator.generate(image)
    points = {tuple(record["point_coords"][0]) for record in records}
    assert len(records) == 3 * len(points) == 300


def test_layers_of_fewer_points(segmenter, image):
    """Crops and their points go together, layer by layer (transformers #35530)."""
    generator = SAMMaskGenerator(
        segmenter, 4, crop_n_layers=2, crop_n_points_downscale_factor=2, points_per_batch=6
    )
    counts = []
    generator.generate(image, progress=lambda done, total: counts.append((done, total)))
    assert counts[-1] == (16 + 4 * 4 + 16 * 1,) * 2
