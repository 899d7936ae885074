"""The interface of predictors, by one whose masks are known."""

import numpy as np
import pytest

from keras_sam.predict import Predictor
from keras_sam.predict.predictor import check_image_format, check_mask_inputs, count_prompts

BOX = np.array([1, 2, 5, 4], np.float32)


class RecordingPredictor(Predictor):
    """Predicts empty masks of 6 x 8 pixels, one list entry per prompt."""

    def __init__(self):
        self.calls = []

    def set_image(self, image, image_format="RGB"):
        pass

    def reset_image(self):
        pass

    @property
    def is_image_set(self):
        return True

    @property
    def original_size(self):
        return 6, 8

    def predict_many(
        self,
        point_coords=None,
        point_labels=None,
        boxes=None,
        mask_inputs=None,
        *,
        multimask_output=True,
        return_logits=False,
    ):
        parts = {
            "point_coords": point_coords,
            "point_labels": point_labels,
            "boxes": boxes,
            "mask_inputs": mask_inputs,
        }
        self.calls.append((parts, multimask_output, return_logits))
        count, masks = count_prompts(**parts), 3 if multimask_output else 1
        return (
            np.zeros((count, masks, 6, 8), bool),
            np.arange(count * masks).reshape(count, masks),
            np.zeros((count, masks, 4, 4), np.float32),
        )


def test_one_prompt_is_the_first_of_many():
    predictor = RecordingPredictor()
    points, labels, logits = np.ones((2, 2)), np.ones(2), np.zeros((1, 4, 4))
    masks, iou, low_res = predictor.predict(points, labels, BOX, logits)
    assert (masks.shape, low_res.shape, iou.tolist()) == ((3, 6, 8), (3, 4, 4), [0, 1, 2])
    ((parts, multimask_output, return_logits),) = predictor.calls
    assert parts["point_coords"] == [points]
    assert parts["point_labels"] == [labels]
    assert parts["boxes"] == [BOX]
    assert parts["mask_inputs"] is logits
    assert (multimask_output, return_logits) == (True, False)


def test_omitted_parts_stay_none_and_flags_are_passed_on():
    predictor = RecordingPredictor()
    masks, _, _ = predictor.predict(multimask_output=False, return_logits=True)
    assert masks.shape == (1, 6, 8)
    ((parts, multimask_output, return_logits),) = predictor.calls
    assert set(parts.values()) == {None}
    assert (multimask_output, return_logits) == (False, True)


@pytest.mark.parametrize("box", [BOX[None], [list(BOX)], (BOX,)])
def test_a_box_may_have_a_leading_axis_as_in_metas_examples(box):
    predictor = RecordingPredictor()
    predictor.predict(box=box)
    np.testing.assert_array_equal(predictor.calls[0][0]["boxes"], [BOX])


def test_mask_input_of_several_prompts_raises():
    with pytest.raises(
        ValueError, match=r"mask_input must have shape \(1, L, L\), got \(2, 4, 4\)"
    ):
        RecordingPredictor().predict(mask_input=np.zeros((2, 4, 4)))


def test_a_predictor_must_implement_the_interface():
    with pytest.raises(TypeError, match="abstract"):
        Predictor()


def test_prompts_are_counted():
    assert count_prompts(points=None, boxes=None) == 1
    assert count_prompts(points=[1, 2], boxes=None) == 2
    with pytest.raises(ValueError, match="points has 2, boxes has 1"):
        count_prompts(points=[1, 2], boxes=[1])
    with pytest.raises(ValueError, match="at least one prompt"):
        count_prompts(boxes=[])


def test_image_formats():
    check_image_format("RGB")
    check_image_format("BGR")
    with pytest.raises(ValueError, match="'RGB' or 'BGR', got 'RGBA'"):
        check_image_format("RGBA")


def test_mask_inputs_become_float32():
    assert check_mask_inputs(None, (4, 4)) is None
    masks = check_mask_inputs([np.ones((4, 4), int).tolist()], (4, 4))
    assert (masks.shape, masks.dtype) == ((1, 4, 4), np.float32)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.zeros((1, 8, 8)), r"shape \('P', 4, 4\), got \(1, 8, 8\)"),
        (np.zeros((4, 4)), r"got \(4, 4\)"),
        (5, r"got \(\)"),
        ("logits", "array of numbers"),
        ([[1], [2, 3]], "array of numbers"),
        (np.full((1, 4, 4), np.nan), "finite, got NaN or infinity"),
        (np.full((1, 4, 4), -np.inf), "finite, got NaN or infinity"),
    ],
)
def test_wrong_mask_inputs_raise(masks, message):
    with pytest.raises(ValueError, match=message):
        check_mask_inputs(masks, (4, 4))
