"""The predictor against the model called plainly, and Meta's interface."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

from keras_sam.predict.image_embedding import ImageEmbedding
from keras_sam.predict.predictor import SAMPredictor
from keras_sam.transforms.expand_mask_to_box import expand_mask_to_box
from keras_sam.transforms.image_transform import ImageTransform

POINTS = np.array([[10.0, 20.0], [70.5, 3.0]])
LABELS = np.array([1, 0])
BOX = np.array([5.0, 6.0, 60.0, 40.0])
# Points, labels and boxes of three prompts.
MIXED = [None, POINTS, POINTS], [None, LABELS, LABELS], [BOX, None, BOX]


@pytest.fixture(scope="module")
def predictor(segmenter, image):
    predictor = SAMPredictor(segmenter)
    predictor.set_image(image)
    return predictor


def plain_prediction(segmenter, image, points, labels, masks=None):
    """All four masks of one prompt, without engine, buckets, cache or chunks."""
    frame = ImageTransform(image.shape[:2], (64, 64))
    inputs = {
        "images": frame.apply_image(image)[None],
        "points": np.asarray(points, "float32")[None, None],
        "labels": np.asarray(labels, "int32")[None, None],
    }
    if masks is not None:
        inputs["masks"] = masks[None, ..., None]
    outputs = segmenter(inputs)
    found = (keras.ops.convert_to_numpy(outputs[name]) for name in ("masks", "iou_pred"))
    return [array[0, 0] for array in found]


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_points_are_followed_by_the_padding_point(predictor, segmenter, image):
    _, iou, low_res = predictor.predict(POINTS, LABELS)
    factors = np.array([64 / 80, 36 / 45])
    tokens = np.concatenate([POINTS * factors, [[0, 0]]])
    logits, expected = plain_prediction(segmenter, image, tokens, [1, 0, -1])
    close(low_res, logits[1:])
    close(iou, expected[1:])


def test_box_is_two_corners_after_the_points(predictor, segmenter, image):
    masks, iou, low_res = predictor.predict(POINTS, LABELS, BOX, multimask_output=False)
    tokens = np.concatenate([POINTS, BOX.reshape(2, 2)]) * np.array([64 / 80, 36 / 45])
    logits, expected = plain_prediction(segmenter, image, tokens, [1, 0, 2, 3])
    close(low_res, logits[:1])
    close(iou, expected[:1])
    assert masks.shape == (1, 45, 80)
    assert masks.dtype == bool


def test_box_may_be_written_as_in_metas_examples(predictor):
    expected = predictor.predict(box=BOX, multimask_output=False)[2]
    for box in (BOX[None], [list(BOX)]):
        found = predictor.predict(box=box, multimask_output=False)[2]
        np.testing.assert_array_equal(found, expected)


def test_box_alone_and_mask_input(predictor, segmenter, image):
    mask = np.random.default_rng(3).normal(size=(1, 32, 32)).astype("float32")
    _, _, low_res = predictor.predict(box=BOX, mask_input=mask)
    tokens = BOX.reshape(2, 2) * np.array([64 / 80, 36 / 45])
    logits, _ = plain_prediction(segmenter, image, tokens, [2, 3], mask)
    close(low_res, logits[1:])
    _, _, without = predictor.predict(box=BOX)
    assert np.abs(without - low_res).max() > 1e-3


def test_logits_cut_at_zero_are_the_masks(predictor):
    masks, _, _ = predictor.predict(POINTS, LABELS)
    logits, _, _ = predictor.predict(POINTS, LABELS, return_logits=True)
    np.testing.assert_array_equal(masks, logits > 0)


def test_no_prompt_predicts_masks(predictor):
    assert predictor.predict()[0].shape == (3, 45, 80)


def test_many_ragged_prompts_equal_single_ones(segmenter, image):
    predictor = SAMPredictor(segmenter, prompts_per_batch=2)
    predictor.set_image(image)
    coords = [[[3, 4]], [[50, 20], [1, 44], [79, 2]], [[7, 7], [8, 30]]]
    labels = [[1], [1, 0, 0], [0, 1]]
    masks, iou, low_res = predictor.predict_many(coords, labels)
    for index in range(3):
        found = predictor.predict(coords[index], labels[index])
        close(low_res[index], found[2])
        close(iou[index], found[1])
    assert masks.shape == (3, 3, 45, 80)
    assert low_res.shape == (3, 3, 32, 32)


def test_many_prompts_of_different_kinds(predictor):
    coords, labels, boxes = [[[3, 4]], None], [[1], None], [None, BOX]
    low_res, iou = predictor.predict_low_res(coords, labels, boxes, multimask_output=None)
    assert low_res.shape == (2, 4, 32, 32)
    for index, prompt in enumerate(({"point_coords": [[3, 4]], "point_labels": [1]}, {"box": BOX})):
        single, three = (
            predictor.predict(**prompt, multimask_output=many) for many in (False, True)
        )
        close(low_res[index], np.concatenate([single[2], three[2]]))
        close(iou[index], np.concatenate([single[1], three[1]]))


def test_many_boxes_with_masks(predictor):
    boxes = np.array([[1, 2, 30, 40], [20, 3, 80, 45.0]])
    logits = np.random.default_rng(5).normal(size=(2, 32, 32)).astype("float32")
    _, _, low_res = predictor.predict_many(boxes=boxes, mask_inputs=logits)
    for index in range(2):
        single = predictor.predict(box=boxes[index], mask_input=logits[index : index + 1])
        close(low_res[index], single[2])


def test_prompts_of_a_bucket_share_a_program(segmenter, image):
    predictor = SAMPredictor(segmenter)
    predictor.set_image(image)
    predictor.predict([[1, 2]], [1])
    programs = predictor.engine.num_programs
    assert programs == 3  # encode, image features, decode
    predictor.predict([[5, 6]], [0])
    predictor.predict(box=BOX)
    predictor.set_image(image[:42])
    predictor.predict([[1, 2]], [1])
    assert predictor.engine.num_programs == programs
    predictor.predict(POINTS, LABELS, BOX)
    predictor.predict([[1, 2], [3, 4], [5, 6]], [1, 1, 1])
    assert predictor.engine.num_programs == programs + 1


def test_images_of_all_kinds_are_the_same(predictor, segmenter, image, tmp_path):
    expected = predictor.get_image_embedding().embedding
    Image.fromarray(image).save(tmp_path / "image.png")
    bgr = np.ascontiguousarray(image[..., ::-1])
    for source, order in (
        (tmp_path / "image.png", "RGB"),
        (tmp_path / "image.png", "BGR"),  # a file tells its own order
        (Image.fromarray(image), "RGB"),
        (bgr, "BGR"),
    ):
        other = SAMPredictor(segmenter)
        other.set_image(source, order)
        close(other.get_image_embedding().embedding, expected)


def test_embedding_takes_the_place_of_the_image(predictor, segmenter):
    other = SAMPredictor(segmenter)
    other.set_image(predictor.get_image_embedding())
    close(other.predict(POINTS, LABELS)[2], predictor.predict(POINTS, LABELS)[2])
    assert other.original_size == (45, 80)
    assert other.input_size == (36, 64)


def test_an_encoded_image_can_be_set_again(predictor, segmenter, image):
    encoded = predictor.encoded_image
    before, _, _ = predictor.predict(box=[10, 5, 50, 30])
    predictor.set_image(255 - image)
    predictor.set_image(encoded)
    after, _, _ = predictor.predict(box=[10, 5, 50, 30])
    np.testing.assert_array_equal(after, before)
    with pytest.raises(ValueError, match="another predictor"):
        SAMPredictor(segmenter).set_image(encoded)


def test_embedding_has_the_dtype_of_the_model(segmenter, image):
    if keras.backend.backend() == "openvino":
        return  # float32 only
    predictor = SAMPredictor(segmenter.with_image_shape((64, 64, 3), dtype="bfloat16"))
    predictor.set_image(image)
    expected = predictor.predict(POINTS, LABELS)[2]
    programs = predictor.engine.num_programs
    predictor.set_image(predictor.get_image_embedding())
    np.testing.assert_array_equal(predictor.predict(POINTS, LABELS)[2], expected)
    assert predictor.engine.num_programs == programs


def test_reset_image(segmenter, image):
    predictor = SAMPredictor(segmenter)
    assert not predictor.is_image_set
    predictor.set_image(image)
    assert predictor.is_image_set
    predictor.reset_image()
    with pytest.raises(RuntimeError, match="set_image"):
        predictor.predict(POINTS, LABELS)
    with pytest.raises(RuntimeError, match="set_image"):
        _ = predictor.original_size


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"point_coords": [[81, 0]], "point_labels": [1]}, "outside"),
        ({"point_coords": [[8, 0]], "point_labels": [1, 0]}, "point_labels"),
        ({"point_coords": [[8, 0]]}, "point_labels"),
        ({"point_labels": [1]}, "point_coords"),
        ({"box": [5, 5, 5, 9]}, "x0 < x1"),
        ({"box": [[1, 1, 5, 9], [1, 1, 5, 9]]}, "shape"),
        ({"box": [[1, 1, 5]]}, "shape"),
        ({"mask_input": np.zeros((1, 8, 8))}, "low-res"),
        ({"mask_input": np.zeros((2, 32, 32))}, "mask_input"),
        (
            {"point_coords": [[8, 0]], "point_labels": [1], "mask_input": np.zeros((32, 32))},
            "low-res",
        ),
        ({"mask_input": 5}, "low-res"),
        ({"mask_input": "logits"}, "numbers"),
    ],
)
def test_wrong_prompts_are_refused(predictor, prompt, message):
    with pytest.raises(ValueError, match=message):
        predictor.predict(**prompt)


def test_counts_that_disagree_are_refused(predictor):
    with pytest.raises(ValueError, match="disagree"):
        predictor.predict_many([[[1, 2]]], [[1]], [BOX, BOX])


def test_new_weights_are_used(image, tiny_segmenter):
    if keras.backend.backend() == "openvino":
        return  # its programs hold the weights, as `Engine` tells
    model = tiny_segmenter(4)
    predictor = SAMPredictor(model)
    predictor.set_image(image)
    before = predictor.get_image_embedding()
    model.set_weights([weight * 0.9 for weight in model.get_weights()])
    predictor.set_image(image)
    assert np.abs(before.embedding - predictor.get_image_embedding().embedding).max() > 1e-3
    with pytest.raises(ValueError, match="another model"):
        predictor.set_image(before)


def test_masks_of_a_box_end_at_it_where_the_model_says_so(segmenter, image):
    told = segmenter.preprocessing
    predictor = SAMPredictor(segmenter)
    try:
        predictor.set_image(image)
        free = predictor.predict_many(*MIXED)[0]
        segmenter.preprocessing = {"box_masks": "inside"}
        predictor.set_image(image)
        found, _, low_res = predictor.predict_many(*MIXED)
    finally:
        segmenter.preprocessing = told
    inside = np.zeros(image.shape[:2], bool)
    inside[6:40, 5:60] = True
    np.testing.assert_array_equal(found[1], free[1])
    for index in (0, 2):
        assert (free[index] & ~inside).any()
        np.testing.assert_array_equal(found[index], free[index] & inside)
    assert low_res.shape == (3, 3, 32, 32)


def test_masks_reach_their_box_where_the_model_says_so(segmenter, image):
    told = segmenter.preprocessing
    predictor = SAMPredictor(segmenter)
    try:
        segmenter.preprocessing = {"box_masks": "inside"}
        predictor.set_image(image)
        inside = predictor.predict_many(*MIXED)[2]
        segmenter.preprocessing = {"box_masks": "fitted"}
        predictor.set_image(image)
        masks, _, low_res = predictor.predict_many(*MIXED)
        frame = predictor.frame
    finally:
        segmenter.preprocessing = told
    expected = inside.copy()
    for index, number in np.ndindex(3, 3):
        if index != 1:
            window = slice(6, 40), slice(5, 60)
            expected[index, number] = expand_mask_to_box(inside[index, number], frame, window)
    assert (expected > inside).any()
    np.testing.assert_allclose(low_res, expected, atol=1e-5)
    np.testing.assert_array_equal(
        masks, frame.postprocess_masks(low_res, boxes=np.array([BOX, [np.nan] * 4, BOX]))
    )


def test_outlines_move_to_the_edges_where_the_model_says_so(segmenter, image, tmp_path):
    told = segmenter.preprocessing
    predictor = SAMPredictor(segmenter)
    try:
        segmenter.preprocessing = {"box_masks": "inside"}
        predictor.set_image(image)
        raw, raw_ratings = predictor.predict_low_res(*MIXED)
        segmenter.preprocessing = {
            "box_masks": "inside",
            "outlines": "image",
            "ratings": (0.25, 0.5, 0.1),
        }
        predictor.set_image(image)
        found, ratings, low_res = predictor.predict_many(*MIXED)
        guide, frame = predictor.encoded_image.guide, predictor.frame
        predictor.get_image_embedding().save(tmp_path / "image.safetensors")
        predictor.set_image(ImageEmbedding.load(tmp_path / "image.safetensors"))
        again = predictor.predict_many(*MIXED)[2]
        embedding = predictor.get_image_embedding()
        for pixels in (None, embedding.outline_pixels[1:]):
            with pytest.raises(ValueError, match=r"outline_pixels have shape .*, expected \("):
                predictor.set_image(replace(embedding, outline_pixels=pixels))
    finally:
        segmenter.preprocessing = told
    for index, box in enumerate(MIXED[2]):
        outlined = [guide.refined(one, within=frame.window(box)) for one in raw[index]]
        expected = [one.low_res_logits for one in outlined]
        np.testing.assert_allclose(low_res[index], expected, atol=1e-5)
        for rating, before, one in zip(ratings[index], raw_ratings[index], outlined, strict=True):
            anew = before
            if one.support is not None:
                anew = np.clip(0.25 * before + 0.5 * one.support + 0.1, 0, 1)
            assert rating == pytest.approx(anew, abs=1e-5)
        limits = None if box is None else np.array([box], float)
        masks = frame.postprocess_masks(low_res[index][None], boxes=limits)
        np.testing.assert_array_equal(found[index], masks[0])
    assert np.abs(low_res - raw).max() > 0.1
    assert np.abs(ratings - raw_ratings).max() > 0.1
    np.testing.assert_allclose(again, low_res, atol=1e-4)
