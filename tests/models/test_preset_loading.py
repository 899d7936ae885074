"""Models from presets and back, and parity with transformers."""

import dataclasses
import json
from itertools import product
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_sam.checkpoints.lazy_arrays import LazyArrays
from keras_sam.models.backbone import Backbone
from keras_sam.models.preset_loading import (
    build_backbone,
    checkpoint_to_backbone,
    config_to_plain,
    model_to_checkpoint,
)
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.set_trainable import set_trainable
from keras_sam.models.tiny_vit_backbone import TinyViTBackbone
from keras_sam.models.vit_det_backbone import ViTDetBackbone
from keras_sam.models.weight_names import weights_by_name
from tests.models.square_sam import IMAGES, PROMPTS, assert_close, build_segmenter, predict
from tests.models.transformers_sam import build_sam

pytestmark = pytest.mark.filterwarnings(r"default:::transformers(\..*)?")


@pytest.fixture(scope="module")
def segmenter() -> SAMImageSegmenter:
    return build_segmenter()


@pytest.fixture(scope="module")
def checkpoint(segmenter):
    return model_to_checkpoint(segmenter)


def load_segmenter(preset, **kwargs) -> SAMImageSegmenter:
    """Load a model of prepared inputs."""
    return SAMImageSegmenter.from_preset(preset, preprocessor=None, **kwargs)


def test_a_saved_segmenter_is_loaded_exactly(segmenter, tmp_path):
    segmenter.save_to_preset(tmp_path / "task")
    loaded = load_segmenter(tmp_path / "task", name="loaded")
    assert loaded.name == "loaded"
    assert_close(predict(loaded), predict(segmenter), 0)


@pytest.mark.parametrize("cls", [SAMBackbone, Backbone])
def test_a_saved_backbone_is_loaded_exactly(segmenter, tmp_path, cls):
    segmenter.backbone.save_to_preset(tmp_path / "backbone")
    loaded = cls.from_preset(tmp_path / "backbone")
    assert type(loaded) is SAMBackbone
    assert_close(predict(SAMImageSegmenter(loaded)), predict(segmenter), 0)
    assert_close(predict(load_segmenter(tmp_path / "backbone")), predict(segmenter), 0)


def test_a_saved_image_encoder_is_loaded_exactly(segmenter, tmp_path):
    encoder = segmenter.backbone.image_encoder
    encoder.save_to_preset(tmp_path / "encoder")
    loaded = ViTDetBackbone.from_preset(tmp_path / "encoder")
    np.testing.assert_array_equal(
        loaded.predict(IMAGES, verbose=0), encoder.predict(IMAGES, verbose=0)
    )


def test_a_preset_of_another_class_is_an_error(segmenter, tmp_path):
    segmenter.backbone.image_encoder.save_to_preset(tmp_path / "encoder")
    with pytest.raises(ValueError, match=r"ViTDetBackbone.*SAMImageSegmenter"):
        SAMImageSegmenter.from_preset(tmp_path / "encoder")


def test_frozen_layers_stay_frozen(segmenter, tmp_path):
    decoder = segmenter.backbone.mask_decoder
    set_trainable(decoder, False)
    segmenter.save_to_preset(tmp_path / "task")
    set_trainable(decoder, True)
    loaded = SAMImageSegmenter.from_preset(tmp_path / "task")
    assert loaded.backbone.mask_decoder.trainable_variables == []
    frozen = {id(weight) for weight in loaded.backbone.mask_decoder.weights}
    assert not any(id(weight) in frozen for weight in loaded.trainable_variables)
    assert len(loaded.trainable_variables) + len(frozen) == len(segmenter.trainable_variables)


def test_image_shape_and_dtype_are_applied(segmenter, tmp_path):
    segmenter.save_to_preset(tmp_path / "task")
    loaded = load_segmenter(tmp_path / "task", image_shape=(96, 64, 3), dtype="bfloat16")
    assert loaded.backbone.image_shape == (96, 64, 3)
    for layer in loaded._flatten_layers():
        assert layer.compute_dtype == "bfloat16"
    inputs = {name: PROMPTS[name] for name in ("points", "labels")}
    outputs = predict(loaded, inputs | {"images": np.zeros((1, 96, 64, 3))})
    assert outputs["masks"].shape == (1, 4, 24, 16)


