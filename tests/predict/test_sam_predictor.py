"""The predictor against the model called directly, and Meta's interface."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

from keras_sam.models import SAMImageSegmenter
from keras_sam.predict import ImageEmbedding, SAMPredictor
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.inference_config import InferenceConfig, parse_inference_config
from keras_sam.transforms.mask_refiner import MaskRefiner
from tests.predict.medsam_reference import predict_like_medsam, sensitive_model

POINTS = np.array([[10.0, 20.0], [70.5, 3.0]])
LABELS = np.array([1, 0])
BOX = np.array([5.0, 6.0, 60.0, 40.0])
SCALE = np.array([64 / 80, 36 / 45])  # from the image to the model frame
# Points, labels and boxes of three prompts.
MIXED = [None, POINTS, POINTS], [None, LABELS, LABELS], [BOX, None, BOX]


def predict_directly(segmenter, image, points, labels, masks=None):
    """Predict all four masks of a prompt by the model, without engine, cache or batches."""
    inputs = {
        "images": ImageTransform(image.shape[:2], (64, 64)).apply_image(image)[None],
        "points": np.asarray(points, "float32")[None, None],
        "labels": np.asarray(labels, "int32")[None, None],
    }
    if masks is not None:
        inputs["masks"] = masks[None, ..., None]
    outputs = segmenter(inputs)
    return [keras.ops.convert_to_numpy(outputs[name])[0, 0] for name in ("masks", "iou_pred")]


def assert_close(array, expected):
    np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-4)


# Prompts


def test_points_are_followed_by_the_token_for_no_box(predictor, segmenter, image):
    _, iou_predictions, low_res_logits = predictor.predict(POINTS, LABELS)
    tokens = np.concatenate([POINTS * SCALE, [[0, 0]]])
    logits, expected = predict_directly(segmenter, image, tokens, [1, 0, -1])
    assert_close(low_res_logits, logits[1:])
    assert_close(iou_predictions, expected[1:])


def test_box_is_two_corners_after_the_points(predictor, segmenter, image):
    masks, iou_predictions, low_res_logits = predictor.predict(
        POINTS, LABELS, BOX, multimask_output=False
    )
    tokens = np.concatenate([POINTS, BOX.reshape(2, 2)]) * SCALE
    logits, expected = predict_directly(segmenter, image, tokens, [1, 0, 2, 3])
    assert_close(low_res_logits, logits[:1])
    assert_close(iou_predictions, expected[:1])
    assert masks.shape == (1, 45, 80)
    assert masks.dtype == bool


def test_box_with_mask_input(predictor, segmenter, image):
    mask = np.random.default_rng(3).normal(size=(1, 32, 32)).astype("float32")
    _, _, low_res_logits = predictor.predict(box=BOX, mask_input=mask)
    tokens = BOX.reshape(2, 2) * SCALE
    logits, _ = predict_directly(segmenter, image, tokens, [2, 3], mask)
    assert_close(low_res_logits, logits[1:])
    _, _, without_mask = predictor.predict(box=BOX)
    assert np.abs(without_mask - low_res_logits).max() > 1e-3


def test_masks_are_logits_above_zero(predictor):
    masks, _, low_res_logits = predictor.predict(POINTS, LABELS)
    logits, _, _ = predictor.predict(POINTS, LABELS, return_logits=True)
    np.testing.assert_array_equal(masks, logits > 0)
    assert_close(logits, predictor.transform.postprocess_logits(low_res_logits))


def test_no_prompt_predicts_masks(predictor):
    assert predictor.predict()[0].shape == (3, 45, 80)


def test_prompts_of_different_lengths_equal_single_ones(segmenter, engine, image):
    predictor = SAMPredictor(segmenter, prompts_per_batch=2, engine=engine)
    predictor.set_image(image)
    coords = [[[3, 4]], [[50, 20], [1, 44], [79, 2]], [[7, 7], [8, 30]]]
    labels = [[1], [1, 0, 0], [0, 1]]
    masks, iou_predictions, low_res_logits = predictor.predict_many(coords, labels)
    assert masks.shape == (3, 3, 45, 80)
    assert low_res_logits.shape == (3, 3, 32, 32)
    for index in range(3):
        _, iou, logits = predictor.predict(coords[index], labels[index])
        assert_close(low_res_logits[index], logits)
        assert_close(iou_predictions[index], iou)


def test_prompts_of_different_kinds_equal_single_ones(predictor):
    coords, labels, boxes = [[[3, 4]], None], [[1], None], [None, BOX]
    low_res_logits, iou_predictions = predictor.predict_low_res(
        coords, labels, boxes, multimask_output=None
    )
    assert low_res_logits.shape == (2, 4, 32, 32)
    for index, prompt in enumerate(({"point_coords": [[3, 4]], "point_labels": [1]}, {"box": BOX})):
        single, three = (
            predictor.predict(**prompt, multimask_output=value) for value in (False, True)
        )
        assert_close(low_res_logits[index], np.concatenate([single[2], three[2]]))
        assert_close(iou_predictions[index], np.concatenate([single[1], three[1]]))


def test_boxes_with_mask_inputs_equal_single_ones(predictor):
    boxes = np.array([[1, 2, 30, 40], [20, 3, 80, 45.0]])
    mask_inputs = np.random.default_rng(5).normal(size=(2, 32, 32)).astype("float32")
    _, _, low_res_logits = predictor.predict_many(boxes=boxes, mask_inputs=mask_inputs)
    for index in range(2):
        single = predictor.predict(box=boxes[index], mask_input=mask_inputs[index : index + 1])
        assert_close(low_res_logits[index], single[2])


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"point_coords": [[81, 0]], "point_labels": [1]}, "outside"),
        ({"point_coords": [[8, 0]], "point_labels": [1, 0]}, "point_labels"),
        ({"point_coords": [[8, 0]]}, "without point_labels"),
        ({"point_labels": [1]}, "without point_coords"),
        ({"box": [5, 5, 5, 9]}, "x0 < x1"),
        ({"box": [[1, 1, 5, 9], [1, 1, 5, 9]]}, "shape"),
        ({"box": [[1, 1, 5]]}, "shape"),
        ({"mask_input": np.zeros((1, 8, 8))}, "low-res"),
        ({"mask_input": np.zeros((2, 32, 32))}, r"shape \(1, L, L\)"),
        ({"box": BOX, "mask_input": np.zeros((2, 32, 32))}, "boxes has 1, mask_input has 2"),
        ({"box": BOX, "mask_input": np.zeros((32, 32))}, "low-res"),
    ],
)
def test_wrong_prompt_raises(predictor, prompt, message):
    with pytest.raises(ValueError, match=message):
        predictor.predict(**prompt)


def test_different_numbers_of_prompts_raise(predictor):
    with pytest.raises(ValueError, match="point_coords has 1, point_labels has 1, boxes has 2"):
        predictor.predict_many([[[1, 2]]], [[1]], [BOX, BOX])


def test_prompts_of_similar_sizes_share_a_program(segmenter, image):
    predictor = SAMPredictor(segmenter)
    predictor.set_image(image)
    predictor.predict([[1, 2]], [1])
    count = predictor.engine.num_programs
    assert count == 3  # encode, decoder_cache, decode
    predictor.predict([[5, 6]], [0])
    predictor.predict(box=BOX)
    predictor.set_image(image[:42])
    predictor.predict([[1, 2]], [1])
    assert predictor.engine.num_programs == count
    predictor.predict(POINTS, LABELS, BOX)
    predictor.predict([[1, 2], [3, 4], [5, 6]], [1, 1, 1])
    assert predictor.engine.num_programs == count + 1
    with_same_engine = SAMPredictor(segmenter, engine=predictor.engine)
    with_same_engine.set_image(image)
    with_same_engine.predict([[1, 2]], [1])
    assert predictor.engine.num_programs == count + 1


# Images and embeddings


@pytest.mark.parametrize(
    ("is_file", "channels", "image_format"),
    [
        (True, "RGB", "RGB"),
        (True, "RGB", "BGR"),  # a file has its own channel order
        (False, "RGB", "RGB"),
        (False, "BGR", "BGR"),
    ],
)
def test_sources_of_an_image(predictor, image, tmp_path, is_file, channels, image_format):
    expected = predictor.get_image_embedding().arrays["image_embeddings"]
    source = np.ascontiguousarray(image[..., ::-1]) if channels == "BGR" else image
    if is_file:
        source = tmp_path / "image.png"
        Image.fromarray(image).save(source)
    predictor.set_image(source, image_format)
    assert_close(predictor.get_image_embedding().arrays["image_embeddings"], expected)


def test_unknown_image_format_raises(predictor, image):
    with pytest.raises(ValueError, match="image_format must be"):
        predictor.set_image(image, "RGBA")


def test_an_embedding_replaces_the_image(predictor, segmenter, engine):
    expected = predictor.predict(POINTS, LABELS)[2]
    other = SAMPredictor(segmenter, engine=engine)
    other.set_image(predictor.get_image_embedding())
    assert_close(other.predict(POINTS, LABELS)[2], expected)
    assert other.original_size == (45, 80)
    assert other.input_size == (36, 64)


def test_a_state_can_be_set_again(predictor, image):
    state = predictor.state
    expected = predictor.predict(box=BOX)[2]
    predictor.set_image(255 - image)
    assert np.abs(predictor.predict(box=BOX)[2] - expected).max() > 1e-4
    predictor.set_image(state)
    np.testing.assert_array_equal(predictor.predict(box=BOX)[2], expected)


def test_a_state_of_another_predictor_raises(predictor, segmenter, engine):
    with pytest.raises(ValueError, match="another predictor"):
        SAMPredictor(segmenter).set_image(predictor.state)
    refining = SAMPredictor(segmenter, mask_refiner=MaskRefiner("guided_filter"), engine=engine)
    with pytest.raises(ValueError, match="another predictor"):
        refining.set_image(predictor.state)


def test_an_embedding_has_the_precision_of_the_model(segmenter, image):
    """It is stored as float32 and restored exactly, for the same program."""
    predictor = SAMPredictor(segmenter.with_image_shape((64, 64, 3), dtype="bfloat16"))
    predictor.set_image(image)
    expected = predictor.predict(POINTS, LABELS)[2]
    count = predictor.engine.num_programs
    predictor.set_image(predictor.get_image_embedding())
    np.testing.assert_array_equal(predictor.predict(POINTS, LABELS)[2], expected)
    assert predictor.engine.num_programs == count


def test_reset_image(predictor):
    assert predictor.is_image_set
    predictor.reset_image()
    assert not predictor.is_image_set
    with pytest.raises(RuntimeError, match="call set_image first"):
        predictor.predict(POINTS, LABELS)
    with pytest.raises(RuntimeError, match="call set_image first"):
        _ = predictor.original_size


def scale_weights(model):
    model.set_weights([weight * 0.9 for weight in model.get_weights()])


@pytest.mark.training  # the programs of OpenVINO contain the weights
def test_new_weights_take_effect(tiny_segmenter, image):
    model = tiny_segmenter(4)
    predictor = SAMPredictor(model)
    predictor.set_image(image)
    before = predictor.get_image_embedding()
    scale_weights(model)
    predictor.set_image(image)
    after = predictor.get_image_embedding()
    difference = before.arrays["image_embeddings"] - after.arrays["image_embeddings"]
    assert np.abs(difference).max() > 1e-3
    with pytest.raises(ValueError, match="another model"):
        predictor.set_image(before)


@pytest.mark.openvino
def test_new_weights_need_a_new_predictor_with_openvino(tiny_segmenter, image):
    model = tiny_segmenter(4)
    predictor = SAMPredictor(model)
    predictor.set_image(image)
    before = predictor.predict(box=BOX)[2]
    scale_weights(model)
    predictor.set_image(image)
    np.testing.assert_array_equal(predictor.predict(box=BOX)[2], before)
    predictor = SAMPredictor(model)
    predictor.set_image(image)
    assert np.abs(predictor.predict(box=BOX)[2] - before).max() > 1e-3


# Mask refinement


@pytest.mark.parametrize(
    "mask_refiner",
    [
        MaskRefiner(box_constraint="clip"),
        MaskRefiner(box_constraint="expand"),
        MaskRefiner("guided_filter", "clip", (0.25, 0.5, 0.1)),
    ],
    ids=["clip", "expand", "guided filter"],
)
def test_masks_are_refined(predictor, segmenter, engine, image, mask_refiner, tmp_path):
    logits, iou_predictions = predictor.predict_low_res(*MIXED)
    transform, size = predictor.transform, (32, 32)
    arrays = mask_refiner.image_arrays(transform.apply_image(image), transform, size)
    refiner = mask_refiner.for_image(arrays, transform, size)
    refining = SAMPredictor(segmenter, mask_refiner=mask_refiner, engine=engine)
    refining.set_image(image)
    masks, refined_iou, refined_logits = refining.predict_many(*MIXED)
    for prompt, mask in np.ndindex(3, 3):
        expected, expected_iou = refiner.refine(
            logits[prompt, mask], float(iou_predictions[prompt, mask]), MIXED[2][prompt]
        )
        np.testing.assert_allclose(refined_logits[prompt, mask], expected, atol=1e-4)
        assert refined_iou[prompt, mask] == pytest.approx(expected_iou, abs=1e-5)
        np.testing.assert_array_equal(
            masks[prompt, mask], transform.postprocess_masks(refined_logits[prompt, mask])
        )
    assert np.abs(refined_logits - logits).max() > 0.1
    # An embedding contains what refinement needs.
    refining.get_image_embedding().save(tmp_path / "image.safetensors")
    refining.set_image(ImageEmbedding.load(tmp_path / "image.safetensors"))
    assert_close(refining.predict_many(*MIXED)[2], refined_logits)


def test_masks_of_tiny_boxes_end_at_their_box(segmenter, engine, image):
    refining = SAMPredictor(segmenter, mask_refiner=MaskRefiner("none", "expand"), engine=engine)
    refining.set_image(image)
    for x, y, return_logits in [(10, 20, False), (33, 7, True), (79, 44, True)]:
        masks = refining.predict(box=[x, y, x + 1, y + 1], return_logits=return_logits)[0]
        assert all(np.argwhere(mask).tolist() in ([], [[y, x]]) for mask in masks > 0)


def test_an_embedding_without_the_pixels_of_the_refiner_raises(predictor, segmenter, engine):
    embedding = predictor.get_image_embedding()
    refining = SAMPredictor(segmenter, mask_refiner=MaskRefiner("guided_filter"), engine=engine)
    with pytest.raises(ValueError, match=r"needs the array guide_pixels of shape \(18, 32, 3\)"):
        refining.set_image(embedding)
    wrong = dict(embedding.arrays) | {"guide_pixels": np.zeros((17, 32, 3), np.uint8)}
    with pytest.raises(ValueError, match=r"got \(17, 32, 3\)"):
        refining.set_image(replace(embedding, arrays=wrong))


def test_the_preset_names_the_default_refiner(segmenter, engine, monkeypatch):
    assert SAMPredictor(segmenter, engine=engine).mask_refiner is None
    mask_refiner = MaskRefiner(box_constraint="clip")
    config = InferenceConfig(mask_refiner=mask_refiner)
    monkeypatch.setattr(segmenter, "inference_config", config)
    assert SAMPredictor(segmenter, engine=engine).mask_refiner == mask_refiner
    assert SAMPredictor(segmenter, mask_refiner=None, engine=engine).mask_refiner is None


# Models with other inference settings


@pytest.fixture(scope="module")
def medsam(tiny_segmenter):
    model = sensitive_model(tiny_segmenter)
    model.inference_config = "medsam"
    return model


@pytest.fixture
def medsam_predictor(medsam, image):
    predictor = SAMPredictor(medsam)
    predictor.set_image(image // 3 + 50)  # pixels are far from 0 and 255
    return predictor


def test_prediction_with_medsams_settings(medsam, medsam_predictor, image):
    assert medsam_predictor.input_size == (64, 64)
    masks, _, low_res_logits = medsam_predictor.predict(box=BOX, multimask_output=False)
    expected, expected_logits = predict_like_medsam(medsam, image // 3 + 50, BOX)
    np.testing.assert_allclose(low_res_logits, expected_logits, rtol=1e-3, atol=1e-3)
    assert 0.1 < (expected > 0.5).mean() < 0.9
    is_clear = np.abs(expected - 0.5) > 1e-3
    np.testing.assert_array_equal(masks[0][is_clear], (expected > 0.5)[is_clear])
    logits, _, _ = medsam_predictor.predict(box=BOX, multimask_output=False, return_logits=True)
    np.testing.assert_array_equal(masks, logits > 0)


def test_an_embedding_keeps_its_preprocessing(medsam, medsam_predictor, image, monkeypatch):
    expected = medsam_predictor.predict(box=BOX)[2]
    embedding = medsam_predictor.get_image_embedding()
    assert embedding.preprocessing == parse_inference_config("medsam").preprocessing
    medsam_predictor.set_image(embedding)
    assert_close(medsam_predictor.predict(box=BOX)[2], expected)
    monkeypatch.setattr(medsam, "inference_config", "sam")
    with pytest.raises(ValueError, match=r"prepared with .*min_max.* this model uses .*imagenet"):
        medsam_predictor.set_image(embedding)
    medsam_predictor.set_image(image // 3 + 50)
    assert np.abs(medsam_predictor.predict(box=BOX)[2] - expected).max() > 1


# Arguments


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": SAMImageSegmenter}, TypeError, "must be a SAMImageSegmenter, got type"),
        ({"prompts_per_batch": 0}, ValueError, "prompts_per_batch must be 1 or more, got 0"),
        ({"mask_refiner": "guided_filter"}, TypeError, "must be a MaskRefiner, 'preset' or None"),
        ({"int8_encoder": object()}, ValueError, "int8_encoder belongs to the engine"),
    ],
)
def test_wrong_argument_raises(segmenter, engine, options, error, message):
    with pytest.raises(error, match=message):
        SAMPredictor(**{"model": segmenter, "engine": engine} | options)


def test_an_engine_of_another_model_raises(medsam, engine):
    with pytest.raises(ValueError, match="engine of another model"):
        SAMPredictor(medsam, engine=engine)
