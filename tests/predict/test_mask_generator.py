"""Everything mode against a plain rendering of Meta's algorithm that holds every pixel."""

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from keras_sam.masks.coco_rle import coco_rle_to_mask
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.mask_generator import SAMMaskGenerator
from keras_sam.predict.predictor import SAMPredictor
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor
from tests.predict.metas_everything import (
    PHOTOGRAPH,
    SETTINGS,
    SIZE,
    assert_equal_records,
    at_point,
    best,
    everything,
)


@pytest.fixture(scope="module")
def predictor():
    """Of the shipped preset: masks of random weights are all alike. Its programs are shared."""
    model = SAMImageSegmenter.from_preset("sam_tiny_synthetic")
    model.preprocessing = {"outlines": "model"}  # as Meta's
    return SAMPredictor(model)


@pytest.fixture(scope="module")
def image():
    """A photograph, small."""
    return np.asarray(Image.open(PHOTOGRAPH).convert("RGB").resize(SIZE[::-1]))


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        SETTINGS | {"pred_iou_thresh": 0.0},
        SETTINGS | {"box_nms_thresh": 0.95, "stability_score_offset": 1.0},
        SETTINGS | {"crop_n_layers": 1, "crop_n_points_downscale_factor": 2},
        SETTINGS | {"min_mask_region_area": 40},
    ],
    ids=["grid", "unrated", "overlaps", "crops", "small regions"],
)
def test_equal_to_metas_algorithm(predictor, image, settings):
    expected = everything(predictor, image, **settings)
    records = SAMMaskGenerator(predictor, **settings).generate(image)
    assert_equal_records(records, expected)


def test_outlines_move_to_the_edges_where_the_model_says_so(predictor, image):
    """What is found stays the same, each mask alone is outlined anew."""
    told = predictor.model.preprocessing
    generator = SAMMaskGenerator(predictor, **SETTINGS | {"box_nms_thresh": 1.0})
    raw = generator.generate(image)
    predictor.set_image(image)
    points = np.array([[record["point_coords"]] for record in raw], np.float32).reshape(-1, 1, 2)
    logits, ratings = predictor.predict_low_res(points, np.ones(points.shape[:2], np.int32))
    try:
        predictor.model.preprocessing = {"outlines": "image"}
        found = generator.generate(image)
        predictor.set_image(image)
        guide, frame = predictor.encoded_image.guide, predictor.frame
    finally:
        predictor.model.preprocessing = told
    assert len(found) == len(raw) > 5
    changed = 0
    for record, before, three, rated in zip(found, raw, logits, ratings, strict=True):
        for name in ("point_coords", "stability_score", "predicted_iou"):
            assert record[name] == before[name]
        index = np.abs(rated - record["predicted_iou"]).argmin()
        expected = frame.postprocess_masks(guide.refined(three[index]).low_res_logits)
        assert (record["segmentation"] != expected).mean() < 1e-3
        changed += np.count_nonzero(record["segmentation"] != before["segmentation"])
    assert changed > 100


def test_masks_rated_again_pass_by_that_rating(predictor, image):
    told = predictor.model.preprocessing
    settings = SETTINGS | {"box_nms_thresh": 1.0}
    try:
        predictor.model.preprocessing = {"outlines": "image"}
        before = SAMMaskGenerator(predictor, **settings).generate(image)
        limit = float(np.median([record["predicted_iou"] for record in before]))
        lower = settings["pred_iou_thresh"] - limit
        predictor.model.preprocessing = {"outlines": "image", "ratings": (1, 0, lower)}
        after = SAMMaskGenerator(predictor, **settings).generate(image)
    finally:
        predictor.model.preprocessing = told
    expected = [record["predicted_iou"] for record in before if record["predicted_iou"] > limit]
    assert 0 < len(expected) < len(before)
    np.testing.assert_allclose(
        [record["predicted_iou"] for record in after], np.array(expected) + lower, atol=1e-6
    )


