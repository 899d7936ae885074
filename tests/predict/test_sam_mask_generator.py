"""Automatic mask generation against Meta's algorithm and the pipeline of transformers."""

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.label_map import records_to_label_map
from keras_sam.masks.coco_rle import coco_rle_to_mask
from keras_sam.models import SAMImageSegmenter
from keras_sam.predict import GeneratorConfig, SAMMaskGenerator, SAMPredictor
from keras_sam.transforms.inference_config import InferenceConfig, MaskThresholds
from tests.predict.reference_generator import assert_equal_records, generate_reference
from tests.predict.transformers_pipeline import (
    assert_equal_masks,
    build_pipeline,
    generate_with_pipeline,
)

SIZE = (70, 100)
# Some masks of the shipped preset pass these thresholds, and others do not.
OPTIONS = {
    "points_per_side": 4,
    "points_per_batch": 8,
    "pred_iou_thresh": 0.26,
    "stability_score_thresh": 0.6,
}
ALL = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0}
CROPS = {"crop_n_layers": 1, "crop_n_points_downscale_factor": 2}
# Unstable masks have holes and islands.
SMALL_REGIONS = {"min_mask_region_area": 40, "stability_score_thresh": 0.32}


@pytest.fixture
def generate(trained_predictor, photo):
    """The function that generates the masks of `photo`."""

    def generate(*, boxes=None, region=None, progress=None, **options):
        generator = SAMMaskGenerator(trained_predictor, **OPTIONS | options)
        return generator.generate(photo, boxes=boxes, region=region, progress=progress)

    return generate


def assert_same_masks(records, expected):
    assert len(records) == len(expected) > 1
    for record, other in zip(records, expected, strict=True):
        assert record["point_coords"] == other["point_coords"]
        assert (record["segmentation"] != other["segmentation"]).mean() < 1e-3


# Reference implementations


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pred_iou_thresh": 0.0},
        {"box_nms_thresh": 0.95, "stability_score_offset": 0.8},
        CROPS,
        SMALL_REGIONS,
    ],
    ids=["grid", "any predicted IoU", "overlaps", "crops", "small regions"],
)
def test_equal_to_metas_algorithm(trained_predictor, photo, generate, options):
    expected = generate_reference(trained_predictor, photo, **OPTIONS | options)
    assert_equal_records(generate(**options), expected)


@pytest.fixture(scope="module")
def random_segmenter(tiny_segmenter):
    """A random model whose masks differ from point to point."""
    segmenter = tiny_segmenter(2)
    for weight in segmenter.weights:
        weight.assign(2 * weight)
    return segmenter


@pytest.fixture(scope="module")
def pipelines(trained, random_segmenter, tmp_path_factory):
    return {
        segmenter: build_pipeline(segmenter, tmp_path_factory.mktemp("pipeline"))
        for segmenter in (trained, random_segmenter)
    }


# 36 points in batches of 16, so the last batch is smaller.
TRAINED_OPTIONS = OPTIONS | {"points_per_side": 6, "points_per_batch": 16}
WITH_DUPLICATES = {"box_nms_thresh": 1.0, "crop_nms_thresh": 1.0}
RANDOM_OPTIONS = WITH_DUPLICATES | {  # most of these masks fill the image: their boxes are equal
    "points_per_side": 10,
    "points_per_batch": 16,
    "pred_iou_thresh": 0.1,
    "stability_score_thresh": 0.31,
    "stability_score_offset": 0.2,
}


@pytest.mark.filterwarnings(r"default:::transformers(\..*)?")
@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("trained", (300, 200), TRAINED_OPTIONS),
        ("trained", (130, 97), TRAINED_OPTIONS | WITH_DUPLICATES | {"crop_n_layers": 1}),
        ("random_segmenter", (64, 96), RANDOM_OPTIONS | {"pred_iou_thresh": 0.0}),
        (
            "random_segmenter",
            (101, 77),
            RANDOM_OPTIONS | {"crop_n_layers": 2, "points_per_side": 5},
        ),
    ],
    ids=["grid", "crops", "random grid", "random crops of two layers"],
)
def test_equal_to_transformers(request, pipelines, load_photo, name, size, options):
    segmenter = request.getfixturevalue(name)
    image = load_photo(size)
    predictor = SAMPredictor(segmenter, mask_refiner=None)
    records = SAMMaskGenerator(predictor, **options).generate(image)
    expected = generate_with_pipeline(pipelines[segmenter], Image.fromarray(image), options)
    assert_equal_masks(records, expected)


