"""Settings that models share and keep, and prediction."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from keras_sam.errors import CheckpointError
from keras_sam.models.backbone import Backbone
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.transforms.inference_config import NAMED_CONFIGS, InferenceConfig, MaskThresholds
from keras_sam.transforms.mask_refiner import MaskRefiner
from keras_sam.transforms.postprocessing import Postprocessing
from keras_sam.transforms.preprocessing import Preprocessing

STRETCHED = InferenceConfig(preprocessing=Preprocessing(resize="stretch"))
CHANGED = InferenceConfig(
    preprocessing=Preprocessing(resize="stretch", normalization="min_max"),
    postprocessing=Postprocessing(upsample_in="probabilities"),
    mask_thresholds=MaskThresholds(pred_iou_thresh=0.4, stability_score_thresh=0.6),
    mask_refiner=MaskRefiner(),
)


@pytest.fixture
def segmenter(make_backbone):
    return SAMImageSegmenter.from_backbone(make_backbone())


@pytest.mark.parametrize("config", [InferenceConfig(), NAMED_CONFIGS["medsam"], STRETCHED, CHANGED])
def test_an_image_encoder_keeps_its_inference_config(make_backbone, tmp_path, config):
    encoder = make_backbone().image_encoder
    encoder.inference_config = config
    encoder.save_to_preset(tmp_path / "encoder")
    for load_weights in (True, False):
        loaded = Backbone.from_preset(tmp_path / "encoder", load_weights=load_weights)
        assert loaded.inference_config == config


def test_a_segmenter_shares_and_keeps_its_inference_config(segmenter, tmp_path):
    segmenter.inference_config = CHANGED
    backbone = segmenter.backbone
    for name, part in {"task": segmenter, "backbone": backbone}.items():
        assert part.inference_config == backbone.image_encoder.inference_config == CHANGED
        part.save_to_preset(tmp_path / name)
        loaded = SAMImageSegmenter.from_preset(tmp_path / name)
        assert loaded.inference_config == CHANGED
        assert loaded.preprocessor.image_converter.preprocessing == CHANGED.preprocessing
    assert segmenter.with_image_shape((32, 32, 3)).inference_config == CHANGED
    assert SAMImageSegmenter.from_config(segmenter.get_config()).inference_config == CHANGED


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("medsam", NAMED_CONFIGS["medsam"]),
        ({"preprocessing": {"resize": "stretch"}}, STRETCHED),
        (CHANGED, CHANGED),
    ],
)
def test_the_inference_config_of_a_preset_may_be_replaced(segmenter, tmp_path, given, expected):
    segmenter.backbone.image_encoder.save_to_preset(tmp_path / "encoder")
    loaded = Backbone.from_preset(tmp_path / "encoder", inference_config=given)
    assert loaded.inference_config == expected


def test_the_inference_config_may_be_set_on_any_part(segmenter):
    encoder = segmenter.backbone.image_encoder
    segmenter.inference_config = "medsam"
    assert encoder.inference_config.preprocessing.normalization == "min_max"
    encoder.inference_config = {"mask_thresholds": {"pred_iou_thresh": 0.25}}
    assert segmenter.backbone.inference_config.mask_thresholds.pred_iou_thresh == 0.25
    segmenter.backbone.inference_config = None
    assert segmenter.inference_config == NAMED_CONFIGS["sam"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("other", "must be one of sam, medsam, got 'other'"),
        ({"mask_thresholds": {"pred_iou_thresh": 2}}, r"number in \[0, 1\], got 2"),
        ({"thresholds": {}}, "unknown fields"),
    ],
)
def test_an_invalid_inference_config_is_an_error(segmenter, value, message):
    with pytest.raises(ValueError, match=message):
        segmenter.inference_config = value
    assert segmenter.inference_config == InferenceConfig()


def test_two_models_do_not_share_an_inference_config(make_backbone):
    models = make_backbone(), make_backbone()
    config = dataclasses.replace(InferenceConfig(), mask_refiner=MaskRefiner())
    models[0].inference_config = config
    assert models[1].inference_config == InferenceConfig()


def test_a_built_in_preset_has_its_inference_config():
    model = SAMImageSegmenter.from_preset("medsam", load_weights=False, image_shape=(64, 64, 3))
    assert model.inference_config == NAMED_CONFIGS["medsam"]


def test_saving_replaces_a_preset_but_no_other_directory(segmenter, tmp_path):
    segmenter.save_to_preset(tmp_path / "preset")
    segmenter.backbone.image_encoder.save_to_preset(tmp_path / "preset")
    assert type(Backbone.from_preset(tmp_path / "preset")) is not SAMBackbone
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="other"):
        segmenter.save_to_preset(tmp_path / "other")
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"


def test_an_unknown_preset_is_an_error(tmp_path):
    for preset in ("sam_unknown", tmp_path / "missing"):
        with pytest.raises(CheckpointError):
            Backbone.from_preset(preset)


def test_predict_takes_prompts_of_one_shape_after_another(backbone, inputs):
    one = {name: inputs[name] for name in ("images", "points", "labels", "masks")}
    several = {"points": inputs["points"][:, None], "labels": inputs["labels"][:, None]}
    no_mask = {"masks": inputs["masks"][:, :0]}
    for prompts in (one, one | several, one | no_mask, one):
        expected, actual = backbone(prompts), backbone.predict(prompts, verbose=0)
        assert set(actual) == set(expected)
        for name, output in expected.items():
            np.testing.assert_allclose(
                actual[name], ops.convert_to_numpy(output), rtol=1e-3, atol=1e-4, err_msg=name
            )


@pytest.mark.openvino
def test_predict_computes_in_float32(backbone, inputs):
    """On a CPU with bfloat16, OpenVINO would use it unless told otherwise."""
    import openvino

    backbone.predict(inputs, verbose=0)
    precision = openvino.properties.hint.inference_precision
    assert backbone.ov_compiled_model.get_property(precision) == openvino.Type.f32
