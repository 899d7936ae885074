"""`MultiScalePredictor` against a predictor of the window, cut out by hand."""

import numpy as np
import pytest

from keras_sam.engines.engine import Engine
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.crop_pyramid import crop_pyramid
from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
from keras_sam.predict.predictor import SAMPredictor
from keras_sam.predict.select_diverse_masks import rescore_by_agreement, select_diverse_masks

SIZE = (150, 240)
BOX = np.array([50, 60, 66, 70], np.float32)


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(2).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


@pytest.fixture
def zoomed(segmenter, picture):
    predictor = MultiScalePredictor(SAMPredictor(segmenter))
    predictor.set_image(picture)
    return predictor


def in_window(segmenter, picture, window, **prompt):
    """What the model finds in the window alone, put back into an empty image."""
    x0, y0, x1, y1 = window
    predictor = SAMPredictor(segmenter)
    predictor.set_image(picture[y0:y1, x0:x1])
    for name in ("point_coords", "box"):
        if name in prompt:
            prompt[name] = prompt[name] - np.resize([x0, y0], np.shape(prompt[name]))
    found, ratings, _ = predictor.predict(**prompt, return_logits=True)
    logits = np.full((len(found), *SIZE), -16, np.float32)
    logits[:, y0:y1, x0:x1] = found
    return logits, ratings


def best_rated(masks, ratings, count=3):
    """The masks rated best first."""
    order = sorted(range(len(ratings)), key=lambda number: -ratings[number])[:count]
    return masks[order], ratings[order]