def test_batches_change_nothing(predictor, image):
    """Nor is the last, smaller batch dropped."""
    expected = SAMMaskGenerator(predictor, **SETTINGS).generate(image)
    found = SAMMaskGenerator(predictor, **SETTINGS | {"points_per_batch": 7}).generate(image)
    assert len(found) == len(expected) > 1
    for record, other in zip(found, expected, strict=True):
        assert record["point_coords"] == other["point_coords"]
        assert (record["segmentation"] != other["segmentation"]).mean() < 1e-3


def test_output_modes(predictor, image):
    masks, runs, rles = (
        SAMMaskGenerator(predictor, **SETTINGS, output_mode=mode).generate(image)
        for mode in ("binary_mask", "uncompressed_rle", "coco_rle")
    )
    for mask, run, rle in zip(masks, runs, rles, strict=True):
        assert mask["segmentation"].shape == SIZE
        assert mask["segmentation"].dtype == bool
        assert sum(run["segmentation"]["counts"]) == SIZE[0] * SIZE[1]
        np.testing.assert_array_equal(coco_rle_to_mask(run["segmentation"]), mask["segmentation"])
        np.testing.assert_array_equal(coco_rle_to_mask(rle["segmentation"]), mask["segmentation"])
        assert mask["area"] == run["area"] == rle["area"]


@pytest.mark.parametrize("settings", [SETTINGS, SETTINGS | {"min_mask_region_area": 40}])
def test_updates_end_where_generate_does(predictor, image, settings):
    settings = settings | {"crop_n_layers": 1, "crop_n_points_downscale_factor": 2}
    settings |= {"output_mode": "coco_rle"}
    generator = SAMMaskGenerator(predictor, **settings)
    shown, done = {}, 0
    for update in generator.iterate(image):
        for number in update.removed:
            del shown[number]
        assert not shown.keys() & update.added.keys()
        shown |= update.added
        assert done <= update.done <= update.total == 32
        done = update.done
    assert done == 32
    expected = generator.generate(image)
    assert sorted(map(repr, shown.values())) == sorted(map(repr, expected))


def test_it_can_be_left(predictor, image):
    generator = SAMMaskGenerator(predictor, **SETTINGS)
    for _ in generator.iterate(image):
        break
    assert not generator.predictor.is_image_set

    class CancelledError(Exception):
        pass

    def cancel(done, total):
        raise CancelledError

    with pytest.raises(CancelledError):
        generator.generate(image, progress=cancel)
    assert not generator.predictor.is_image_set


def test_boxes_as_prompts(predictor, image):
    boxes = np.array([[5.0, 5.0, 60.0, 50.0], [40.0, 20.0, 99.0, 69.0]])
    settings = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0}
    settings |= {"points_per_batch": 8}
    records = SAMMaskGenerator(predictor, **settings).generate(image, boxes=boxes)
    predictor.set_image(image)
    masks, ratings, _ = predictor.predict_many(boxes=boxes)
    order = np.argsort(-ratings.ravel(), kind="stable")
    assert len(records) == 6
    for record, index in zip(records, order, strict=True):
        expected = masks.reshape(6, *SIZE)[index]
        assert (record["segmentation"] != expected).sum() <= 1
    assert sorted(map(tuple, np.concatenate([r["point_coords"] for r in records[:6]]))) == (
        [(32.5, 27.5)] * 3 + [(69.5, 44.5)] * 3
    )


