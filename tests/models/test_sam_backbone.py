"""Image encoder, prompt encoder and mask decoder together."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.models.sam_backbone import SAMBackbone, check_inputs, check_parts_fit
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.weight_names import weights_by_name


def parts_of(backbone) -> list:
    return [backbone.image_encoder, backbone.prompt_encoder, backbone.mask_decoder]


def test_a_call_embeds_images_and_prompts(backbone, inputs):
    outputs = backbone(inputs)
    shapes = {name: tuple(output.shape) for name, output in outputs.items()}
    assert shapes == {
        "image_embeddings": (2, 4, 6, 32),
        "prompt_sparse_embeddings": (2, 4, 32),
        "prompt_dense_embeddings": (2, 4, 6, 32),
        "prompt_dense_positional_embeddings": (1, 4, 6, 32),
    }
    expected = backbone.encode_image(inputs["images"])["image_embeddings"]
    np.testing.assert_array_equal(
        ops.convert_to_numpy(outputs["image_embeddings"]), ops.convert_to_numpy(expected)
    )


def test_symbolic_shapes_equal_eager_shapes(backbone, inputs):
    symbolic = {
        name: keras.KerasTensor((None, *value.shape[1:]), dtype=str(value.dtype))
        for name, value in inputs.items()
    }
    eager = backbone(inputs)
    for name, output in backbone(symbolic).items():
        assert tuple(output.shape)[1:] == tuple(eager[name].shape)[1:]


@pytest.mark.parametrize("output_early_feature", [False, True])
def test_embedding_shapes_are_those_of_encoded_images(make_backbone, inputs, output_early_feature):
    backbone = make_backbone()
    if output_early_feature:
        encoder, prompt_encoder, decoder = parts_of(backbone)
        config = encoder.get_config() | {"output_early_feature": True}
        encoder = type(encoder).from_config(config)
        config = decoder.get_config() | {"early_feature_dim": encoder.early_feature_dim}
        decoder = type(decoder).from_config(config)
        backbone = SAMBackbone(encoder, prompt_encoder, decoder)
        check_parts_fit(backbone)
    embedding = backbone.encode_image(inputs["images"])
    assert ("early_features" in embedding) == output_early_feature
    shapes = {name: tuple(array.shape[1:]) for name, array in embedding.items()}
    assert shapes == backbone.embedding_shapes
    assert backbone.low_res_size == (16, 24)


def test_the_image_shape_must_be_that_of_the_encoder(backbone):
    parts = parts_of(backbone)
    assert SAMBackbone(*parts, image_shape=(32, 48, 3)).image_shape == (32, 48, 3)
    with pytest.raises(ValueError, match="differs from the image encoder's"):
        SAMBackbone(*parts, image_shape=(32, 32, 3))


def test_all_parts_must_have_one_dtype(make_backbone, backbone):
    parts = parts_of(backbone)
    assert SAMBackbone(*parts, dtype="float32").dtype_policy.name == "float32"
    with pytest.raises(ValueError, match="dtype must be bfloat16"):
        SAMBackbone(*parts, dtype="bfloat16")
    low = make_backbone(dtype="bfloat16")
    assert SAMBackbone(*parts_of(low)).dtype_policy.name == "bfloat16"
    with pytest.raises(ValueError, match="mask decoder's dtype must be bfloat16"):
        SAMBackbone(*parts_of(low)[:2], backbone.mask_decoder)


@pytest.mark.parametrize(
    ("index", "changes", "message"),
    [
        (1, {"image_embedding_size": (4, 4)}, r"image_embedding_size must be \(4, 6\)"),
        (1, {"input_image_size": (32, 32)}, r"input_image_size must be \(32, 48\)"),
        (1, {"hidden_size": 16}, "prompt encoder's hidden_size must be 32"),
        (2, {"hidden_size": 16, "embedding_dim": 16}, "mask decoder's hidden_size must be 32"),
        (2, {"early_feature_dim": 16}, "early_feature_dim must be 0"),
    ],
)
def test_a_part_of_another_size_does_not_fit(backbone, index, changes, message):
    """A backbone accepts it, as in keras-hub. A segmenter calls the decoder and does not."""
    parts = parts_of(backbone)
    check_parts_fit(backbone)
    parts[index] = type(parts[index]).from_config(parts[index].get_config() | changes)
    other = SAMBackbone(*parts)
    for check in (check_parts_fit, SAMImageSegmenter):
        with pytest.raises(ValueError, match=message):
            check(other)


def test_config_and_weights_make_the_same_model(tmp_path, backbone, inputs):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(backbone)))
    again = keras.saving.deserialize_keras_object(config)
    assert list(weights_by_name(again)) == list(weights_by_name(backbone))
    backbone.save_weights(tmp_path / "model.weights.h5")
    again.load_weights(tmp_path / "model.weights.h5")
    expected, actual = backbone(inputs), again(inputs)
    for name, output in expected.items():
        np.testing.assert_array_equal(
            ops.convert_to_numpy(actual[name]), ops.convert_to_numpy(output)
        )


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (np.zeros((1, 32, 48, 3)), TypeError, "dictionary with 'images', got "),
        ({"points": np.zeros((1, 1, 2))}, ValueError, r"must contain 'images', got \['points'\]"),
        (
            {"images": np.zeros((1, 32, 48, 3)), "point": np.zeros((1, 1, 2))},
            ValueError,
            r"unknown inputs \['point'\]",
        ),
    ],
)
def test_other_inputs_are_an_error(backbone, inputs, error, message):
    for call in (backbone, check_inputs):
        with pytest.raises(error, match=message):
            call(inputs)