def test_without_weights_a_model_is_random(segmenter, tmp_path):
    encoder = segmenter.backbone.image_encoder
    encoder.save_to_preset(tmp_path / "encoder")
    loaded = Backbone.from_preset(tmp_path / "encoder", load_weights=False)
    assert loaded.get_config() | {"name": ""} == encoder.get_config() | {"name": ""}
    kernels = [
        keras.ops.convert_to_numpy(weights_by_name(model)["patch_embedding/kernel"])
        for model in (loaded, encoder)
    ]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01
    assert kernels[0].std() > 0


def test_a_preset_of_keras_hub_0_17():
    """Saved by keras-hub 0.17.0 on Keras 3.7.0, with its outputs."""
    directory = Path(__file__).with_name("keras_hub_0_17")
    with np.load(directory / "outputs.npz") as stored:
        arrays = dict(stored)
    expected = {name: arrays.pop(f"out_{name}") for name in ("masks", "iou_pred")}
    assert_close(predict(load_segmenter(directory), arrays), expected)


def test_each_array_is_read_once_and_copied(checkpoint, segmenter):
    stored, names_read = dict(checkpoint.arrays), []

    def read(name):
        names_read.append(name)
        return stored[name]

    arrays = LazyArrays(stored, read)
    backbone = checkpoint_to_backbone(dataclasses.replace(checkpoint, arrays=arrays))
    assert sorted(names_read) == sorted(weights_by_name(segmenter.backbone))
    for array in stored.values():
        if array.flags.writeable:
            array[:] = 0
    assert_close(predict(SAMImageSegmenter(backbone)), predict(segmenter), 0)


def test_every_missing_and_unexpected_weight_is_named(checkpoint):
    arrays = dict(checkpoint.arrays)
    del arrays["mask_decoder/iou_token"], arrays["image_encoder/position_embedding"]
    arrays["other/kernel"] = np.zeros(3)
    with pytest.raises(ValueError, match="do not fit the model") as error:
        checkpoint_to_backbone(dataclasses.replace(checkpoint, arrays=arrays))
    for problem in (
        "missing: mask_decoder/iou_token",
        "missing: image_encoder/position_embedding",
        "unexpected: other/kernel",
    ):
        assert problem in str(error.value)


def test_a_weight_of_another_shape_is_an_error(checkpoint):
    arrays = dict(checkpoint.arrays) | {"mask_decoder/iou_token": np.zeros((1, 3))}
    with pytest.raises(ValueError, match=r"mask_decoder/iou_token has shape \(1, 3\), expected"):
        checkpoint_to_backbone(dataclasses.replace(checkpoint, arrays=arrays))


def test_a_plain_config_builds_the_same_model(segmenter):
    backbone = segmenter.backbone
    config = json.loads(json.dumps(config_to_plain(backbone)))
    again = build_backbone("SAMBackbone", config, dtype=None)
    assert config_to_plain(again) == config
    shapes = [
        {name: tuple(weight.shape) for name, weight in weights_by_name(model).items()}
        for model in (again, backbone)
    ]
    assert shapes[0] == shapes[1]


def test_an_unknown_class_is_an_error():
    with pytest.raises(ValueError, match="no class OtherBackbone"):
        build_backbone("OtherBackbone", {}, dtype=None)


def test_each_class_lists_the_built_in_presets_that_it_loads():
    assert "sam_base_sa1b" in SAMBackbone.presets
    assert SAMImageSegmenter.presets == SAMBackbone.presets
    assert TinyViTBackbone.presets == {}
    assert Backbone.presets.items() >= SAMBackbone.presets.items()


PROMPT_KINDS = [kinds for kinds in product((False, True), repeat=3) if any(kinds)]


@pytest.fixture(scope="module", params=[False, True], ids=["narrow", "wide"])
def models(request, tmp_path_factory):
    """A random model of transformers, and ours from its checkpoint."""
    directory = tmp_path_factory.mktemp("transformers")
    theirs = build_sam(wide=request.param)
    theirs.save_pretrained(directory)
    return theirs, load_segmenter(directory)


