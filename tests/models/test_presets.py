"""Presets of models: round trips, and parity with transformers."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras_sam.checkpoints.preprocessing import parse_preprocessing

from keras_sam.models.backbone import Backbone
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.set_trainable import set_trainable
from keras_sam.models.vit_det_backbone import ViTDetBackbone
from tests.models.square_sam import IMAGES, PROMPTS, assert_close, build_segmenter, predict

pytestmark = pytest.mark.filterwarnings(r"default:::transformers(\..*)?")


@pytest.fixture(scope="module")
def segmenter():
    return build_segmenter()


def test_round_trips(segmenter, tmp_path):
    segmenter.save_to_preset(tmp_path / "task")
    assert_close(predict(SAMImageSegmenter.from_preset(tmp_path / "task")), predict(segmenter), 0)
    segmenter.backbone.save_to_preset(tmp_path / "backbone")
    for cls in (SAMBackbone, Backbone):
        loaded = cls.from_preset(tmp_path / "backbone")
        assert type(loaded) is SAMBackbone
        assert_close(predict(SAMImageSegmenter(loaded)), predict(segmenter), 0)
    encoder = segmenter.backbone.image_encoder
    encoder.save_to_preset(tmp_path / "encoder")
    loaded = ViTDetBackbone.from_preset(tmp_path / "encoder")
    np.testing.assert_array_equal(
        loaded.predict(IMAGES, verbose=0), encoder.predict(IMAGES, verbose=0)
    )


@pytest.mark.parametrize("given", [None, "medsam", {"resize": "stretch"}])
def test_preprocessing_is_kept(segmenter, tmp_path, given):
    """By the segmenter, its backbone and its image encoder alike, saved and loaded again."""
    segmenter.save_to_preset(tmp_path / "plain")
    model = SAMImageSegmenter.from_preset(tmp_path / "plain", preprocessing=given)
    expected = parse_preprocessing(given, source="x")
    parts = {"task": model, "backbone": model.backbone, "encoder": model.backbone.image_encoder}
    for name, part in parts.items():
        assert part.preprocessing == expected
        part.save_to_preset(tmp_path / name)
        for load_weights in (True, False):
            loaded = Backbone.from_preset(tmp_path / name, load_weights=load_weights)
            assert loaded.preprocessing == expected
    again = SAMImageSegmenter(SAMBackbone.from_preset(tmp_path / "backbone"))
    assert again.preprocessing == expected
    assert model.with_image_shape((32, 32, 3)).preprocessing == expected
    assert SAMImageSegmenter.from_config(model.get_config()).preprocessing == expected


def test_thresholds_are_kept(segmenter, tmp_path):
    """As preprocessing is."""
    own = {"pred_iou_thresh": 0.4, "stability_score_thresh": 0.6}
    model = SAMImageSegmenter.from_config(segmenter.get_config() | {"thresholds": own})
    model.save_to_preset(tmp_path / "task")
    model.backbone.image_encoder.save_to_preset(tmp_path / "encoder")
    for name in ("task", "encoder"):
        assert Backbone.from_preset(tmp_path / name).thresholds == own
    assert model.with_image_shape((32, 32, 3)).thresholds == own
    assert SAMImageSegmenter.from_config(model.get_config()).thresholds == own
    assert segmenter.thresholds["pred_iou_thresh"] == 0.88
    with pytest.raises(ValueError, match=r"a number in 0\.\.1"):
        model.thresholds = {"pred_iou_thresh": 2}


def test_preprocessing_may_be_set(segmenter):
    model = SAMImageSegmenter(segmenter.backbone, preprocessor="medsam")
    assert model.backbone.image_encoder.preprocessing["normalization"] == "min_max"
    model.preprocessing = "sam"
    assert segmenter.preprocessing == parse_preprocessing("sam", source="x")
    with pytest.raises(ValueError, match="expected sam or medsam"):
        model.preprocessing = "other"


def test_a_built_in_preset_brings_its_preprocessing():
    model = SAMImageSegmenter.from_preset("medsam", load_weights=False, image_shape=(64, 64, 3))
    assert model.preprocessing == parse_preprocessing("medsam", source="x")


def test_the_wrong_class_is_named(segmenter, tmp_path):
    segmenter.backbone.image_encoder.save_to_preset(tmp_path / "encoder")
    with pytest.raises(ValueError, match=r"ViTDetBackbone.*SAMImageSegmenter"):
        SAMImageSegmenter.from_preset(tmp_path / "encoder")


def test_what_was_frozen_stays_frozen(segmenter, tmp_path):
    decoder = segmenter.backbone.mask_decoder
    set_trainable(decoder, False)
    segmenter.save_to_preset(tmp_path / "task")
    set_trainable(decoder, True)
    loaded = SAMImageSegmenter.from_preset(tmp_path / "task")
    assert loaded.backbone.mask_decoder.trainable_variables == []
    frozen = {id(weight) for weight in loaded.backbone.mask_decoder.weights}
    assert not any(id(weight) in frozen for weight in loaded.trainable_variables)
    assert len(loaded.trainable_variables) + len(frozen) == len(segmenter.trainable_variables)


def test_image_shape_and_dtype_are_honored(segmenter, tmp_path):
    segmenter.save_to_preset(tmp_path / "task")
    loaded = SAMImageSegmenter.from_preset(
        tmp_path / "task", image_shape=(96, 64, 3), dtype="bfloat16"
    )
    assert loaded.backbone.image_shape == (96, 64, 3)
    assert all(layer.compute_dtype == "bfloat16" for layer in loaded.backbone._flatten_layers())
    outputs = loaded.predict(
        {
            "images": np.zeros((1, 96, 64, 3)),
            **{name: PROMPTS[name] for name in ("points", "labels")},
        },
        verbose=0,
    )
    assert outputs["masks"].shape == (1, 4, 24, 16)


def test_a_preset_of_the_first_keras_hub_with_sam():
    """Written by keras-hub 0.17.0 on Keras 3.7.0, with the outputs that it gave there."""
    directory = Path(__file__).with_name("keras_hub_0_17")
    with np.load(directory / "outputs.npz") as stored:
        arrays = dict(stored)
    expected = {name: arrays.pop(f"out_{name}") for name in ("masks", "iou_pred")}
    assert_close(predict(SAMImageSegmenter.from_preset(directory), arrays), expected)


def transformers_model(directory, *, width=16, decoder_width=32):
    """A random `SamModel` of two layers, saved; its decoder's epsilon set to Meta's."""
    import torch
    from transformers import SamConfig, SamModel

    config = SamConfig(
        vision_config={
            "hidden_size": width,
            "output_channels": decoder_width,
            "num_hidden_layers": 2,
            "num_attention_heads": max(2, width // 64),
            "image_size": 64,
            "window_size": 3,
            "global_attn_indexes": [1],
            "num_pos_feats": decoder_width // 2,
            "mlp_dim": 4 * width,
        },
        prompt_encoder_config={
            "hidden_size": decoder_width,
            "image_size": 64,
            "image_embedding_size": 4,
        },
        mask_decoder_config={
            "hidden_size": decoder_width,
            "mlp_dim": 2 * decoder_width,
            "num_attention_heads": max(2, decoder_width // 32),
            "iou_head_hidden_dim": decoder_width,
            "layer_norm_eps": 1e-5,
        },
    )
    torch.manual_seed(0)
    model = SamModel(config).eval()
    model.mask_decoder.upscale_layer_norm.eps = 1e-6
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = max(1, parameter[0].numel()) ** -0.5 if parameter.ndim > 1 else 0.1
            noise = torch.randn_like(parameter) * scale
            is_gain = "norm" in name and name.endswith("weight")
            parameter.copy_(noise + 1.0 if is_gain else noise)
        table = torch.randn(2, decoder_width // 2)
        model.shared_image_embedding.positional_embedding.copy_(table)
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(table)
    model.save_pretrained(directory)
    return model


@pytest.mark.parametrize("widths", [(16, 32), (768, 256)])
def test_parity_with_transformers(tmp_path, widths):
    import torch

    theirs = transformers_model(tmp_path, width=widths[0], decoder_width=widths[1])
    ours = SAMImageSegmenter.from_preset(tmp_path)
    normalized = (IMAGES - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    pixels = torch.tensor(normalized.transpose(0, 3, 1, 2), dtype=torch.float32)
    points, labels = PROMPTS["points"][:, None], PROMPTS["labels"][:, None]
    padded = np.concatenate([points, np.zeros((1, 1, 1, 2), "float32")], axis=2)
    padded_labels = np.concatenate([labels, np.full((1, 1, 1), -1, "int32")], axis=2)
    boxes, masks = PROMPTS["boxes"], PROMPTS["masks"]
    with torch.no_grad():
        embedding = theirs.get_image_embeddings(pixels)
    encoded = keras.ops.convert_to_numpy(ours.encode_image(IMAGES))
    np.testing.assert_allclose(encoded, embedding.numpy().transpose(0, 2, 3, 1), atol=1e-4)
    for has_points, has_box, has_mask in (
        (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)
    ):  # fmt: skip
        given, prompts = {}, {}
        if has_points:
            given |= {"input_points": torch.tensor(points), "input_labels": torch.tensor(labels)}
            prompts |= {
                "points": points if has_box else padded,
                "labels": labels if has_box else padded_labels,
            }
        if has_box:
            given["input_boxes"] = torch.tensor(boxes.reshape(1, 1, 4))
            prompts["boxes"] = boxes
        if has_mask:
            given["input_masks"] = torch.tensor(masks[0].transpose(0, 3, 1, 2))
            prompts["masks"] = masks
        with torch.no_grad():
            expected = [
                theirs(image_embeddings=embedding, multimask_output=multi, **given)
                for multi in (False, True)
            ]
        found = ours.decode(keras.ops.convert_to_tensor(encoded), **prompts)
        found = {name: keras.ops.convert_to_numpy(value) for name, value in found.items()}
        logits = np.concatenate([output.pred_masks.numpy() for output in expected], axis=2)
        scores = np.concatenate([output.iou_scores.numpy() for output in expected], axis=2)
        np.testing.assert_allclose(found["masks"], logits, atol=1e-4)
        np.testing.assert_allclose(found["iou_pred"], scores, atol=1e-4)