def test_a_box_is_seen_in_its_window(segmenter, picture, zoomed):
    window = crop_pyramid(BOX, SIZE)[-1]
    assert window[2] - window[0] == 60
    expected, ratings = best_rated(*in_window(segmenter, picture, window, box=BOX))
    logits, found_ratings = zoomed.predict(box=BOX, return_logits=True)
    np.testing.assert_allclose(logits, expected, atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(found_ratings, ratings, atol=1e-3, rtol=1e-3)
    masks, _ = zoomed.predict(box=BOX)
    assert masks.dtype == bool
    np.testing.assert_array_equal(masks, logits > 0)
    single, rating = zoomed.predict(box=BOX, multimask_output=False)
    np.testing.assert_array_equal(single, masks[:1])
    np.testing.assert_allclose(rating, ratings[:1], atol=1e-3, rtol=1e-3)


@pytest.fixture(scope="module")
def shipped():
    """The preset in the package, since random weights find nothing small."""
    return SAMImageSegmenter.from_preset("sam_tiny_synthetic")


def on_gray(thing):
    """A bright thing on a dark ground."""
    return np.where(thing[..., None], (230, 220, 200), (40, 60, 50)).astype(np.uint8)


def ends_at(window, logits):
    """Whether a mask goes on outside of its window."""
    x0, y0, x1, y1 = window
    mask = logits[y0:y1, x0:x1] > 0
    edges = [mask[0]] * (y0 > 0) + [mask[-1]] * (y1 < SIZE[0])
    edges += [mask[:, 0]] * (x0 > 0) + [mask[:, -1]] * (x1 < SIZE[1])
    return any(edge.any() for edge in edges)


def test_a_click_is_answered_by_masks_of_all_windows(shipped):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disk = np.hypot(y - 65, x - 56) < 7
    picture = on_gray(disk)
    click = {"point_coords": [[56, 65]], "point_labels": [1]}
    windows = crop_pyramid((56, 65, 57, 66), SIZE)
    assert [right - left for left, _, right, _ in windows] == [240, 120, 60]
    whole = []  # masks that are not cut, as logits of the image, and what they are rated
    for halvings, window in enumerate(windows):
        for logits, rating in zip(*in_window(shipped, picture, window, **click), strict=True):
            if (logits > 0).any() and not ends_at(window, logits):
                whole.append((logits, rating - 0.015 * halvings, window))
    assert len(whole) > 3
    masks = np.array([logits > 0 for logits, *_ in whole])
    iou = np.array([[(a & b).sum() / (a | b).sum() for b in masks] for a in masks])
    rated = np.array([rating for _, rating, _ in whole])
    ratings = rescore_by_agreement(iou, rated)
    first = int(ratings.argmax())
    # The first is the mean of all.
    total, share = np.zeros((2, *SIZE))
    for (logits, rating, (x0, y0, x1, y1)), like in zip(whole, iou[first], strict=True):
        weight = np.exp(6 * rating) * like
        total[y0:y1, x0:x1] += weight / (1 + np.exp(-logits[y0:y1, x0:x1]))
        share[y0:y1, x0:x1] += weight
    agreed = total > share / 2
    zoomed = MultiScalePredictor(SAMPredictor(shipped))
    zoomed.set_image(picture)
    logits, found_ratings = zoomed.predict(**click, return_logits=True)
    assert ((logits[0] > 0) ^ agreed).sum() < 0.05 * agreed.sum()  # the mean is of low-res cells
    covered = np.array([((logits[0] > 0) & a).sum() / ((logits[0] > 0) | a).sum() for a in masks])
    chosen = select_diverse_masks(iou, rated, 3, first=first, covered=covered)
    expected = [whole[one][0] for one in chosen[1:]]
    np.testing.assert_allclose(logits[1:], expected, atol=1e-2, rtol=1e-2)
    np.testing.assert_allclose(found_ratings, ratings[chosen], atol=1e-3)
    assert found_ratings.argmax() == 0
    best = logits[0] > 0
    assert (best & disk).sum() / (best | disk).sum() > 0.8


def test_a_mask_that_a_window_cuts_is_not_taken(shipped):
    bar = np.zeros(SIZE, bool)
    bar[60:90, 20:220] = True
    zoomed = MultiScalePredictor(SAMPredictor(shipped))
    zoomed.set_image(on_gray(bar))
    masks, ratings = zoomed.predict([[120, 75]], [1])
    best = masks[ratings.argmax()]
    assert (best & bar).sum() / (best | bar).sum() > 0.6


def test_what_is_large_is_seen_in_the_whole_image(segmenter, picture, zoomed):
    whole = SAMPredictor(segmenter)
    whole.set_image(picture)
    box = np.array([20, 10, 200, 120], np.float32)
    masks, ratings = zoomed.predict(box=box)
    expected, expected_ratings = best_rated(*whole.predict(box=box)[:2])
    np.testing.assert_array_equal(masks, expected)
    np.testing.assert_allclose(ratings, expected_ratings, atol=1e-4)


def test_an_earlier_mask_tells_where_to_look(segmenter, picture, zoomed):
    before = np.full(SIZE, -16, np.float32)
    before[60:70, 50:66] = 5
    points, labels = np.array([[52, 62], [70, 66]], np.float32), [1, 0]
    window = crop_pyramid((50, 60, 71, 70), SIZE)[-1]  # the mask and both clicks
    x0, y0, x1, y1 = window
    predictor = SAMPredictor(segmenter)
    predictor.set_image(picture[y0:y1, x0:x1])
    size = segmenter.backbone.low_res_size
    mask_input = predictor.frame.to_low_res_logits(before[None, y0:y1, x0:x1], size)
    three, three_ratings = in_window(
        segmenter,
        picture,
        window,
        point_coords=points,
        point_labels=labels,
        mask_input=mask_input,
    )
    expected, ratings = best_rated(three, three_ratings, 1)
    logits, found_ratings = zoomed.predict(
        points, labels, mask_input=before, multimask_output=False, return_logits=True
    )
    np.testing.assert_allclose(logits, expected, atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(found_ratings, ratings, atol=1e-3, rtol=1e-3)


def test_many_prompts_equal_single_ones_and_share_windows(zoomed, monkeypatch):
    encode, calls = Engine.encode, []

    def counted(self, images):
        calls.append(len(images))
        return encode(self, images)

    monkeypatch.setattr(Engine, "encode", counted)
    boxes = [BOX, BOX + 1, [150, 20, 160, 30], [10, 10, 230, 140]]
    points = [None, [[55, 64]], None, None]
    masks, ratings = zoomed.predict_many(
        points, [None, [1], None, None], boxes, multimask_output=False
    )
    assert masks.shape == (4, 1, *SIZE)
    assert len(calls) == 3
    for index, (point, box) in enumerate(zip(points, boxes, strict=True)):
        labels = None if point is None else [1]
        one, rating = zoomed.predict(point, labels, box, multimask_output=False)
        np.testing.assert_array_equal(one, masks[index])
        np.testing.assert_allclose(rating, ratings[index], atol=1e-4)
    assert len(calls) == 3  # the windows were kept


def test_no_more_windows_are_kept_than_asked(segmenter, picture):
    zoomed = MultiScalePredictor(SAMPredictor(segmenter), windows=1)
    zoomed.set_image(picture)
    far = np.array([150, 20, 160, 30], np.float32)
    first, _ = zoomed.predict(box=BOX)
    zoomed.predict(box=far)
    again, _ = zoomed.predict(box=BOX)
    np.testing.assert_array_equal(again, first)
    assert len(zoomed._encoded) == 1


def test_another_image_is_seen_anew(zoomed, picture):
    before, _ = zoomed.predict(box=BOX, return_logits=True)
    zoomed.set_image(255 - picture)
    after, _ = zoomed.predict(box=BOX, return_logits=True)
    assert np.abs(before - after).max() > 1e-3


def test_no_prompt_is_a_prompt_too(segmenter, picture, zoomed):
    whole = SAMPredictor(segmenter)
    whole.set_image(picture)
    masks, _ = zoomed.predict()
    assert masks.shape == whole.predict()[0].shape


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"box": [300, 0, 310, 10]}, "outside the image"),
        ({"point_coords": [[10, 10]]}, "point_labels must be given"),
        ({"box": BOX, "mask_input": np.zeros((4, 4))}, "logits of the image"),
        ({"box": BOX, "mask_input": np.full(SIZE, np.nan)}, "finite"),
    ],
)
def test_wrong_prompts_are_refused(zoomed, prompt, message):
    with pytest.raises(ValueError, match=message):
        zoomed.predict(**prompt)


def test_a_mask_input_for_some_prompts_alone_is_refused(zoomed):
    with pytest.raises(ValueError, match="for every prompt"):
        zoomed.predict_many(boxes=[BOX, BOX], mask_inputs=[None, np.zeros(SIZE)])


def test_wrong_arguments_are_refused(segmenter):
    with pytest.raises(TypeError, match="SAMPredictor"):
        MultiScalePredictor(segmenter)
    with pytest.raises(ValueError, match="windows"):
        MultiScalePredictor(SAMPredictor(segmenter), windows=0)
    with pytest.raises(RuntimeError, match="set_image"):
        MultiScalePredictor(SAMPredictor(segmenter)).predict(box=BOX)
