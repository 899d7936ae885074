"""Each option of `MaskRefiner` on a drawn image, and invalid options."""

import numpy as np
import pytest

from keras_sam.masks.measures import mask_to_box
from keras_sam.transforms.fit_mask_to_box import (
    cells_in_box,
    clip_mask_to_box,
    expand_mask_to_box,
)
from keras_sam.transforms.guided_filter import GuidedFilterRefiner
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.mask_refiner import GUIDE_PIXELS, MaskRefiner

TRANSFORM = ImageTransform((90, 120), (128, 128))
LOW_RES_SIZE = 32, 32
BOX = np.array([30.0, 20.0, 85.0, 71.0])
CALIBRATION = (0.5, 0.25, 0.125)


@pytest.fixture(scope="module")
def model_image() -> np.ndarray:
    """A prepared image of a rectangle that fills `BOX`."""
    pixels = np.full((90, 120, 3), 90, np.uint8)
    pixels[20:71, 30:85] = 150, 120, 60
    noise = np.random.default_rng(0).integers(0, 12, pixels.shape, dtype=np.uint8)
    return TRANSFORM.apply_image(pixels + noise)


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    """Logits `(32, 32)` of a mask that is shifted from the rectangle, with noise."""
    y, x = np.mgrid[:32, :32]
    distance = np.minimum.reduce([x - 9, 23 - x, y - 3, 17 - y])
    noise = np.random.default_rng(1).normal(0, 0.5, (32, 32))
    return np.clip(2 * distance + noise, -9, 9).astype(np.float32)


def build(refiner, model_image):
    arrays = refiner.image_arrays(model_image, TRANSFORM, LOW_RES_SIZE)
    return refiner.for_image(arrays, TRANSFORM, LOW_RES_SIZE)


