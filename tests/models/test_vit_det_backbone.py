"""The image encoder of SAM. Its parity with transformers is in `test_preset_loading`."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.models.vit_det_backbone import ViTDetBackbone
from keras_sam.models.weight_names import weights_by_name

SETTINGS = {
    "hidden_size": 16,
    "num_layers": 3,
    "intermediate_dim": 32,
    "num_heads": 2,
    "global_attention_layer_indices": [1, 2],
    "patch_size": 8,
    "num_output_channels": 12,
    "window_size": 3,
    "image_shape": (32, 48, 3),
}


@pytest.fixture(scope="module")
def encoder() -> ViTDetBackbone:
    """An encoder with random values in every weight."""
    encoder = ViTDetBackbone(**SETTINGS)
    random = np.random.default_rng(0)
    for weight in encoder.weights:
        noise = random.normal(0, 0.3, weight.shape)
        weight.assign(noise + (1 if "gamma" in weight.name else 0))
    return encoder


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).random((2, 32, 48, 3), dtype="float32")


def copy_weights(source, target) -> None:
    """Copy the weights that have the same shapes."""
    weights = weights_by_name(source)
    for name, weight in weights_by_name(target).items():
        if name in weights and weights[name].shape == weight.shape:
            weight.assign(ops.convert_to_numpy(weights[name]))


def encode(encoder, images) -> np.ndarray:
    return ops.convert_to_numpy(encoder(images))


@pytest.mark.parametrize(
    "changes",
    [
        {"use_bias": False},
        {"use_abs_pos": False},
        {"use_rel_pos": False},
        {"window_size": 2},
        {"global_attention_layer_indices": [2]},
        {"num_heads": 4},
        {"layer_norm_epsilon": 0.1},
    ],
)
def test_every_setting_changes_the_output(encoder, images, changes):
    other = ViTDetBackbone(**SETTINGS | changes)
    copy_weights(encoder, other)
    difference = np.abs(encode(other, images) - encode(encoder, images))
    assert difference.max() > 1e-3


@pytest.mark.parametrize("global_attention_layer_indices", [[], [0, 2]])
def test_windows_of_the_whole_grid_are_global(images, global_attention_layer_indices):
    square = SETTINGS | {"image_shape": (32, 32, 3), "window_size": 4}
    all_global = ViTDetBackbone(**square | {"global_attention_layer_indices": [0, 1, 2, 7]})
    other = ViTDetBackbone(
        **square | {"global_attention_layer_indices": global_attention_layer_indices}
    )
    random = np.random.default_rng(0)
    for weight in all_global.weights:
        weight.assign(random.normal(0.1, 0.3, weight.shape))
    copy_weights(all_global, other)
    crops = images[:, :, :32]
    np.testing.assert_allclose(
        encode(other, crops), encode(all_global, crops), rtol=1e-3, atol=1e-4
    )
    no_windows = ViTDetBackbone(**square | {"global_attention_layer_indices": [], "window_size": 0})
    copy_weights(all_global, no_windows)
    np.testing.assert_allclose(
        encode(no_windows, crops), encode(all_global, crops), rtol=1e-3, atol=1e-4
    )


def test_the_early_feature_is_the_output_of_the_first_global_block(encoder, images):
    both = ViTDetBackbone(**SETTINGS, output_early_feature=True)
    copy_weights(encoder, both)
    outputs = both(images)
    np.testing.assert_allclose(
        ops.convert_to_numpy(outputs["image_embeddings"]), encode(encoder, images), rtol=1e-5
    )
    early = ops.convert_to_numpy(outputs["early_features"])
    assert early.shape == (2, 4, 6, both.early_feature_dim) == (2, 4, 6, 16)
    # The neck of an encoder that ends there takes the early feature.
    shallow = ViTDetBackbone(**SETTINGS | {"num_layers": 2})
    copy_weights(encoder, shallow)
    expected = ops.convert_to_numpy(shallow.neck(early))
    np.testing.assert_allclose(expected, encode(shallow, images), rtol=1e-4, atol=1e-4)
    assert encoder.early_feature_dim == 0


def test_images_are_normalized(encoder, images):
    """A pixel of ImageNet's mean is zero: only the bias of the patch embedding remains."""
    mean = np.broadcast_to(np.array([0.485, 0.456, 0.406], "float32"), (1, 32, 48, 3))
    other = ViTDetBackbone(**SETTINGS)
    copy_weights(encoder, other)
    weights_by_name(other)["patch_embedding/kernel"].assign(0 * np.zeros((8, 8, 3, 16)))
    np.testing.assert_allclose(encode(encoder, mean), encode(other, images[:1]), atol=1e-4)


def test_any_image_shape_of_whole_patches_has_its_grid(images):
    for image_shape in ((32, 32, 3), (16, 40, 3)):
        encoder = ViTDetBackbone(**SETTINGS | {"image_shape": image_shape})
        grid = (image_shape[0] // 8, image_shape[1] // 8)
        assert encoder.embedding_size == grid
        assert encoder(keras.KerasTensor((None, *image_shape))).shape == (None, *grid, 12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_shape": (30, 48, 3)}, "multiples of patch_size"),
        ({"image_shape": (32, 48, 4)}, "must be \\(height, width, 3\\)"),
        ({"num_heads": 3}, "num_heads must divide hidden_size, got 3 heads for 16"),
        (
            {"global_attention_layer_indices": [5], "output_early_feature": True},
            "needs a global block",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_an_error(changes, message):
    with pytest.raises(ValueError, match=message):
        ViTDetBackbone(**SETTINGS | changes)


def test_images_of_another_size_are_an_error(encoder, images):
    with pytest.raises(ValueError, match=r"shape \(B, 32, 48, 3\), got \(2, 16, 48, 3\)"):
        encoder(images[:, :16])


def test_a_config_makes_the_same_model(encoder):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(encoder)))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == encoder.get_config()
    assert list(weights_by_name(again)) == list(weights_by_name(encoder))
