"""LoRA adapters: what they compute, what they train, and their files."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.files.safetensors_file import load_safetensors, save_safetensors
from keras_sam.models.lora import FORMAT
from keras_sam.models.weight_names import weights_by_name


def embed(backbone, images):
    return ops.convert_to_numpy(backbone.encode_image(images)["image_embeddings"])


def randomize_adapters(backbone, seed=0):
    random = np.random.default_rng(seed)
    for name, weight in weights_by_name(backbone).items():
        if "lora_kernel" in name:
            weight.assign(random.normal(0, 0.5, weight.shape).astype("float32"))


@pytest.fixture
def images(inputs):
    return inputs["images"]


def test_new_adapters_do_not_change_the_outputs(make_backbone, images):
    backbone = make_backbone()
    expected = embed(backbone, images)
    backbone.enable_lora(2)
    np.testing.assert_allclose(embed(backbone, images), expected, atol=1e-5)


def test_adapters_add_a_scaled_product_to_the_kernel(make_backbone, images):
    backbone, merged = make_backbone(), make_backbone()
    backbone.enable_lora(2, alpha=3)
    randomize_adapters(backbone)
    weights = weights_by_name(backbone)
    for name, weight in weights_by_name(merged).items():
        value = ops.convert_to_numpy(weights[name])
        if name.endswith("qkv/kernel"):
            prefix = name.removesuffix("kernel")
            a, b = (ops.convert_to_numpy(weights[f"{prefix}lora_kernel_{x}"]) for x in "ab")
            value = value + 3 / 2 * a @ b
        weight.assign(value)
    found = embed(backbone, images)
    np.testing.assert_allclose(found, embed(merged, images), atol=1e-4)
    randomize_adapters(backbone, seed=1)
    assert np.abs(embed(backbone, images) - found).max() > 0.01


@pytest.mark.parametrize("names", [None, ["qkv"], ["dense1", "projection"]])
def test_only_adapters_are_trainable(make_backbone, names):
    backbone = make_backbone()
    backbone.enable_lora(3, names)
    trainable = {id(weight) for weight in backbone.trainable_variables}
    found = {name for name, weight in weights_by_name(backbone).items() if id(weight) in trainable}
    assert found == {name for name in weights_by_name(backbone) if "lora_kernel" in name}
    layers = {name.split("/")[-2] for name in found}
    assert layers == set(names or backbone.default_lora_layer_names())


@pytest.mark.training
def test_training_changes_only_adapters(make_backbone, images):
    backbone = make_backbone()
    encoder = backbone.image_encoder
    encoder.enable_lora(2)
    randomize_adapters(encoder)
    before = {name: ops.convert_to_numpy(x) for name, x in weights_by_name(encoder).items()}
    encoder.compile(keras.optimizers.SGD(0.1), loss="mse")
    encoder.train_on_batch(images, np.zeros((2, 4, 6, 32), "float32"))
    changed = {
        name
        for name, weight in weights_by_name(encoder).items()
        if not np.array_equal(ops.convert_to_numpy(weight), before[name])
    }
    assert changed == {name for name in before if "lora_kernel" in name}


def test_a_file_has_the_adapters_alone(make_backbone, images, tmp_path):
    backbone, path = make_backbone(), tmp_path / "adapters.safetensors"
    backbone.enable_lora(2, alpha=5)
    randomize_adapters(backbone)
    backbone.save_lora_weights(path)
    arrays = load_safetensors(path, FORMAT, lambda arrays, _: arrays, description="adapters")
    assert all("lora_kernel" in name for name in arrays)
    for is_enabled in (False, True):
        loaded = make_backbone()
        if is_enabled:
            loaded.enable_lora(2)
        loaded.load_lora_weights(path)
        np.testing.assert_allclose(embed(loaded, images), embed(backbone, images), atol=1e-5)


@pytest.mark.parametrize(
    ("rank", "names", "message"),
    [
        (0, None, "rank must be 1 or more, got 0"),
        (2, ["query_dense"], "no layer is named query_dense"),
        (2, ["attention"], "has no adapters"),
    ],
)
def test_wrong_arguments_raise(make_backbone, rank, names, message):
    backbone = make_backbone()
    with pytest.raises(ValueError, match=message):
        backbone.enable_lora(rank, names)
    assert len(backbone.trainable_variables) > 10


def test_adapters_twice_raise(make_backbone):
    backbone = make_backbone()
    backbone.enable_lora(2)
    with pytest.raises(ValueError, match="has adapters already"):
        backbone.enable_lora(2)


def test_adapters_of_another_architecture_are_refused(make_backbone, tmp_path):
    backbone, path = make_backbone(), tmp_path / "adapters.safetensors"
    with pytest.raises(ValueError, match="has no LoRA adapters"):
        backbone.save_lora_weights(path)
    backbone.enable_lora(2)
    backbone.save_lora_weights(path)
    other = make_backbone(hidden_size=32)
    with pytest.raises(ValueError, match="must have the shapes"):
        other.load_lora_weights(path)
    smaller = make_backbone(num_layers=1, global_attention_layer_indices=[0])
    with pytest.raises(ValueError, match="has no layer"):
        smaller.load_lora_weights(path)
    save_safetensors(path, FORMAT, {}, {"alpha": {"image_encoder/blocks_0/attention/qkv/": 1}})
    with pytest.raises(ValueError, match="must have the shapes"):
        make_backbone().load_lora_weights(path)