# Results


def test_batch_size_does_not_change_the_masks(generate):
    assert_same_masks(generate(points_per_batch=7), generate())


def test_output_modes_contain_the_same_masks(generate):
    masks, uncompressed, compressed = (
        generate(output_mode=mode) for mode in ("binary_mask", "uncompressed_rle", "coco_rle")
    )
    assert len(masks) > 1
    for mask, runs, rle in zip(masks, uncompressed, compressed, strict=True):
        pixels = mask["segmentation"]
        assert (pixels.shape, pixels.dtype) == (SIZE, bool)
        assert isinstance(runs["segmentation"]["counts"], list)
        np.testing.assert_array_equal(coco_rle_to_mask(runs["segmentation"]), pixels)
        np.testing.assert_array_equal(coco_rle_to_mask(rle["segmentation"]), pixels)
        assert mask["area"] == runs["area"] == rle["area"] == pixels.sum()


@pytest.mark.parametrize("options", [CROPS, CROPS | SMALL_REGIONS])
def test_updates_end_with_the_masks_of_generate(trained_predictor, photo, options):
    generator = SAMMaskGenerator(trained_predictor, **OPTIONS | options, output_mode="coco_rle")
    records, completed = {}, 0
    for update in generator.iterate(photo):
        assert list(update.removed) == sorted(update.removed)
        for index in update.removed:
            del records[index]
        assert not records.keys() & update.added.keys()
        records |= update.added
        assert completed <= update.completed <= update.total == 16 + 4 * 4
        completed = update.completed
    assert completed == 32
    assert len(records) > 1
    expected = generator.generate(photo)
    assert sorted(map(repr, records.values())) == sorted(map(repr, expected))


def test_generation_can_be_stopped(trained_predictor, photo):
    generator = SAMMaskGenerator(trained_predictor, **OPTIONS)
    for update in generator.iterate(photo):
        assert update.completed == 8
        break
    assert not generator.predictor.is_image_set

    class CancelledError(Exception):
        pass

    def cancel(completed, total):
        raise CancelledError

    with pytest.raises(CancelledError):
        generator.generate(photo, progress=cancel)
    assert not generator.predictor.is_image_set


def test_progress_is_reported(generate):
    calls = []
    generate(progress=lambda completed, total: calls.append((completed, total)))
    assert calls == [(8, 16), (16, 16), (16, 16)]


def test_no_mask_passes(generate):
    assert generate(pred_iou_thresh=1.0) == []


def test_records_can_become_a_label_map(generate):
    records = generate()
    expected = np.zeros(SIZE, np.int32)
    for index, record in reversed(list(enumerate(records))):
        expected[record["segmentation"]] = index + 1
    labels = records_to_label_map(records, SIZE, overlap_priority="first")
    np.testing.assert_array_equal(labels, expected)


# Prompts


def test_custom_points(generate):
    """Points are in [0, 1] of the image."""
    points = np.array([[0.3, 0.4], [0.7, 0.6]])
    records = generate(points_per_side=None, point_grids=[points], **ALL)
    coords = {tuple(record["point_coords"][0]) for record in records}
    assert coords == {(30.0, 28.0), (70.0, 42.0)}