@pytest.mark.parametrize("original", [(20, 31), (31, 20), (32, 32)])
def test_image_arrays_are_the_block_means_of_the_model_image(original):
    image = np.random.default_rng(0).integers(0, 256, (*original, 3), dtype=np.uint8)
    transform = ImageTransform(original, (32, 32))
    model_image = transform.apply_image(image)
    arrays = MaskRefiner("guided_filter").image_arrays(model_image, transform, (16, 8))
    assert list(arrays) == [GUIDE_PIXELS]
    guide = arrays[GUIDE_PIXELS]
    assert guide.dtype == np.uint8
    height, width = transform.input_size
    assert guide.shape == (-(-height // 2), -(-width // 4), 3)
    for row, column in np.ndindex(*guide.shape[:2]):
        block = model_image[2 * row : 2 * row + 2, 4 * column : 4 * column + 4]
        np.testing.assert_allclose(guide[row, column], block.mean((0, 1)) * 255, atol=0.51)


def test_image_arrays_are_limited_to_uint8():
    model_image = np.full((128, 128, 3), [-0.5, 0.5, 1.5], np.float32)
    arrays = MaskRefiner("guided_filter").image_arrays(model_image, TRANSFORM, LOW_RES_SIZE)
    np.testing.assert_array_equal(arrays[GUIDE_PIXELS][0, 0], [0, 128, 255])


@pytest.mark.parametrize("box_constraint", ["none", "clip", "expand"])
def test_no_arrays_are_needed_without_boundary_refinement(model_image, box_constraint):
    refiner = MaskRefiner(box_constraint=box_constraint)
    assert refiner.image_arrays(model_image, TRANSFORM, LOW_RES_SIZE) == {}
    assert refiner.for_image({}, TRANSFORM, LOW_RES_SIZE).guide is None


def test_other_arrays_are_ignored(model_image, logits):
    refiner = MaskRefiner("guided_filter")
    arrays = refiner.image_arrays(model_image, TRANSFORM, LOW_RES_SIZE)
    expected = refiner.for_image(arrays, TRANSFORM, LOW_RES_SIZE).refine(logits, 0.5)[0]
    with_others = refiner.for_image(arrays | {"other": logits}, TRANSFORM, LOW_RES_SIZE)
    np.testing.assert_array_equal(with_others.refine(logits, 0.5)[0], expected)


def test_missing_array_raises():
    with pytest.raises(ValueError, match=r"guide_pixels of shape \(24, 32, 3\), got None"):
        MaskRefiner("guided_filter").for_image({}, TRANSFORM, LOW_RES_SIZE)


def test_array_of_another_image_raises(model_image):
    refiner = MaskRefiner("guided_filter")
    arrays = refiner.image_arrays(model_image, TRANSFORM, LOW_RES_SIZE)
    other = ImageTransform((120, 90), (128, 128))
    with pytest.raises(ValueError, match=r"shape \(32, 24, 3\), got \(24, 32, 3\)"):
        refiner.for_image(arrays, other, LOW_RES_SIZE)
    with pytest.raises(ValueError, match=r"shape \(12, 16, 3\), got \(24, 32, 3\)"):
        refiner.for_image(arrays, TRANSFORM, (16, 16))


@pytest.mark.parametrize("box", [None, BOX])
def test_default_options_change_nothing(model_image, logits, box):
    refined, predicted_iou = build(MaskRefiner(), model_image).refine(logits, 0.7, box)
    np.testing.assert_array_equal(refined, logits)
    assert predicted_iou == 0.7


@pytest.mark.parametrize("box_constraint", ["clip", "expand"])
def test_box_constraint_needs_a_box(model_image, logits, box_constraint):
    refiner = build(MaskRefiner(box_constraint=box_constraint), model_image)
    np.testing.assert_array_equal(refiner.refine(logits, 0.7)[0], logits)


def test_clip_makes_masks_end_at_the_box(model_image, logits):
    refined, predicted_iou = build(MaskRefiner(box_constraint="clip"), model_image).refine(
        logits, 0.7, BOX
    )
    assert predicted_iou == 0.7
    np.testing.assert_array_equal(refined, clip_mask_to_box(logits, TRANSFORM, BOX))
    x0, y0, x1, _ = mask_to_box(TRANSFORM.postprocess_masks(logits))
    assert (x0 > BOX[0], y0 < BOX[1], x1 > BOX[2]) == (True, True, True)
    x0, y0, x1, _ = mask_to_box(TRANSFORM.postprocess_masks(refined))
    np.testing.assert_allclose((y0, x1), BOX[1:3], atol=1)
    assert x0 > BOX[0] + 1


def test_expand_makes_masks_also_extend_to_the_sides(model_image, logits):
    refiner = build(MaskRefiner(box_constraint="expand"), model_image)
    refined = refiner.refine(logits, 0.7, BOX)[0]
    expected = clip_mask_to_box(expand_mask_to_box(logits, TRANSFORM, BOX), TRANSFORM, BOX)
    np.testing.assert_array_equal(refined, expected)
    before = mask_to_box(TRANSFORM.postprocess_masks(logits))
    after = mask_to_box(TRANSFORM.postprocess_masks(refined))
    assert after[0] < before[0]
    assert after[3] > before[3]
    np.testing.assert_allclose(after[1:3], BOX[1:3], atol=1)


def test_guided_filter_refines_without_a_box(model_image, logits):
    refiner = MaskRefiner("guided_filter")
    pixels = refiner.image_arrays(model_image, TRANSFORM, LOW_RES_SIZE)[GUIDE_PIXELS]
    refined, predicted_iou = build(refiner, model_image).refine(logits, 0.7)
    expected = GuidedFilterRefiner(pixels).refine(logits).low_res_logits
    np.testing.assert_array_equal(refined, expected)
    assert predicted_iou == 0.7
    # An unconstrained mask is not restricted to its box.
    with_box = build(refiner, model_image).refine(logits, 0.7, BOX)[0]
    np.testing.assert_array_equal(with_box, expected)


@pytest.mark.parametrize("box_constraint", ["clip", "expand"])
def test_guided_filter_is_restricted_to_the_constraining_box(model_image, logits, box_constraint):
    refiner = MaskRefiner("guided_filter", box_constraint)
    pixels = refiner.image_arrays(model_image, TRANSFORM, LOW_RES_SIZE)[GUIDE_PIXELS]
    region = cells_in_box(TRANSFORM, LOW_RES_SIZE, BOX)
    expected = GuidedFilterRefiner(pixels).refine(logits, region=region).low_res_logits
    if box_constraint == "expand":
        expected = expand_mask_to_box(expected, TRANSFORM, BOX)
    expected = clip_mask_to_box(expected, TRANSFORM, BOX)
    refined = build(refiner, model_image).refine(logits, 0.7, BOX)[0]
    np.testing.assert_array_equal(refined, expected)


@pytest.mark.parametrize("box_constraint", ["none", "clip", "expand"])
def test_boundary_refinement_improves_the_mask(model_image, logits, box_constraint):
    refiner = build(MaskRefiner("guided_filter", box_constraint), model_image)
    refined = refiner.refine(logits, 0.7, BOX)[0]
    truth = np.zeros((90, 120), bool)
    truth[20:71, 30:85] = True
    before, after = (TRANSFORM.postprocess_masks(values) for values in (logits, refined))
    assert (before & truth).sum() / (before | truth).sum() < 0.8
    assert (after & truth).sum() / (after | truth).sum() > 0.9


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_refined_masks_extend_to_all_sides_of_their_box(shift):
    """Cells next to the box are refined at all four sides, so none loses a part of the mask."""
    box = np.add([30, 20, 85, 71], shift)
    refiner = MaskRefiner("guided_filter", "clip")
    plain = np.full((128, 128, 3), 0.5, np.float32)
    refined = build(refiner, plain).refine(np.full((32, 32), 9, np.float32), 0.7, box)[0]
    mask = TRANSFORM.postprocess_masks(refined)
    np.testing.assert_allclose(mask_to_box(mask), box, atol=1)


def test_predicted_iou_is_calibrated(model_image, logits):
    refiner = MaskRefiner("guided_filter", iou_calibration=CALIBRATION)
    pixels = refiner.image_arrays(model_image, TRANSFORM, LOW_RES_SIZE)[GUIDE_PIXELS]
    confidence = GuidedFilterRefiner(pixels).refine(logits).foreground_confidence
    _, predicted_iou = build(refiner, model_image).refine(logits, 0.75)
    assert predicted_iou == pytest.approx(0.5 * 0.75 + 0.25 * confidence + 0.125)
    empty = np.full((32, 32), -5, np.float32)
    assert build(refiner, model_image).refine(empty, 0.75)[1] == 0.75


def test_calibrated_iou_is_limited_to_0_and_1():
    refiner = MaskRefiner("guided_filter", iou_calibration=[0.5, 1, -0.25])
    assert refiner.iou_calibration == (0.5, 1.0, -0.25)
    assert refiner.calibrate(0.5, 0.75) == 0.75
    assert refiner.calibrate(0.9, 1.0) == 1.0
    assert refiner.calibrate(-1.0, 0.5) == 0.0


def test_predicted_iou_is_kept_without_calibration_or_confidence():
    refiner = MaskRefiner("guided_filter", iou_calibration=[0.5, 1, -0.25])
    assert refiner.calibrate(0.3, None) == 0.3
    assert MaskRefiner("guided_filter").calibrate(0.3, 0.9) == 0.3


@pytest.mark.parametrize("field", ["boundary_refinement", "box_constraint"])
@pytest.mark.parametrize("value", ["image", "fitted", None, ["clip"], 3, True])
def test_other_options_raise(field, value):
    with pytest.raises(ValueError, match=f"{field} must be one of none, "):
        MaskRefiner(**{field: value})


@pytest.mark.parametrize(
    "value", ["model", (1, 2), (1, 2, "3"), (1, 2, np.nan), (1, 2, np.inf), (True, 0, 0), 3]
)
def test_calibration_that_is_not_three_numbers_raises(value):
    with pytest.raises(ValueError, match="iou_calibration must be None or three numbers"):
        MaskRefiner("guided_filter", iou_calibration=value)


@pytest.mark.parametrize("box_constraint", ["none", "clip", "expand"])
def test_calibration_without_boundary_refinement_raises(box_constraint):
    with pytest.raises(ValueError, match='needs boundary_refinement="guided_filter"'):
        MaskRefiner(box_constraint=box_constraint, iou_calibration=(1, 0, 0))
