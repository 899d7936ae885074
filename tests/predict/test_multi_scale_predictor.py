"""Prediction in crops against a predictor of each crop alone."""

import inspect

import numpy as np
import pytest

from keras_sam.masks.measures import mask_to_box
from keras_sam.models import SAMImageSegmenter
from keras_sam.predict import MultiScalePredictor, SAMPredictor
from keras_sam.predict.crop_mask import ZOOM_PENALTY
from keras_sam.predict.crop_pyramid import crop_pyramid
from keras_sam.predict.resample_logits import resample_logits
from tests.predict.reference_selection import iou, select_greedily

SIZE = (150, 240)
IMAGE = (0, 0, 240, 150)
BOX = np.array([50, 60, 66, 70], np.float32)
CROP = (30, 30, 90, 90)  # for BOX


@pytest.fixture(scope="module")
def large_image():
    return np.random.default_rng(2).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


@pytest.fixture
def predictor(predictor, large_image):
    """Predictor of `large_image`, of random weights."""
    multi_scale = MultiScalePredictor(predictor)
    multi_scale.set_image(large_image)
    return multi_scale


def predictor_of_crop(predictor, image, crop):
    """Return a plain predictor of a crop, with the same programs."""
    x0, y0, x1, y1 = crop
    plain = SAMPredictor(
        predictor.model, mask_refiner=predictor.mask_refiner, engine=predictor.engine
    )
    plain.set_image(np.ascontiguousarray(image[y0:y1, x0:x1]))
    return plain


def in_image(crop, logits):
    """Put the logits `(M, h, w)` of a crop into an image of background."""
    x0, y0, x1, y1 = crop
    whole = np.full((len(logits), *SIZE), -16, np.float32)
    whole[:, y0:y1, x0:x1] = logits
    return whole


def assert_close(array, expected):
    np.testing.assert_allclose(array, expected, rtol=1e-3, atol=1e-3)


# The interface of SAMPredictor


@pytest.mark.parametrize("name", ["predict", "predict_many", "set_image", "reset_image"])
def test_signatures_are_those_of_sam_predictor(name):
    def parameters(predictor):
        signature = inspect.signature(getattr(predictor, name))
        return [(p.name, p.kind, p.default) for p in signature.parameters.values()]

    assert parameters(MultiScalePredictor) == parameters(SAMPredictor)


@pytest.mark.parametrize(
    "prompt",
    [
        {},
        {"box": BOX},
        {"box": BOX, "multimask_output": False, "return_logits": True},
        {"point_coords": [[56, 65]], "point_labels": [1]},
        {"point_coords": [[56, 65]], "point_labels": [1], "multimask_output": False},
    ],
    ids=["no prompt", "box", "one mask", "point", "one mask of a point"],
)
def test_shapes_and_dtypes_are_those_of_sam_predictor(predictor, large_image, prompt):
    plain = predictor_of_crop(predictor.predictor, large_image, IMAGE)
    expected = plain.predict(**prompt)
    for result, other in zip(predictor.predict(**prompt), expected, strict=True):
        assert (result.shape, result.dtype) == (other.shape, other.dtype)
    assert predictor.original_size == plain.original_size == SIZE


@pytest.mark.parametrize("image_format", ["RGB", "BGR"])
def test_channel_order(predictor, large_image, image_format):
    expected = predictor.predict(box=BOX)[2]
    is_bgr = image_format == "BGR"
    predictor.set_image(large_image[..., ::-1] if is_bgr else large_image, image_format)
    assert_close(predictor.predict(box=BOX)[2], expected)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"box": [300, 0, 310, 10]}, "not inside the image"),
        ({"point_coords": [[10, 10]]}, "without point_labels"),
        ({"point_coords": [[240, 10]], "point_labels": [1]}, "outside the image"),
        ({"box": BOX, "mask_input": np.zeros((1, 4, 4))}, "low-res logits of shape"),
        ({"box": BOX, "mask_input": np.zeros((2, 32, 32))}, "boxes has 1, mask_input has 2"),
        ({"box": BOX, "mask_input": np.full((1, 32, 32), np.nan)}, "finite"),
    ],
)
def test_wrong_prompt_raises(predictor, prompt, message):
    with pytest.raises(ValueError, match=message):
        predictor.predict(**prompt)


def test_reset_image(predictor):
    assert predictor.is_image_set
    predictor.predict(box=BOX)
    predictor.reset_image()
    assert not predictor.is_image_set
    assert not predictor.predictor.is_image_set
    with pytest.raises(RuntimeError, match="call set_image first"):
        predictor.predict(box=BOX)
    with pytest.raises(RuntimeError, match="call set_image first"):
        _ = predictor.original_size


# Prompts whose size is known use one crop