@pytest.fixture(scope="module")
def embeddings(models):
    """The image embedding of each model, as arrays with channels last."""
    import torch

    theirs, ours = models
    normalized = (IMAGES - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    pixels = torch.tensor(normalized.transpose(0, 3, 1, 2), dtype=torch.float32)
    with torch.no_grad():
        expected = theirs.get_image_embeddings(pixels).numpy().transpose(0, 2, 3, 1)
    embedding = ours.encode_image(IMAGES)["image_embeddings"]
    return expected, keras.ops.convert_to_numpy(embedding)


def test_image_embeddings_equal_those_of_transformers(embeddings):
    expected, actual = embeddings
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize(("has_points", "has_box", "has_mask"), PROMPT_KINDS)
def test_masks_of_each_kind_of_prompt_equal_those_of_transformers(
    models, embeddings, has_points, has_box, has_mask
):
    import torch

    theirs, ours = models
    theirs_prompts, ours_prompts = {}, {}
    if has_points:
        points, labels = PROMPTS["points"][:, None], PROMPTS["labels"][:, None]
        theirs_prompts |= {
            "input_points": torch.tensor(points),
            "input_labels": torch.tensor(labels),
        }
        if not has_box:  # transformers adds a padding point itself
            points = np.concatenate([points, np.zeros((1, 1, 1, 2), "float32")], axis=2)
            labels = np.concatenate([labels, np.full((1, 1, 1), -1, "int32")], axis=2)
        ours_prompts |= {"points": points, "labels": labels}
    if has_box:
        theirs_prompts["input_boxes"] = torch.tensor(PROMPTS["boxes"].reshape(1, 1, 4))
        ours_prompts["boxes"] = PROMPTS["boxes"]
    if has_mask:
        theirs_prompts["input_masks"] = torch.tensor(PROMPTS["masks"][0].transpose(0, 3, 1, 2))
        ours_prompts["masks"] = PROMPTS["masks"]
    embedding = torch.tensor(np.ascontiguousarray(embeddings[0].transpose(0, 3, 1, 2)))
    with torch.no_grad():
        expected = [
            theirs(image_embeddings=embedding, multimask_output=multimask_output, **theirs_prompts)
            for multimask_output in (False, True)
        ]
    actual = ours.decode(
        {"image_embeddings": keras.ops.convert_to_tensor(embeddings[1])}, **ours_prompts
    )
    masks, iou_predictions = (
        keras.ops.convert_to_numpy(actual[name]) for name in ("masks", "iou_pred")
    )
    expected_masks = np.concatenate([output.pred_masks.numpy() for output in expected], axis=2)
    expected_iou = np.concatenate([output.iou_scores.numpy() for output in expected], axis=2)
    np.testing.assert_allclose(masks, expected_masks, atol=1e-4)
    np.testing.assert_allclose(iou_predictions, expected_iou, atol=1e-4)


@pytest.mark.training
def test_lora_adapters_are_merged_into_saved_and_resized_models(tmp_path):
    model = build_segmenter()
    for block in model.backbone.image_encoder.blocks:
        block.attention.qkv.enable_lora(2)
        adapter = block.attention.qkv.lora_kernel_b
        adapter.assign(np.random.default_rng(0).normal(0, 0.3, adapter.shape))
    model.backbone.mask_decoder.transformer.final_attention.query.enable_lora(1)
    model.save_to_preset(tmp_path / "task")
    loaded = load_segmenter(tmp_path / "task")
    assert len(loaded.weights) == len(model.weights) - 2 * 3
    assert_close(predict(loaded), predict(model), 1e-5)
    same_size = model.with_image_shape(model.backbone.image_shape)
    assert_close(predict(same_size), predict(model), 1e-5)


def test_a_quantized_model_is_not_saved(tmp_path):
    model = build_segmenter()
    model.backbone.image_encoder.blocks[0].mlp.dense_layers[0].quantize("int8")
    with pytest.raises(ValueError, match="quantized model cannot be saved as a preset"):
        model.save_to_preset(tmp_path / "task")
    assert not (tmp_path / "task").exists()