def test_boxes_replace_the_points(trained_predictor, photo, generate):
    boxes = np.array([[5.0, 5.0, 60.0, 50.0], [40.0, 20.0, 99.0, 69.0]])
    records = generate(boxes=boxes, **ALL)
    trained_predictor.set_image(photo)
    masks, iou_predictions, _ = trained_predictor.predict_many(boxes=boxes)
    order = np.argsort(-iou_predictions.ravel(), kind="stable")
    assert len(records) == 6
    centers = [[[32.5, 27.5]], [[69.5, 44.5]]]
    for record, index in zip(records, order, strict=True):
        assert (record["segmentation"] != masks.reshape(6, *SIZE)[index]).sum() <= 1
        assert record["point_coords"] == centers[index // 3]


@pytest.mark.parametrize("crop_n_layers", [0, 1])
def test_a_region_is_processed_like_an_image(trained_predictor, photo, generate, crop_n_layers):
    """A region is rounded to whole pixels. Records are in the frame of the whole image."""
    options = {"crop_n_layers": crop_n_layers, "min_mask_region_area": 20}
    x0, y0, x1, y1 = 25, 10, 81, 62
    generator = SAMMaskGenerator(trained_predictor, **OPTIONS | options)
    expected = generator.generate(np.ascontiguousarray(photo[y0:y1, x0:x1]))
    records = generate(region=(x0 + 0.5, y0, x1, y1 - 0.5), **options)
    assert len(records) == len(expected) > 1
    for record, other in zip(records, expected, strict=True):
        mask = np.zeros(SIZE, bool)
        mask[y0:y1, x0:x1] = other["segmentation"]
        np.testing.assert_array_equal(record["segmentation"], mask)
        shift = np.array([x0, y0, 0, 0])
        np.testing.assert_array_equal(record["bbox"], shift + other["bbox"])
        np.testing.assert_array_equal(record["crop_box"], shift + other["crop_box"])
        np.testing.assert_allclose(record["point_coords"], [other["point_coords"][0] + shift[:2]])
        for name in ("area", "predicted_iou", "stability_score"):
            assert record[name] == other[name]


def test_boxes_in_a_region(trained_predictor, photo, generate):
    generator = SAMMaskGenerator(trained_predictor, **OPTIONS | ALL)
    expected = generator.generate(photo[10:], boxes=[[5, 5, 60, 50]])
    records = generate(boxes=[[5, 15, 60, 60]], region=(0, 10, 100, 70), **ALL)
    assert len(records) == len(expected) == 3
    for record, other in zip(records, expected, strict=True):
        np.testing.assert_array_equal(record["segmentation"][10:], other["segmentation"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"boxes": [[5, 5, 60, 50]], "region": (0, 10, 100, 70)}, "boxes must lie in the region"),
        ({"boxes": [[5, 5, 101, 50]]}, "not inside the image"),
        ({"boxes": []}, r"boxes must have shape \(K, 4\) with at least one box, got \(0,\)"),
        ({"boxes": [5, 5, 60, 50]}, r"boxes must have shape \(K, 4\) .* got \(4,\)"),
        ({"region": (5, 5, 5, 20)}, "x0 < x1"),
    ],
)
def test_wrong_boxes_and_regions_raise(generate, arguments, message):
    with pytest.raises(ValueError, match=message):
        generate(**arguments)


# Options


def test_options_replace_those_of_the_config(trained_predictor):
    config = GeneratorConfig(5, pred_iou_thresh=0.1, box_nms_thresh=0.3)
    generator = SAMMaskGenerator(trained_predictor, config, box_nms_thresh=0.5)
    assert generator.config.points_per_side == 5
    assert generator.config.pred_iou_thresh == 0.1
    assert generator.config.box_nms_thresh == 0.5
    assert config.box_nms_thresh == 0.3


def test_missing_thresholds_are_those_of_the_model(segmenter, engine, monkeypatch):
    predictor = SAMPredictor(segmenter, engine=engine)
    config = SAMMaskGenerator(predictor).config
    assert (config.pred_iou_thresh, config.stability_score_thresh) == (0.88, 0.95)
    thresholds = InferenceConfig(mask_thresholds=MaskThresholds(0.4, 0.6))
    monkeypatch.setattr(segmenter, "inference_config", thresholds)
    config = SAMMaskGenerator(predictor, stability_score_thresh=0.0).config
    assert (config.pred_iou_thresh, config.stability_score_thresh) == (0.4, 0.0)


def test_a_segmenter_is_refined_as_its_preset_says(trained, trained_predictor):
    assert trained.inference_config.mask_refiner is not None
    refiner = SAMMaskGenerator(trained).predictor.mask_refiner
    assert refiner == trained.inference_config.mask_refiner
    assert SAMMaskGenerator(trained_predictor).predictor is trained_predictor


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {"points_per_row": 5}, "points_per_row"),
        ((5,), {}, "config must be a GeneratorConfig, got int.* options by name"),
        ((0,), {}, "config must be a GeneratorConfig, got int"),
        (({"points_per_side": 5},), {}, "config must be a GeneratorConfig, got dict"),
    ],
)
def test_wrong_options_raise(trained_predictor, arguments, options, message):
    with pytest.raises(TypeError, match=message):
        SAMMaskGenerator(trained_predictor, *arguments, **options)


def test_wrong_model_raises():
    with pytest.raises(TypeError, match="model must be a SAMImageSegmenter"):
        SAMMaskGenerator(SAMImageSegmenter)