def test_a_box_is_predicted_in_one_crop(predictor, large_image):
    assert crop_pyramid(BOX, SIZE)[-1] == CROP
    plain = predictor_of_crop(predictor.predictor, large_image, CROP)
    expected, expected_iou, expected_low_res = plain.predict(
        box=BOX - np.tile(CROP[:2], 2), return_logits=True
    )
    logits, iou_predictions, low_res_logits = predictor.predict(box=BOX, return_logits=True)
    assert_close(logits, in_image(CROP, expected))
    assert_close(iou_predictions, expected_iou)
    whole = IMAGE, plain.model.image_transform(SIZE)
    assert_close(low_res_logits, resample_logits(expected_low_res, (CROP, plain.transform), whole))
    masks, _, _ = predictor.predict(box=BOX)
    np.testing.assert_array_equal(masks, logits > 0)


def test_a_large_box_is_predicted_in_the_whole_image(predictor, large_image):
    plain = predictor_of_crop(predictor.predictor, large_image, IMAGE)
    box = np.array([20, 10, 200, 120], np.float32)
    masks, iou_predictions, low_res_logits = predictor.predict(box=box)
    expected, expected_iou, expected_low_res = plain.predict(box=box)
    np.testing.assert_array_equal(masks, expected)
    assert_close(iou_predictions, expected_iou)
    rows, columns = plain.transform.low_res_input_size((32, 32))
    assert_close(low_res_logits[:, :rows, :columns], expected_low_res[:, :rows, :columns])
    assert (low_res_logits[:, rows:] == -16).all()


def test_low_res_logits_can_be_the_mask_input_of_the_next_prediction(predictor, large_image):
    """The mask's box, with the points, determines the crop."""
    y, x = np.mgrid[:32, :32] * 7.5 + 3.75  # positions of low-res cells in the image
    previous = (20 - np.hypot(y - 65, x - 58))[None].astype(np.float32)
    transform = predictor.predictor.model.image_transform(SIZE)
    box = mask_to_box(transform.postprocess_masks(previous)[0])
    points, labels = np.array([[52, 62], [70, 66]], np.float32), [1, 0]
    crop = crop_pyramid(box, SIZE)[-1]
    assert crop[2] - crop[0] == 120
    plain = predictor_of_crop(predictor.predictor, large_image, crop)
    mask_input = resample_logits(previous, (IMAGE, transform), (crop, plain.transform))
    prompt = {"point_labels": labels, "multimask_output": False, "return_logits": True}
    expected, expected_iou, _ = plain.predict(points - crop[:2], mask_input=mask_input, **prompt)
    logits, iou_predictions, low_res_logits = predictor.predict(
        points, mask_input=previous, **prompt
    )
    assert_close(logits, in_image(crop, expected))
    assert_close(iou_predictions, expected_iou)
    # Its own output is accepted, too, and has an effect.
    again, _, _ = predictor.predict(points, mask_input=low_res_logits, **prompt)
    assert again.shape == logits.shape
    assert np.abs(again - logits).max() > 1e-4


def test_many_prompts_equal_single_ones_and_share_crops(predictor, monkeypatch):
    encode, sizes = predictor.predictor.engine.encode, []

    def count(images):
        sizes.append(len(images))
        return encode(images)

    monkeypatch.setattr(predictor.predictor.engine, "encode", count)
    boxes = [BOX, BOX + 1, [150, 20, 160, 30], [10, 10, 230, 140]]
    points, labels = [None, [[55, 64]], None, None], [None, [1], None, None]
    masks, iou_predictions, low_res_logits = predictor.predict_many(
        points, labels, boxes, multimask_output=False
    )
    assert masks.shape == (4, 1, *SIZE)
    assert sizes == [1, 1, 1]
    for index in range(4):
        mask, iou, logits = predictor.predict(
            points[index], labels[index], boxes[index], multimask_output=False
        )
        np.testing.assert_array_equal(mask, masks[index])
        np.testing.assert_allclose(iou, iou_predictions[index], atol=1e-4)
        assert_close(logits, low_res_logits[index])
    assert sizes == [1, 1, 1]  # the crops were cached


@pytest.mark.parametrize(("max_cached_crops", "num_encoded"), [(1, 3), (2, 2)])
def test_the_number_of_cached_crops_is_limited(
    predictor, large_image, monkeypatch, max_cached_crops, num_encoded
):
    limited = MultiScalePredictor(predictor.predictor, max_cached_crops=max_cached_crops)
    encode, sizes = predictor.predictor.engine.encode, []

    def count(images):
        sizes.append(len(images))
        return encode(images)

    monkeypatch.setattr(predictor.predictor.engine, "encode", count)
    limited.set_image(large_image)
    first, _, _ = limited.predict(box=BOX)
    limited.predict(box=[150, 20, 160, 30])
    again, _, _ = limited.predict(box=BOX)
    np.testing.assert_array_equal(again, first)
    assert len(sizes) == num_encoded


def test_another_image_is_encoded(predictor, large_image):
    before, _, _ = predictor.predict(box=BOX, return_logits=True)
    predictor.set_image(255 - large_image)
    after, _, _ = predictor.predict(box=BOX, return_logits=True)
    assert np.abs(before - after).max() > 1e-3