def test_many_candidates_are_held_as_runs(predictor, image, monkeypatch):
    expected = SAMMaskGenerator(predictor, **SETTINGS).generate(image)
    monkeypatch.setattr("keras_sam.predict.crop_search.HELD_BYTES", 1)
    found = SAMMaskGenerator(predictor, **SETTINGS).generate(image)
    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    "thresholds",
    [
        {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.2, "box_nms_thresh": 0.05},
        {"pred_iou_thresh": 0.35, "stability_score_thresh": 0.7, "box_nms_thresh": 0.7},
    ],
    ids=["few are new", "few nearly pass"],
)
def test_auto_goes_on_where_masks_are_found(predictor, image, monkeypatch, thresholds):
    monkeypatch.setattr("keras_sam.predict.mask_generator.COARSE_POINTS_PER_SIDE", 4)
    settings = SETTINGS | {"points_per_side": "auto"} | thresholds
    options = settings | {"stability_score_offset": 1.0}
    predictor.set_image(image)
    box = (0, 0, SIZE[1], SIZE[0])
    step = np.array([SIZE[1] / 8, SIZE[0] / 8])
    coarse = {
        (row, column): at_point(predictor, step * (2 * column + 1, 2 * row + 1), box, SIZE, options)
        for row in range(4)
        for column in range(4)
    }
    found = [mask for masks, _ in coarse.values() for mask in masks]
    new = {mask["point"] for mask in best(found, options)}
    prompts = 16
    for (row, column), (masks, rating) in coarse.items():
        is_near = not masks and rating > 0.95 * thresholds["pred_iou_thresh"]
        if is_near or any(mask["point"] in new for mask in masks):
            for y, x in ((0.5, 0.5), (0.5, 1.5), (1.5, 0.5), (1.5, 1.5)):
                point = step * (2 * column + x, 2 * row + y)
                found += at_point(predictor, point, box, SIZE, options)[0]
                prompts += 1
    expected = best(found, options)
    seen = []
    generator = SAMMaskGenerator(predictor, **settings)
    records = generator.generate(image, progress=lambda *count: seen.append(count))
    assert 16 < prompts < 16 + 64
    assert seen[-1] == (prompts, prompts)
    assert_equal_records(records, expected)


@pytest.mark.parametrize("crop_n_layers", [0, 1])
def test_a_region_is_searched_as_an_image_of_its_own(predictor, image, crop_n_layers):
    settings = SETTINGS | {"crop_n_layers": crop_n_layers, "min_mask_region_area": 20}
    generator = SAMMaskGenerator(predictor, **settings)
    x0, y0, x1, y1 = 25, 10, 81, 62
    expected = generator.generate(np.ascontiguousarray(image[y0:y1, x0:x1]))
    found = generator.generate(image, region=(x0 + 0.5, y0, x1, y1 - 0.5))
    assert len(found) == len(expected) > 1
    for record, other in zip(found, expected, strict=True):
        mask = np.zeros(SIZE, bool)
        mask[y0:y1, x0:x1] = other["segmentation"]
        np.testing.assert_array_equal(record["segmentation"], mask)
        moved = np.array([x0, y0, 0, 0])
        np.testing.assert_array_equal(record["bbox"], moved + other["bbox"])
        np.testing.assert_array_equal(record["crop_box"], moved + other["crop_box"])
        np.testing.assert_allclose(record["point_coords"], [other["point_coords"][0] + moved[:2]])
        for name in ("area", "predicted_iou", "stability_score"):
            assert record[name] == other[name]


def test_boxes_in_a_region(predictor, image):
    settings = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "points_per_batch": 8}
    generator = SAMMaskGenerator(predictor, **settings)
    expected = generator.generate(image[10:], boxes=[[5, 5, 60, 50]])
    found = generator.generate(image, boxes=[[5, 15, 60, 60]], region=(0, 10, 100, 70))
    assert len(found) == len(expected) > 0
    for record, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(record["segmentation"][10:], other["segmentation"])
    with pytest.raises(ValueError, match="boxes must lie in the region"):
        generator.generate(image, boxes=[[5, 5, 60, 50]], region=(0, 10, 100, 70))


def test_a_label_map(predictor, image):
    generator = SAMMaskGenerator(predictor, **SETTINGS)
    records = generator.generate(image)
    for overlap_priority, order in (("first", -1), ("last", 1)):
        expected = np.zeros(SIZE, np.int32)
        for number, record in list(enumerate(records, start=1))[::order]:
            expected[record["segmentation"]] = number
        np.testing.assert_array_equal(
            generator.label_map(image, overlap_priority=overlap_priority), expected
        )


def test_steps_are_small_on_a_cpu_alone(predictor, image, monkeypatch):
    """More prompts at once take memory there, and no less time; a graphics card wants them all."""
    monkeypatch.setattr(type(predictor.engine), "decoder_bytes", 1)
    counts = {}
    for is_on_cpu in (True, False):
        monkeypatch.setattr(type(predictor.engine), "is_on_cpu", is_on_cpu)
        done = []
        generator = SAMMaskGenerator(predictor, 2, 4, 1e9)
        generator.generate(image, progress=lambda count, _, done=done: done.append(count))
        counts[is_on_cpu] = done
    assert counts == {True: [1, 2, 3, 4, 4], False: [4, 4]}


