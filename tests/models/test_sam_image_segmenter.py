"""The whole model: forms of prompts, precision, sizes, settings."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.models.sam_image_converter import SAMImageConverter
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.sam_image_segmenter_preprocessor import SAMImageSegmenterPreprocessor
from keras_sam.models.weight_names import weights_by_name
from keras_sam.transforms.inference_config import InferenceConfig, MaskThresholds
from keras_sam.transforms.postprocessing import Postprocessing
from keras_sam.transforms.preprocessing import Preprocessing

CAN_LOWER_PRECISION = keras.backend.backend() != "openvino"


@pytest.fixture(scope="module")
def segmenter(prepared_segmenter) -> SAMImageSegmenter:
    return prepared_segmenter


def predict(segmenter, inputs) -> dict[str, np.ndarray]:
    return {
        name: np.asarray(output, "float32")
        for name, output in segmenter.predict(inputs, verbose=0).items()
    }


def test_the_segmenter_decodes_what_the_backbone_embeds(segmenter, backbone, inputs):
    expected = backbone.mask_decoder(**backbone(inputs))
    found = predict(segmenter, inputs)
    assert found["masks"].shape == (2, 4, 16, 24)
    assert found["iou_pred"].shape == (2, 4)
    for name, output in found.items():
        np.testing.assert_allclose(
            output, ops.convert_to_numpy(expected[name]), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("unused", ["points", "boxes", "masks"])
def test_any_prompt_may_be_left_out_or_empty(segmenter, inputs, unused):
    empty = dict(inputs)
    empty[unused] = inputs[unused][:, :0]
    if unused == "points":
        empty["labels"] = inputs["labels"][:, :0]
    without = {name: value for name, value in inputs.items() if name != unused}
    if unused == "points":
        del without["labels"]
    by_empty, by_absence = predict(segmenter, empty), predict(segmenter, without)
    np.testing.assert_allclose(by_empty["masks"], by_absence["masks"], rtol=1e-3, atol=1e-4)


def test_prompts_without_points_keep_their_axis(segmenter, inputs):
    boxes = np.concatenate([inputs["boxes"], inputs["boxes"] - 1], axis=1)
    by_boxes = {"images": inputs["images"], "boxes": boxes}
    no_points = {"points": np.zeros((2, 2, 0, 2)), "labels": np.zeros((2, 2, 0))}
    expected, found = predict(segmenter, by_boxes), predict(segmenter, by_boxes | no_points)
    np.testing.assert_allclose(found["masks"], expected["masks"], rtol=1e-3, atol=1e-4)
    alone = predict(segmenter, {"images": inputs["images"]} | no_points)
    assert alone["masks"].shape == (2, 2, 4, 16, 24)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": None}, "without `points`"),
        ({"points": np.zeros((2, 0, 2))}, "`labels` must have"),
        ({"points": np.zeros((2, 3, 0, 2)), "labels": np.zeros((2, 3, 0))}, "disagree"),
        ({"boxes": np.zeros((1, 1, 2, 2))}, "number of images"),
    ],
)
def test_predict_refuses_what_call_refuses(segmenter, inputs, changes, message):
    for run in (segmenter, segmenter.predict):
        with pytest.raises(ValueError, match=message):
            run(inputs | changes)


def test_each_prompt_matters(segmenter, inputs):
    everything = predict(segmenter, inputs)["masks"]
    for name in ("boxes", "masks"):
        changed = inputs | {name: inputs[name] + 3}
        assert np.abs(predict(segmenter, changed)["masks"] - everything).max() > 1e-4


def test_prompts_of_an_image_equal_one_prompt_each(segmenter, inputs):
    several = {
        "images": inputs["images"],
        "points": np.stack([inputs["points"], inputs["points"] + 3], axis=1),
        "labels": np.stack([inputs["labels"]] * 2, axis=1),
    }
    together = predict(segmenter, several)
    assert together["masks"].shape == (2, 2, 4, 16, 24)
    for index in range(2):
        alone = predict(
            segmenter,
            {
                "images": inputs["images"],
                "points": several["points"][:, index],
                "labels": several["labels"][:, index],
            },
        )
        np.testing.assert_allclose(
            together["masks"][:, index], alone["masks"], rtol=1e-3, atol=1e-4
        )


def test_padding_changes_nothing(segmenter, inputs):
    images = {"images": inputs["images"]}
    points, labels = inputs["points"][:, None], inputs["labels"][:, None]
    padded = predict(
        segmenter,
        images
        | {
            "points": np.concatenate([points, points * 0 + 9], axis=2),
            "labels": np.concatenate([labels, labels * 0 - 10], axis=2),
            "boxes": np.full((2, 1, 2, 2), np.nan, "float32"),
        },
    )
    plain = predict(segmenter, images | {"points": points, "labels": labels})
    np.testing.assert_allclose(padded["masks"], plain["masks"], rtol=1e-3, atol=1e-4)


def test_a_mask_of_nan_is_no_mask(segmenter, inputs):
    prompts = {name: inputs[name] for name in ("images", "boxes")}
    without = predict(segmenter, prompts)
    absent = predict(segmenter, prompts | {"masks": np.full_like(inputs["masks"], np.nan)})
    np.testing.assert_allclose(absent["masks"], without["masks"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "dtype",
    ["bfloat16", "float16", "mixed_bfloat16", "mixed_float16"] if CAN_LOWER_PRECISION else [],
)
def test_every_precision_agrees_with_float32(make_backbone, segmenter, inputs, dtype):
    low = SAMImageSegmenter(make_backbone(dtype=dtype))
    policy = keras.DTypePolicy(dtype)
    for layer in low._flatten_layers(include_self=False):
        assert layer.dtype_policy.name == dtype
    for name, weight in weights_by_name(low.backbone).items():
        assert weight.dtype == policy.variable_dtype
        weight.assign(ops.convert_to_numpy(weights_by_name(segmenter.backbone)[name]))
    expected, found = predict(segmenter, inputs), predict(low, inputs)
    scale = np.abs(expected["masks"]).max()
    tolerance = 0.08 if "bfloat16" in dtype else 0.02
    assert np.abs(found["masks"] - expected["masks"]).max() < tolerance * scale


@pytest.mark.parametrize("image_shape", [(32, 32, 3), (16, 40, 3)])
def test_any_image_shape_of_whole_patches(make_backbone, image_shape):
    model = SAMImageSegmenter(make_backbone(image_shape=image_shape))
    masks = predict(model, {"images": np.zeros((1, *image_shape), "float32")})["masks"]
    assert masks.shape == (1, 4, image_shape[0] // 2, image_shape[1] // 2)


def test_parts_that_do_not_fit_are_refused(make_backbone):
    with pytest.raises(ValueError, match="hidden_size must be 16 to fit the image encoder"):
        SAMImageSegmenter(make_backbone(num_output_channels=16))


def test_symbolic_shapes_equal_eager_shapes(backbone, inputs):
    symbolic = {
        name: keras.KerasTensor((None, *value.shape[1:]), dtype=str(value.dtype))
        for name, value in inputs.items()
    }
    outputs = SAMImageSegmenter(backbone)(symbolic)
    assert outputs["masks"].shape == (None, 4, 16, 24)
    assert outputs["iou_pred"].shape == (None, 4)


def test_config_and_weights_make_the_same_model(tmp_path, segmenter, inputs):
    path = tmp_path / "model.weights.h5"
    segmenter.save_weights(path)
    again = SAMImageSegmenter.from_config(segmenter.get_config())
    again.load_weights(path)
    expected, found = predict(segmenter, inputs), predict(again, inputs)
    np.testing.assert_array_equal(found["masks"], expected["masks"])


def test_inputs_are_checked(segmenter, inputs):
    with pytest.raises(ValueError, match="must contain 'images'"):
        segmenter({"points": inputs["points"]})
    with pytest.raises(ValueError, match="unknown inputs"):
        segmenter({"images": inputs["images"], "point": inputs["points"]})
    with pytest.raises(TypeError, match="dictionary"):
        segmenter(inputs["images"])
    with pytest.raises(ValueError, match="must have shape"):
        segmenter({"images": inputs["images"][:, :16]})


IMAGES = np.random.default_rng(3).integers(0, 256, (2, 20, 50, 3), dtype=np.uint8)
RAW = {"images": IMAGES, "boxes": np.array([[[[2, 3], [30, 15]]]] * 2, "float32")}
STRETCH = InferenceConfig(
    Preprocessing(resize="stretch", normalization="min_max"),
    Postprocessing("probabilities"),
    MaskThresholds(0.5, 0.6),
)


def assert_same_predictions(found: SAMImageSegmenter, expected: SAMImageSegmenter) -> None:
    outputs = found.predict(RAW, verbose=0)
    for name, value in expected.predict(RAW, verbose=0).items():
        np.testing.assert_array_equal(outputs[name], value)


def test_decode_selects_the_single_mask_or_the_ambiguous_ones(segmenter, inputs):
    embedding = segmenter.encode_image(inputs["images"])
    prompts = {"boxes": inputs["boxes"]}
    outputs = segmenter.decode(embedding, **prompts)
    for multimask_output, masks in ((False, slice(0, 1)), (True, slice(1, 4))):
        found = segmenter.decode(embedding, **prompts, multimask_output=multimask_output)
        for name in ("masks", "iou_pred"):
            expected = ops.convert_to_numpy(outputs[name])[:, :, masks]
            np.testing.assert_allclose(
                ops.convert_to_numpy(found[name]), expected, rtol=1e-3, atol=1e-4
            )


def test_a_cache_replaces_the_embedding(segmenter, inputs):
    embedding = segmenter.encode_image(inputs["images"])
    assert tuple(embedding) == segmenter.embedding_names
    prompts = {"boxes": inputs["boxes"]}
    expected = segmenter.decode(embedding, **prompts)
    found = segmenter.decode(cache=segmenter.decoder_cache(embedding), **prompts)
    for name, value in expected.items():
        np.testing.assert_allclose(
            ops.convert_to_numpy(found[name]), ops.convert_to_numpy(value), rtol=1e-3, atol=1e-4
        )


def test_decode_needs_an_embedding_and_for_masks_not_only_a_cache(segmenter, inputs):
    with pytest.raises(ValueError, match="an embedding or a cache"):
        segmenter.decode(boxes=inputs["boxes"])
    cache = segmenter.decoder_cache(segmenter.encode_image(inputs["images"]))
    with pytest.raises(ValueError, match="need an embedding"):
        segmenter.decode(cache=cache, masks=inputs["masks"])


def test_a_call_in_training_returns_the_embedding(segmenter, inputs):
    images = {"images": inputs["images"]}
    expected = ops.convert_to_numpy(segmenter.encode_image(inputs["images"])["image_embeddings"])
    alone = segmenter(images, training=True)
    assert set(alone) == {"image_embeddings"}
    outputs = segmenter(images | {"boxes": inputs["boxes"]}, training=True)
    assert set(outputs) == {"image_embeddings", "masks", "iou_pred"}
    for found in (alone, outputs):
        np.testing.assert_allclose(
            ops.convert_to_numpy(found["image_embeddings"]), expected, rtol=1e-3, atol=1e-4
        )


def test_setting_the_inference_config_replaces_the_preprocessor(make_backbone):
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    before = segmenter.predict(RAW, verbose=0)
    segmenter.inference_config = STRETCH
    assert segmenter.backbone.inference_config == segmenter.inference_config == STRETCH
    stretched = segmenter.predict(RAW, verbose=0)
    assert np.abs(stretched["low_res_logits"] - before["low_res_logits"]).max() > 1e-4
    assert_same_predictions(segmenter, SAMImageSegmenter.from_backbone(segmenter.backbone))
    segmenter.inference_config = "sam"
    np.testing.assert_array_equal(
        segmenter.predict(RAW, verbose=0)["low_res_logits"], before["low_res_logits"]
    )


def test_thresholds_alone_keep_the_preprocessor(make_backbone):
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    preprocessor = segmenter.preprocessor
    segmenter.inference_config = InferenceConfig(mask_thresholds=MaskThresholds(0.5, 0.6))
    assert segmenter.preprocessor is preprocessor


def test_without_a_preprocessor_the_inference_config_adds_none(make_backbone):
    segmenter = SAMImageSegmenter.from_backbone(make_backbone(), preprocessor=None)
    segmenter.inference_config = STRETCH
    assert segmenter.preprocessor is None
    assert segmenter.inference_config == STRETCH


def test_a_preprocessor_determines_the_preprocessing_of_the_config(make_backbone):
    backbone = make_backbone()
    backbone.inference_config = InferenceConfig(mask_thresholds=MaskThresholds(0.5, 0.6))
    converter = SAMImageConverter((32, 48), resize="stretch")
    segmenter = SAMImageSegmenter(backbone, SAMImageSegmenterPreprocessor(converter))
    assert segmenter.inference_config == InferenceConfig(
        Preprocessing(resize="stretch"), mask_thresholds=MaskThresholds(0.5, 0.6)
    )


def test_the_transform_follows_the_inference_config(make_backbone):
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    assert segmenter.image_transform((20, 20)).input_size == (32, 32)
    segmenter.inference_config = STRETCH
    transform = segmenter.image_transform((20, 20))
    assert transform.input_size == transform.image_size == (32, 48)
    assert transform.postprocessing == Postprocessing("probabilities")


def test_another_image_shape_keeps_weights_settings_and_preprocessor(make_backbone):
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    segmenter.inference_config = STRETCH
    assert_same_predictions(segmenter.with_image_shape((32, 48, 3)), segmenter)
    other = segmenter.with_image_shape((48, 48, 3))
    assert other.inference_config == STRETCH
    assert other.preprocessor(IMAGES)["images"].shape == (2, 48, 48, 3)
    shapes = {name: weight.shape for name, weight in weights_by_name(segmenter).items()}
    for name, weight in weights_by_name(other).items():
        if weight.shape == shapes[name]:
            np.testing.assert_array_equal(
                ops.convert_to_numpy(weight),
                ops.convert_to_numpy(weights_by_name(segmenter)[name]),
            )


def test_another_image_shape_of_prepared_inputs_and_another_dtype(segmenter):
    other = segmenter.with_image_shape((48, 48, 3), dtype="bfloat16")
    assert other.preprocessor is None
    assert other.dtype_policy.name == other.backbone.dtype_policy.name == "bfloat16"
    assert other.backbone.image_shape == (48, 48, 3)


def test_the_fingerprint_is_that_of_the_image_encoder(make_backbone, segmenter):
    backbone = make_backbone()
    copy = SAMImageSegmenter(backbone)
    fingerprint = segmenter.encoder_fingerprint()
    for name, weight in weights_by_name(backbone).items():
        weight.assign(ops.convert_to_numpy(weights_by_name(segmenter.backbone)[name]))
    assert copy.encoder_fingerprint() == fingerprint
    weight = backbone.prompt_encoder.not_a_point_embedding
    weight.assign(ops.convert_to_numpy(weight) + 1)
    assert copy.encoder_fingerprint() == fingerprint
    weight = backbone.image_encoder.trainable_weights[0]
    weight.assign(ops.convert_to_numpy(weight) + 1e-3)
    assert copy.encoder_fingerprint() != fingerprint
    assert copy.with_image_shape((48, 32, 3)).encoder_fingerprint().endswith("-48x32")


def test_config_makes_the_same_preprocessor_and_settings(make_backbone):
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    segmenter.inference_config = STRETCH
    again = SAMImageSegmenter.from_config(segmenter.get_config())
    assert again.inference_config == STRETCH
    np.testing.assert_array_equal(
        again.preprocessor(RAW)["images"], segmenter.preprocessor(RAW)["images"]
    )
    prepared = SAMImageSegmenter(make_backbone(), preprocessor=None)
    prepared.inference_config = STRETCH
    again = SAMImageSegmenter.from_config(prepared.get_config())
    assert again.preprocessor is None
    assert again.inference_config == STRETCH


def test_a_keras_file_contains_the_whole_model(tmp_path, make_backbone):
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    segmenter.inference_config = STRETCH
    segmenter.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.inference_config == STRETCH
    assert again.backbone.inference_config == STRETCH
    assert_same_predictions(again, segmenter)