def test_later_changes_of_the_array_have_no_effect(predictor, large_image):
    """Crops are encoded when they are needed, from the pixels that were set."""
    expected, _, _ = predictor.predict(box=BOX, return_logits=True)
    pixels = large_image.copy()
    predictor.set_image(pixels)
    pixels[:] = 255 - pixels
    logits, _, _ = predictor.predict(box=BOX, return_logits=True)
    assert_close(logits, expected)


# Points use all crops


def draw(mask):
    """Return an image of a bright object on a dark background."""
    return np.where(mask[..., None], (230, 220, 200), (40, 60, 50)).astype(np.uint8)


def disc(radius):
    """Return the mask of a disc around (56, 65)."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.hypot(y - 65, x - 56) < radius


def bar():
    """Return the mask of an object that is larger than the small crops around (120, 75)."""
    mask = np.zeros(SIZE, bool)
    mask[60:90, 20:220] = True
    return mask


def is_cut(crop, mask):
    """Return True if a mask of the image touches a side of the crop inside the image."""
    x0, y0, x1, y1 = crop
    pixels = mask[y0:y1, x0:x1]
    sides = [pixels[0]] * (y0 > 0) + [pixels[-1]] * (y1 < SIZE[0])
    sides += [pixels[:, 0]] * (x0 > 0) + [pixels[:, -1]] * (x1 < SIZE[1])
    return any(side.any() for side in sides)


def predict_in_all_crops(plain_predictor, image, point):
    """Return logits `(H, W)` and score of each mask: complete masks, then the others."""
    complete, others = [], []
    for level, crop in enumerate(crop_pyramid((*point, point[0] + 1, point[1] + 1), SIZE)):
        plain = predictor_of_crop(plain_predictor, image, crop)
        logits, predicted_iou, _ = plain.predict(
            [np.subtract(point, crop[:2])], [1], return_logits=True
        )
        for mask_logits, score in zip(in_image(crop, logits), predicted_iou, strict=True):
            mask = mask_logits > 0
            masks = complete if mask.any() and not is_cut(crop, mask) else others
            masks.append((mask_logits, float(score) - ZOOM_PENALTY * level))
    return complete, others


def test_masks_of_a_point_are_selected_from_all_crops(trained_predictor):
    image = draw(disc(7))
    complete, others = predict_in_all_crops(trained_predictor, image, (56, 65))
    assert len(complete) > 3
    assert len(complete) + len(others) == 3 * 3  # three masks in each of three crops
    scores = [score for _, score in complete]
    expected = select_greedily([logits > 0 for logits, _ in complete], scores, 3)
    predictor = MultiScalePredictor(trained_predictor)
    predictor.set_image(image)
    logits, iou_predictions, low_res_logits = predictor.predict([[56, 65]], [1], return_logits=True)
    assert_close(logits, [complete[index][0] for index in expected])
    assert_close(iou_predictions, [scores[index] for index in expected])
    assert iou_predictions.argmax() == 0
    assert low_res_logits.shape == (3, 32, 32)
    single, score, _ = predictor.predict([[56, 65]], [1], multimask_output=False)
    assert single.shape == (1, *SIZE)
    assert score.shape == (1,)


def test_complete_masks_are_preferred_to_cut_ones(trained_predictor):
    """Cut masks in small crops have higher scores here."""
    image = draw(bar())
    complete, others = predict_in_all_crops(trained_predictor, image, (120, 75))
    scores = [score for _, score in complete]
    assert max(score for _, score in others) > max(scores)
    count = min(3, len(complete))
    expected = select_greedily([logits > 0 for logits, _ in complete], scores, count)
    predictor = MultiScalePredictor(trained_predictor)
    predictor.set_image(image)
    logits, iou_predictions, _ = predictor.predict([[120, 75]], [1], return_logits=True)
    assert_close(logits[:count], [complete[index][0] for index in expected])
    assert_close(iou_predictions[:count], [scores[index] for index in expected])
    assert iou_predictions.argmax() == 0


def test_small_objects_get_better_masks_and_large_ones_stay_whole():
    plain = SAMPredictor(SAMImageSegmenter.from_preset("sam_tiny_synthetic"))
    plain.set_image(draw(disc(3)))
    masks, iou_predictions, _ = plain.predict([[56, 65]], [1])
    assert iou(masks[iou_predictions.argmax()], disc(3)) < 0.7
    predictor = MultiScalePredictor(plain)
    for mask, point in ((disc(3), (56, 65)), (bar(), (120, 75))):
        predictor.set_image(draw(mask))
        masks, _, _ = predictor.predict([point], [1])
        assert iou(masks[0], mask) > 0.9


# Arguments


def test_wrong_arguments_raise(segmenter, predictor):
    with pytest.raises(TypeError, match="predictor must be a SAMPredictor, got SAMImageSegmenter"):
        MultiScalePredictor(segmenter)
    with pytest.raises(ValueError, match="max_cached_crops must be 1 or more, got 0"):
        MultiScalePredictor(predictor.predictor, max_cached_crops=0)
