"""A new image encoder is one module, which `TOY` stands for here, and one row of the table."""

from dataclasses import replace

import pytest

from keras_sam.checkpoints import (
    CheckpointError,
    convert_checkpoint,
    read_checkpoint,
    resize_position_embeddings,
    write_keras_hub,
)
from keras_sam.checkpoints.architectures import (
    IMAGE_ENCODERS,
    ImageEncoderFormat,
    KerasHubEncoder,
    MetaEncoder,
)
from keras_sam.checkpoints.architectures.argument import SIZE, Argument, integers
from keras_sam.checkpoints.architectures.parse_arguments import parse_arguments
from tests.checkpoints.conftest import (
    DECODER,
    PROMPTS,
    assert_same_arrays,
    image_encoder_of,
    random_checkpoint,
)

PATCH_SIZE = 8


def toy_shapes(config):
    channels, width = config["image_shape"][2], config["width"]
    return {"patches/kernel": (PATCH_SIZE, PATCH_SIZE, channels, width), "patches/bias": (width,)}


def parse_toy_config(tensors):
    width, channels, *_ = tensors.axes("image_encoder.toy.weight", 4)
    return {"width": width, "image_shape": [32, 32, channels]}


TOY = ImageEncoderFormat(
    module="toy.backbone",
    arguments={"width": Argument(SIZE), "image_shape": Argument(integers(3), [32, 32, 3])},
    weight_shapes=toy_shapes,
    keras_hub=KerasHubEncoder(weight_path=lambda name: f"toy/{name}"),
    meta=MetaEncoder(
        signature="image_encoder.toy.weight",
        parse_config=parse_toy_config,
        tensor_name={
            "patches/kernel": "image_encoder.toy.weight",
            "patches/bias": "image_encoder.toy.bias",
        }.__getitem__,
    ),
    default_patch_size=PATCH_SIZE,
)


def toy_config():
    parts = {
        "image_encoder": {"class_name": "ToyBackbone", "config": {"width": 16}},
        "prompt_encoder": {
            "class_name": "SAMPromptEncoder",
            "config": PROMPTS | {"input_image_size": [32, 32]},
        },
        "mask_decoder": {"class_name": "SAMMaskDecoder", "config": DECODER | {"num_heads": 8}},
    }
    return parse_arguments("SAMBackbone", parts, source="toy")


@pytest.fixture
def toy(monkeypatch):
    """A checkpoint with the new image encoder, which one row adds to the table."""
    monkeypatch.setitem(IMAGE_ENCODERS, "ToyBackbone", TOY)
    return random_checkpoint(toy_config())


def test_new_encoder_is_converted_to_meta_and_back(toy, tmp_path):
    write_keras_hub(tmp_path / "keras", toy, task=True)
    convert_checkpoint(tmp_path / "keras", tmp_path / "toy.safetensors", to="meta")
    convert_checkpoint(tmp_path / "toy.safetensors", tmp_path / "back", to="keras")
    back = read_checkpoint(tmp_path / "back")
    assert back.config == toy.config
    assert_same_arrays(back.arrays, toy.arrays)


def test_new_encoder_alone(toy, tmp_path):
    encoder = image_encoder_of(toy)
    write_keras_hub(tmp_path / "encoder", encoder, task=False)
    checkpoint = read_checkpoint(tmp_path / "encoder")
    assert checkpoint.class_name == "ToyBackbone"
    assert_same_arrays(checkpoint.arrays, encoder.arrays)


def test_new_encoder_has_its_own_patch_size(toy):
    config = resize_position_embeddings(toy, (24, 40, 3)).config
    assert config["prompt_encoder"]["config"]["image_embedding_size"] == [3, 5]


def test_formats_without_the_encoder_raise(toy, monkeypatch, tmp_path):
    write_keras_hub(tmp_path / "keras", toy, task=False)
    with pytest.raises(CheckpointError, match="transformers has no SAM model with the ToyBackbone"):
        convert_checkpoint(tmp_path / "keras", tmp_path / "x", to="transformers")
    monkeypatch.setitem(IMAGE_ENCODERS, "ToyBackbone", replace(TOY, meta=None))
    with pytest.raises(CheckpointError, match="Meta's tensor names and a ToyBackbone"):
        convert_checkpoint(tmp_path / "keras", tmp_path / "x.pth", to="meta")


def test_encoder_without_its_row_is_unknown():
    with pytest.raises(CheckpointError, match="the image_encoder of 'toy' is a 'ToyBackbone'"):
        toy_config()
