"""Decoding of many prompts against full-size logits of one prompt at a time."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from keras_sam.predict import GeneratorConfig, SAMPredictor
from keras_sam.predict.batch_decoder import BatchDecoder, PromptBatch
from keras_sam.predict.crops import Crop
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor
from keras_sam.transforms.mask_refiner import MaskRefiner
from tests.predict.reference_generator import OPTIONS, filter_mask, predict_point

SIZE = (70, 100)
IMAGE = Crop((0, 0, 100, 70))
POINTS = np.array([[12, 9], [50, 12], [85, 50], [40, 60], [20, 30], [70, 25]], float)
BOXES = np.array([[5.0, 5.0, 60.0, 50.0], [40.0, 20.0, 99.0, 69.0]])
# Some masks of the shipped preset pass these thresholds, and others do not.
THRESHOLDS = {"pred_iou_thresh": 0.3, "stability_score_thresh": 0.55}
ALL = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}


@pytest.fixture
def predictor(trained_predictor, photo):
    trained_predictor.set_image(photo)
    return trained_predictor


def point_prompts(predictor):
    pairs = np.stack([POINTS, np.zeros_like(POINTS)], axis=1)
    labels = np.tile(np.array([1, -1], np.int32), (len(POINTS), 1))
    return PromptBatch(POINTS, predictor.transform.apply_points(pairs), labels)


def box_prompts(predictor):
    corners = predictor.transform.apply_points(BOXES.reshape(-1, 2, 2))
    labels = np.tile(np.array([2, 3], np.int32), (len(BOXES), 1))
    return PromptBatch(BOXES.reshape(-1, 2, 2).mean(axis=1), corners, labels, BOXES)


def decode(predictor, prompts, **options):
    """Return all masks, and the highest predicted IoU of the prompts of each batch."""
    config = GeneratorConfig(1, **{"points_per_batch": 4} | options)
    batches = list(BatchDecoder(predictor, config, IMAGE, SIZE).decode(prompts))
    return [mask for masks, _ in batches for mask in masks], [iou for _, iou in batches]


def assert_equal_masks(masks, expected):
    assert len(masks) == len(expected) > 1
    for mask, reference in zip(masks, expected, strict=True):
        pixels, expected_pixels = mask.to_mask(), reference["mask"]
        union = (pixels | expected_pixels).sum()
        assert (pixels & expected_pixels).sum() >= 0.999 * union
        assert np.abs(np.subtract(mask.box, reference["box"])).max() <= 1
        assert mask.predicted_iou == pytest.approx(reference["predicted_iou"], abs=1e-4)
        stability_score = mask.low_res.stability_score
        assert stability_score == pytest.approx(reference["stability_score"], abs=2e-3)
        assert mask.point == pytest.approx(reference["point"])


@pytest.mark.parametrize("options", [THRESHOLDS, ALL], ids=["thresholds", "all masks"])
def test_equal_to_one_point_at_a_time(predictor, options):
    """The last batch is smaller than the others, and none of its masks are lost."""
    masks, predicted_iou = decode(predictor, point_prompts(predictor), **options)
    results = [predict_point(predictor, point, IMAGE.box, SIZE, options) for point in POINTS]
    expected = [mask for point_masks, _ in results for mask in point_masks]
    assert (len(expected) < 3 * len(POINTS)) == (options is THRESHOLDS)
    assert_equal_masks(masks, expected)
    assert [len(batch) for batch in predicted_iou] == [4, 2]
    np.testing.assert_allclose(
        np.concatenate(predicted_iou), [highest for _, highest in results], atol=1e-4
    )


def test_boxes_equal_one_box_at_a_time(predictor):
    masks, _ = decode(predictor, box_prompts(predictor), **ALL)
    expected = []
    for box in BOXES:
        logits, predicted_iou, _ = predictor.predict(box=box, return_logits=True)
        point = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        expected += [
            filter_mask(mask, iou, IMAGE.box, SIZE, OPTIONS | ALL) | {"point": point}
            for mask, iou in zip(logits, predicted_iou, strict=True)
        ]
    assert_equal_masks(masks, expected)


def test_no_mask_passes(predictor):
    masks, predicted_iou = decode(predictor, point_prompts(predictor), pred_iou_thresh=1.0)
    assert masks == []
    assert [len(batch) for batch in predicted_iou] == [4, 2]


def test_masks_are_refined(predictor, trained, trained_engine, photo):
    """Stability scores are those of the masks before refinement, and so is the selection."""
    raw, _ = decode(predictor, box_prompts(predictor), **ALL)
    logits, predicted_iou = predictor.predict_low_res(boxes=BOXES)
    mask_refiner = MaskRefiner("guided_filter", "clip")
    refining = SAMPredictor(trained, mask_refiner=mask_refiner, engine=trained_engine)
    refining.set_image(photo)
    refined, _ = decode(refining, box_prompts(refining), **ALL)
    num_changed = 0
    for index, (mask, before) in enumerate(zip(refined, raw, strict=True)):
        prompt, mask_index = divmod(index, 3)
        iou = float(predicted_iou[prompt, mask_index])
        expected, expected_iou = refining.state.refiner.refine(
            logits[prompt, mask_index], iou, BOXES[prompt]
        )
        pixels = refining.transform.postprocess_masks(expected)
        assert (mask.to_mask() != pixels).mean() < 1e-3
        assert mask.predicted_iou == pytest.approx(expected_iou, abs=1e-4)
        assert mask.low_res.stability_score == before.low_res.stability_score
        num_changed += np.count_nonzero(mask.to_mask() != before.to_mask())
    assert num_changed > 100


def test_refined_masks_need_the_predicted_iou_again(predictor, trained, trained_engine, photo):
    options = THRESHOLDS | {"stability_score_thresh": 0.0}
    before, _ = decode(predictor, point_prompts(predictor), **options)
    predicted_iou = sorted(mask.predicted_iou for mask in before)
    limit = (predicted_iou[len(before) // 2] + predicted_iou[len(before) // 2 - 1]) / 2
    change = options["pred_iou_thresh"] - limit
    mask_refiner = MaskRefiner("guided_filter", iou_calibration=(1, 0, change))
    refining = SAMPredictor(trained, mask_refiner=mask_refiner, engine=trained_engine)
    refining.set_image(photo)
    after, _ = decode(refining, point_prompts(refining), **options)
    expected = [mask.predicted_iou + change for mask in before if mask.predicted_iou > limit]
    assert 0 < len(expected) < len(before)
    np.testing.assert_allclose([mask.predicted_iou for mask in after], expected, atol=1e-5)


def test_batches_are_limited_by_memory_only_on_a_cpu(predictor, monkeypatch):
    """Larger batches are not faster there."""
    engine = type(predictor.engine)
    monkeypatch.setattr(engine, "decoder_bytes", 1)
    for is_on_cpu, expected in ((True, [1] * 6), (False, [4, 2])):
        monkeypatch.setattr(engine, "is_on_cpu", is_on_cpu)
        _, predicted_iou = decode(predictor, point_prompts(predictor), pred_iou_thresh=1.0)
        assert [len(batch) for batch in predicted_iou] == expected


def test_masks_may_be_computed_in_parts(predictor, monkeypatch):
    """On a CPU, few masks are computed together: those of three prompts here."""
    expected, _ = decode(predictor, point_prompts(predictor), **ALL)
    backbone = predictor.model.backbone
    bytes_per_prompt = 4 * np.prod(backbone.embedding_size) * backbone.mask_decoder.hidden_size
    upscaled_bytes = 3 * bytes_per_prompt * 2  # upscaled tokens take twice the memory
    monkeypatch.setattr("keras_sam.predict.batch_decoder.UPSCALED_BYTES", upscaled_bytes)
    monkeypatch.setattr(type(predictor.engine), "is_on_cpu", True)
    predict_masks, counts = predictor.engine.predict_masks, []

    def count(cache, tokens, indices):
        counts.append(len(indices))
        return predict_masks(cache, tokens, indices)

    monkeypatch.setattr(predictor.engine, "predict_masks", count)
    masks, _ = decode(predictor, point_prompts(predictor), **ALL)
    assert counts == [3, 3, 3]  # four prompts, then two
    for mask, other in zip(masks, expected, strict=True):
        assert mask.point == other.point
        assert (mask.to_mask() != other.to_mask()).mean() < 1e-3


def test_numpy_has_one_thread_during_postprocessing(predictor, monkeypatch):
    """Other threads would wait in a loop and take a core from the engine."""

    def numpy_threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    compute, counts = MaskPostprocessor.compute_box_and_stability, []

    def count(postprocessor, logits):
        counts.append(numpy_threads())
        return compute(postprocessor, logits)

    monkeypatch.setattr(MaskPostprocessor, "compute_box_and_stability", count)
    with threadpool_limits(2, user_api="blas"):
        decode(predictor, point_prompts(predictor), **THRESHOLDS)
        assert numpy_threads() == {2}
    assert counts
    assert all(threads == {1} for threads in counts)


def test_masks_are_those_of_the_crop(predictor, photo):
    """Boxes and pixels are in the frame of the original image."""
    crop = Crop((30, 10, 90, 60), 1)
    x0, y0, x1, y1 = crop.box
    predictor.set_image(np.ascontiguousarray(photo[y0:y1, x0:x1]))
    config = GeneratorConfig(1, points_per_batch=4, **ALL)
    prompts = point_prompts(predictor).select(slice(1))
    ((masks, _),) = BatchDecoder(predictor, config, crop, SIZE).decode(prompts)
    expected = predictor.predict([POINTS[0]], [1])[0]
    for mask, crop_pixels in zip(masks, expected, strict=True):
        pixels = np.zeros(SIZE, bool)
        pixels[y0:y1, x0:x1] = crop_pixels
        assert (mask.to_mask() != pixels).sum() <= 1
        assert mask.crop == crop
