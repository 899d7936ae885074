"""The whole model: forms of prompts, precision, sizes, settings, training, saving."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.losses import InteractiveSegmentationLoss
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


@pytest.mark.training
def test_a_loss_that_is_no_layer_is_refused(segmenter):
    for loss in ("mse", keras.losses.BinaryCrossentropy()):
        with pytest.raises(TypeError, match="simulated from target masks"):
            segmenter.compile(loss=loss)


@pytest.mark.training
@pytest.mark.parametrize("name", ["auto", "adamw", "sgd"])
def test_optimizers_given_by_name_keep_trained_weights(segmenter, name):
    segmenter.compile(name)
    assert float(ops.convert_to_numpy(segmenter.optimizer.learning_rate)) == pytest.approx(5e-5)


TWO_DEVICES = """
import keras, numpy as np, tensorflow as tf
from keras_sam.losses import InteractiveSegmentationLoss
from tests.models.conftest import build_backbone
from keras_sam.models import SAMImageSegmenter

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
images = np.random.default_rng(0).random((2, 32, 48, 3), dtype="float32")
masks = np.zeros((2, 1, 32, 48), "uint8")
masks[:, :, 8:20, 10:30] = 1
losses = []
for devices in (["CPU:0"], ["CPU:0", "CPU:1"]):
    with tf.distribute.MirroredStrategy(devices).scope():
        model = SAMImageSegmenter(build_backbone())
        loss = InteractiveSegmentationLoss(
            box_probability=1.0, box_noise=0.0, correction_rounds=0, seed=0
        )
        model.compile(keras.optimizers.SGD(0.1), loss=loss)
    fitted = model.fit({"images": images}, {"masks": masks}, batch_size=2, epochs=3, verbose=0)
    losses.append(fitted.history["loss"])
print(*np.ravel(losses))
"""


@pytest.mark.training
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies of TensorFlow")
def test_two_devices_train_as_one():
    run = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    one, two = np.array(run.stdout.split(), float).reshape(2, 3)
    assert one[2] < one[0]
    np.testing.assert_allclose(two, one, rtol=1e-4)


@pytest.mark.training
def test_metrics_compare_targets_with_the_masks_of_simulated_prompts(make_backbone):
    """Boxes without noise are the only prompts without randomness."""
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    loss = InteractiveSegmentationLoss(correction_rounds=0, box_probability=1.0, box_noise=0.0)
    segmenter.compile(
        "auto",
        loss,
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy")],
        weighted_metrics=[keras.metrics.MeanAbsoluteError(name="error")],
    )
    masks = np.zeros((2, 2, 20, 50), bool)  # the second mask of the second image is padding
    corners = {(0, 0): (2, 3, 30, 15), (0, 1): (10, 1, 50, 20), (1, 0): (0, 0, 8, 9)}
    for index, (x0, y0, x1, y1) in corners.items():
        masks[index][y0:y1, x0:x1] = True
    found = segmenter.evaluate(IMAGES, masks, verbose=0, return_dict=True)
    assert {"loss", "single_iou", "top_iou", "oracle_iou", "accuracy", "error"} <= set(found)

    x, y = segmenter.preprocessor(IMAGES, masks)
    low_res = y["masks"].reshape(2, 2, 16, 2, 24, 2).mean((3, 5)) >= 0.5
    errors, accuracies = [], []
    embedding = segmenter.encode_image(x["images"])
    for image, prompt in corners:
        target = low_res[image, prompt]
        rows, columns = (np.flatnonzero(y["masks"][image, prompt].any(axis)) for axis in (1, 0))
        corner = [[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]]
        boxes = np.full((2, 1, 2, 2), corner, "float32")
        outputs = segmenter.decode(embedding, boxes=boxes)
        logits, iou = (ops.convert_to_numpy(outputs[name]) for name in ("masks", "iou_pred"))
        top = logits[image, 0, 1 + iou[image, 0, 1:].argmax()]
        errors.append(np.abs(1 / (1 + np.exp(-top)) - target).mean())
        accuracies.append(((top > 0) == target).mean())
    assert found["error"] == pytest.approx(np.mean(errors), rel=1e-3)
    with_padding = [*accuracies, 1.0]  # which counts as correct background
    assert found["accuracy"] == pytest.approx(np.mean(with_padding), abs=2e-3)


@pytest.mark.training
def test_fit_without_options_trains_on_raw_samples(make_backbone):
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    segmenter.compile("auto")
    weight = segmenter.backbone.mask_decoder.trainable_weights[0]
    before = ops.convert_to_numpy(weight).copy()
    masks = IMAGES[:, None, :, :, 0] > 128
    history = segmenter.fit({"images": IMAGES}, {"masks": masks}, verbose=0).history
    assert set(history) == {"loss", "single_iou", "top_iou", "oracle_iou"}
    assert np.isfinite(history["loss"]).all()
    assert np.abs(ops.convert_to_numpy(weight) - before).max() > 0


@pytest.mark.training
@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")  # no mask prompts
def test_a_keras_file_of_a_compiled_model_continues_its_training(tmp_path, make_backbone):
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    # Keras saves no random state, so the prompts must not be random.
    loss = InteractiveSegmentationLoss(correction_rounds=0, box_probability=1.0, box_noise=0.0)
    segmenter.compile("auto", loss)
    masks = IMAGES[:, None, :, :, 0] > 128
    for _ in range(2):
        path = tmp_path / f"{int(segmenter.optimizer.iterations)}.keras"
        segmenter.save(path)
        again = keras.models.load_model(path)
        for loaded, saved in zip(
            again.optimizer.variables, segmenter.optimizer.variables, strict=True
        ):
            np.testing.assert_array_equal(ops.convert_to_numpy(loaded), ops.convert_to_numpy(saved))
        expected = segmenter.fit(IMAGES, masks, shuffle=False, verbose=0).history
        found = again.fit(IMAGES, masks, shuffle=False, verbose=0).history
        assert set(found) == {"loss", "single_iou", "top_iou", "oracle_iou"}
        for name, values in expected.items():
            assert found[name] == pytest.approx(values, rel=1e-3)


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
