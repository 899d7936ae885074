"""Crops and batches of automatic mask generation, where rewrites of Meta's code went wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_sam.predict import GeneratorConfig, SAMPredictor
from keras_sam.predict.crop_search import CropSearch
from tests.predict.reference_generator import OPTIONS, nms_by_iou, predict_point

# Thresholds that keep every mask that no crop cuts.
ALL = {
    "pred_iou_thresh": 0.0,
    "stability_score_thresh": 0.0,
    "box_nms_thresh": 1.0,
    "crop_nms_thresh": 1.0,
}


def search(predictor, pixels, *, region=None, boxes=None, **options):
    """Return all steps of a search."""
    height, width = pixels.shape[:2]
    config = GeneratorConfig(**ALL | {"points_per_side": 3, "points_per_batch": 4} | options)
    region = region or (0, 0, width, height)
    return list(CropSearch(predictor, config, pixels, region=region, boxes=boxes).run())


@pytest.fixture
def recorded(predictor, monkeypatch):
    """A predictor, with the encoded images and the points that are decoded for each."""
    encode, predict_iou = predictor.engine.encode, predictor.engine.predict_iou
    crops = []

    def record_image(images):
        crops.append((images.tobytes(), []))
        return encode(images)

    def record_points(cache, points, labels):
        crops[-1][1].append((predictor.input_size, points[0, :, 0]))
        return predict_iou(cache, points, labels)

    monkeypatch.setattr(predictor.engine, "encode", record_image)
    monkeypatch.setattr(predictor.engine, "predict_iou", record_points)
    return SimpleNamespace(predictor=predictor, crops=crops)


def test_each_crop_is_encoded_once(recorded, image):
    """Neither once per batch, nor the whole image for all crops (ultralytics #25909)."""
    search(recorded.predictor, image, crop_n_layers=1)
    assert len(recorded.crops) == 1 + 4
    assert len({pixels for pixels, _ in recorded.crops}) == len(recorded.crops)
    assert {len(batches) for _, batches in recorded.crops} == {3}


def test_points_extend_over_each_crop(recorded, image):
    """They are moved into the model frame of their crop (ultralytics #26129)."""
    search(recorded.predictor, image, points_per_side=5, points_per_batch=25, crop_n_layers=1)
    assert len(recorded.crops) == 5
    for _, ((input_size, points),) in recorded.crops:
        ends = np.array([0.1, 0.9])[:, None] * input_size[::-1]
        np.testing.assert_allclose([points.min(axis=0), points.max(axis=0)], ends, rtol=1e-6)


def test_an_image_that_was_set_before_has_no_effect(predictor, image):
    """Its embedding is not used for the crops (ultralytics #25909)."""
    expected = search(predictor, image, crop_n_layers=1)[-1].finished
    predictor.set_image(image[::-1].copy())
    masks = search(predictor, image, crop_n_layers=1)[-1].finished
    assert not predictor.is_image_set
    assert len(masks) == len(expected) > 0
    for mask, other in zip(masks, expected, strict=True):
        assert mask.to_record("coco_rle") == other.to_record("coco_rle")


def test_the_last_batch_is_not_lost(predictor, image):
    """It is smaller than the others (transformers #46123)."""
    steps = search(predictor, image, points_per_side=5, points_per_batch=16)
    masks = steps[-1].finished
    points = {mask.point for mask in masks}
    assert len(masks) == 3 * len(points) == 75
    assert [(step.completed, step.total) for step in steps] == [(16, 25), (25, 25), (25, 25)]


def test_layers_may_have_fewer_points(predictor, image):
    """Crops and points are combined layer by layer (transformers #35530)."""
    options = {"points_per_side": 4, "points_per_batch": 16, "crop_n_points_downscale_factor": 2}
    steps = search(predictor, image, crop_n_layers=2, **options)
    total = 16 + 4 * 4 + 16 * 1
    assert {step.total for step in steps} == {total}
    expected = [16, *range(20, 33, 4), *range(33, 49), total]
    assert [step.completed for step in steps] == expected


def test_steps_contain_the_masks_so_far(predictor, image):
    *steps, last = search(predictor, image, crop_n_layers=1, box_nms_thresh=0.7)
    # Three batches of the whole image. Duplicates stay until the crop is complete.
    assert [len(step.current) for step in steps[:3]] == [12, 24, 27]
    assert [len(step.finished) for step in steps[:3]] == [0, 0, 0]
    assert 0 < len(steps[3].finished) < 27
    assert last.current == []
    crops = [mask.crop for mask in last.finished]
    assert crops == sorted(crops, key=lambda crop: crop.layer)


def test_masks_that_their_crop_cuts_are_dropped(predictor):
    """Masks of random weights fill their crop."""
    pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    masks = search(predictor, pixels, crop_n_layers=1)[-1].finished
    filling = [mask for mask in masks if mask.to_mask().mean() > 0.2]
    assert filling
    assert all(mask.crop.layer == 0 for mask in filling)


@pytest.mark.parametrize("crop_n_layers", [0, 1])
def test_a_region_is_searched_like_an_image(trained_predictor, photo, crop_n_layers):
    x0, y0, x1, y1 = region = (25, 10, 81, 62)
    options = {"crop_n_layers": crop_n_layers, "pred_iou_thresh": 0.3}
    cropped = np.ascontiguousarray(photo[y0:y1, x0:x1])
    expected = search(trained_predictor, cropped, **options)[-1].finished
    masks = search(trained_predictor, photo, region=region, **options)[-1].finished
    assert len(masks) == len(expected) > 1
    for mask, other in zip(masks, expected, strict=True):
        pixels = np.zeros(photo.shape[:2], bool)
        pixels[y0:y1, x0:x1] = other.to_mask()
        np.testing.assert_array_equal(mask.to_mask(), pixels)
        assert mask.crop == other.crop.shifted(x0, y0)
        assert mask.point == pytest.approx((other.point[0] + x0, other.point[1] + y0))
        assert mask.predicted_iou == other.predicted_iou


def test_boxes_replace_the_points(trained_predictor, photo):
    boxes = np.array([[30.0, 15.0, 70.0, 55.0], [40.0, 20.0, 80.0, 60.0]])
    options = {"region": (25, 10, 81, 62), "boxes": boxes, "points_per_batch": 8}
    step, last = search(trained_predictor, photo, crop_n_layers=1, **options)
    assert (step.completed, step.total) == (2, 2)
    assert sorted(mask.point for mask in last.finished) == [(50, 35)] * 3 + [(60, 40)] * 3
    trained_predictor.set_image(np.ascontiguousarray(photo[10:62, 25:81]))
    masks, iou, _ = trained_predictor.predict_many(boxes=boxes - np.tile((25, 10), 2))
    order = np.argsort(-iou.ravel(), kind="stable")
    for mask, index in zip(last.finished, order, strict=True):
        expected = np.zeros(photo.shape[:2], bool)
        expected[10:62, 25:81] = masks.reshape(6, 52, 56)[index]
        assert (mask.to_mask() != expected).sum() <= 1


@pytest.mark.parametrize(
    "thresholds",
    [
        {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.2, "box_nms_thresh": 0.05},
        {"pred_iou_thresh": 0.39, "stability_score_thresh": 0.75, "box_nms_thresh": 0.7},
    ],
    ids=["few masks are unique", "few points have masks"],
)
def test_finer_points_are_added_near_promising_ones(
    trained_predictor, photo, monkeypatch, thresholds
):
    monkeypatch.setattr("keras_sam.predict.generator_config.COARSE_POINTS_PER_SIDE", 4)
    options = OPTIONS | thresholds
    trained_predictor.set_image(photo)
    height, width = photo.shape[:2]
    step = np.array([width / 8, height / 8])

    def predict(column, row):
        box = (0, 0, width, height)
        return predict_point(trained_predictor, step * (column, row), box, (height, width), options)

    coarse = {
        (column, row): predict(2 * column + 1, 2 * row + 1)
        for row in range(4)
        for column in range(4)
    }
    expected = [mask for masks, _ in coarse.values() for mask in masks]
    unique = {mask["point"] for mask in nms_by_iou(expected, options)}
    num_prompts = 16
    for (column, row), (masks, highest_iou) in coarse.items():
        is_near = not masks and highest_iou > 0.95 * thresholds["pred_iou_thresh"]
        if is_near or any(mask["point"] in unique for mask in masks):
            for y, x in ((0.5, 0.5), (0.5, 1.5), (1.5, 0.5), (1.5, 1.5)):
                expected += predict(2 * column + x, 2 * row + y)[0]
                num_prompts += 1
    expected = nms_by_iou(expected, options)
    last = search(trained_predictor, photo, points_per_side="auto", **thresholds)[-1]
    assert 16 < num_prompts < 16 + 64
    assert (last.completed, last.total) == (num_prompts, num_prompts)
    assert len(last.finished) == len(expected) > 1
    for mask, reference in zip(last.finished, expected, strict=True):
        assert mask.point == pytest.approx(reference["point"])
        assert (mask.to_mask() != reference["mask"]).mean() < 1e-3


def test_many_masks_are_stored_as_rles(trained_predictor, photo, monkeypatch):
    expected = search(trained_predictor, photo, box_nms_thresh=0.7)[-1].finished
    assert all(mask.nbytes for mask in expected)
    monkeypatch.setattr("keras_sam.predict.crop_search.MAX_LOGIT_BYTES", 1)
    masks = search(trained_predictor, photo, box_nms_thresh=0.7)[-1].finished
    assert not any(mask.nbytes for mask in masks)
    for mask, other in zip(masks, expected, strict=True):
        assert mask.to_record("coco_rle") == other.to_record("coco_rle")


def test_the_image_is_reset_when_a_search_is_stopped(segmenter, engine, image):
    predictor = SAMPredictor(segmenter, engine=engine)
    config = GeneratorConfig(3, points_per_batch=4, **ALL)
    steps = CropSearch(predictor, config, image, region=(0, 0, 80, 45), boxes=None).run()
    next(steps)
    assert predictor.is_image_set
    steps.close()
    assert not predictor.is_image_set
