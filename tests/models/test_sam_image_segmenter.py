"""The whole model: forms of prompts, precision, sizes, saving."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.weight_names import weights_by_name

CAN_LOWER_PRECISION = keras.backend.backend() != "openvino"


@pytest.fixture(scope="module")
def segmenter(backbone) -> SAMImageSegmenter:
    return SAMImageSegmenter(backbone)


def predict(segmenter, inputs) -> dict[str, np.ndarray]:
    return {
        name: np.asarray(output, "float32")
        for name, output in segmenter.predict(inputs, verbose=0).items()
    }


def test_the_backbone_embeds_images_and_prompts(backbone, inputs):
    outputs = backbone(inputs)
    shapes = {name: tuple(output.shape) for name, output in outputs.items()}
    assert shapes == {
        "image_embeddings": (2, 4, 6, 32),
        "prompt_sparse_embeddings": (2, 4, 32),
        "prompt_dense_embeddings": (2, 4, 6, 32),
        "prompt_dense_positional_embeddings": (1, 4, 6, 32),
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


def test_the_backbone_predicts_prompts_of_one_form_after_another(backbone, inputs):
    one = {name: inputs[name] for name in ("images", "points", "labels", "masks")}
    several = {"points": inputs["points"][:, None], "labels": inputs["labels"][:, None]}
    no_mask = {"masks": inputs["masks"][:, :0]}
    for prompts in (one, one | several, one | no_mask):
        expected, found = backbone(prompts), backbone.predict(prompts, verbose=0)
        for name, output in expected.items():
            np.testing.assert_allclose(
                found[name], ops.convert_to_numpy(output), rtol=1e-3, atol=1e-4
            )


@pytest.mark.parametrize("unused_tensors", ["points", "boxes", "masks"])
def test_any_prompt_may_be_left_out_or_empty(segmenter, inputs, unused_tensors):
    empty = dict(inputs)
    empty[unused_tensors] = inputs[unused_tensors][:, :0]
    if unused_tensors == "points":
        empty["labels"] = inputs["labels"][:, :0]
    without = {name: value for name, value in inputs.items() if name != unused_tensors}
    if unused_tensors == "points":
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


def test_image_shape_is_checked(backbone):
    parts = (backbone.image_encoder, backbone.prompt_encoder, backbone.mask_decoder)
    assert SAMBackbone(*parts, image_shape=(32, 48, 3)).image_shape == (32, 48, 3)
    with pytest.raises(ValueError, match="differs from the image encoder's"):
        SAMBackbone(*parts, image_shape=(32, 32, 3))


def test_dtype_is_checked(make_backbone, backbone):
    parts = [backbone.image_encoder, backbone.prompt_encoder, backbone.mask_decoder]
    assert SAMBackbone(*parts, dtype="float32").dtype_policy.name == "float32"
    with pytest.raises(ValueError, match="dtype must be bfloat16"):
        SAMBackbone(*parts, dtype="bfloat16")
    low = make_backbone(dtype="bfloat16")
    parts = [low.image_encoder, low.prompt_encoder, low.mask_decoder]
    assert SAMBackbone(*parts).dtype_policy.name == "bfloat16"
    with pytest.raises(ValueError, match="mask decoder's dtype must be bfloat16"):
        SAMBackbone(*parts[:2], backbone.mask_decoder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_shape": (30, 48, 3)}, "multiples of patch_size"),
        ({"num_heads": 3}, "must divide"),
        ({"num_output_channels": 16}, "hidden_size must be"),
    ],
)
def test_parts_that_do_not_fit_are_refused(make_backbone, settings, message):
    with pytest.raises(ValueError, match=message):
        make_backbone(**settings)


@pytest.mark.parametrize(
    "settings",
    [{"use_bias": False}, {"use_abs_pos": False}, {"use_rel_pos": False}, {"window_size": 2}],
)
def test_every_setting_of_the_encoder_matters(make_backbone, backbone, inputs, settings):
    """Where no shape changes, the output does, from the same weights."""
    shared = weights_by_name(backbone)
    for index, variable in enumerate(shared.values()):
        if not np.abs(ops.convert_to_numpy(variable)).any():
            variable.assign(np.random.default_rng(index).normal(0, 0.5, variable.shape))
    other = make_backbone(**settings)
    for name, weight in weights_by_name(other).items():
        if weight.shape == shared[name].shape:
            weight.assign(ops.convert_to_numpy(shared[name]))
    expected = ops.convert_to_numpy(backbone.image_encoder(inputs["images"]))
    found = ops.convert_to_numpy(other.image_encoder(inputs["images"]))
    assert np.abs(found - expected).max() > 1e-3


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
    with pytest.raises(ValueError, match="lack 'images'"):
        segmenter({"points": inputs["points"]})
    with pytest.raises(ValueError, match="unknown inputs"):
        segmenter({"images": inputs["images"], "point": inputs["points"]})
    with pytest.raises(TypeError, match="dictionary"):
        segmenter(inputs["images"])
    with pytest.raises(ValueError, match="must have shape"):
        segmenter({"images": inputs["images"][:, :16]})