def test_how_many_are_drawn_at_once_changes_nothing(predictor, image, monkeypatch):
    """On a CPU few are: five here."""
    expected = SAMMaskGenerator(predictor, **SETTINGS).generate(image)
    memory = "keras_sam.predict.batch_decoder.DRAWING_BYTES"
    monkeypatch.setattr(memory, 5 * 2 * 4 * 32 * 32 * 128)
    counts = []
    draw = predictor.engine.draw

    def count(features, attended, indices):
        counts.append(len(indices))
        return draw(features, attended, indices)

    monkeypatch.setattr(predictor.engine, "draw", count)
    found = SAMMaskGenerator(predictor, **SETTINGS).generate(image)
    assert set(counts) == {5}
    for record, other in zip(found, expected, strict=True):
        assert record["point_coords"] == other["point_coords"]
        assert (record["segmentation"] != other["segmentation"]).mean() < 1e-3


def test_numpy_has_one_thread_while_masks_are_measured(predictor, image, monkeypatch):
    """Others would wait in a loop and take a processor from the engine's next step."""

    def numpy_threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    seen = []
    measure = MaskPostprocessor.measure

    def watch(masks, logits, **within):
        seen.append(numpy_threads())
        return measure(masks, logits, **within)

    monkeypatch.setattr(MaskPostprocessor, "measure", watch)
    with threadpool_limits(2, user_api="blas"):
        assert SAMMaskGenerator(predictor, **SETTINGS).generate(image)
        assert numpy_threads() == {2}
    assert seen
    assert all(threads == {1} for threads in seen)


def test_nothing_is_found(predictor, image):
    assert SAMMaskGenerator(predictor, **SETTINGS | {"pred_iou_thresh": 1e9}).generate(image) == []


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"points_per_side": None}, "either points_per_side or point_grids"),
        ({"point_grids": [np.zeros((1, 2))]}, "either points_per_side or point_grids"),
        ({"output_mode": "png"}, "output_mode must be one of"),
        ({"points_per_side": "fine"}, 'a number or "auto"'),
        ({"points_per_batch": 0}, "points_per_batch"),
        ({"points_per_side": 0}, "points_per_side"),
        (
            {"points_per_side": 3, "crop_n_layers": 2, "crop_n_points_downscale_factor": 2},
            "layer 2",
        ),
        ({"points_per_side": None, "point_grids": [np.array([[2.0, 0.5]])]}, r"in \[0, 1\]"),
        ({"points_per_side": None, "point_grids": [], "crop_n_layers": 0}, "one grid for each"),
    ],
)
def test_wrong_arguments(predictor, arguments, match):
    with pytest.raises(ValueError, match=match):
        SAMMaskGenerator(predictor, **arguments)


def test_own_points(predictor, image):
    """The points that a user gives, in 0..1 of the image."""
    points = np.array([[0.3, 0.4], [0.7, 0.6]])
    settings = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0}
    settings |= {"points_per_batch": 8}
    generator = SAMMaskGenerator(predictor, None, point_grids=[points], **settings)
    found = {tuple(record["point_coords"][0]) for record in generator.generate(image)}
    assert found == {(30.0, 28.0), (70.0, 42.0)}


def test_another_model():
    with pytest.raises(TypeError, match="SAMImageSegmenter"):
        SAMMaskGenerator(SAMImageSegmenter)


def test_thresholds_left_out_are_the_models(segmenter):
    own = {"pred_iou_thresh": 0.4, "stability_score_thresh": 0.6}
    assert SAMMaskGenerator(segmenter).settings.pred_iou_thresh == 0.88
    segmenter.thresholds = own
    try:
        settings = SAMMaskGenerator(segmenter, stability_score_thresh=0.0).settings
    finally:
        segmenter.thresholds = None  # the model is shared
    assert (settings.pred_iou_thresh, settings.stability_score_thresh) == (0.4, 0.0)
