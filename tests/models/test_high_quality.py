"""SAM-HQ: each format gives the outputs of transformers' `SamHQModel`, and converts back."""

import numpy as np
import pytest
from keras import ops

from keras_sam.checkpoints.architectures.parse_arguments import parse_arguments
from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.checkpoints.meta.tensor_names import meta_name
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.torch_layout import torch_shape
from keras_sam.engines.create_engine import create_engine
from keras_sam.errors import CheckpointError
from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.sam_predictor import SAMPredictor
from tests.checkpoints.meta_names import to_meta_name
from tests.checkpoints.mobile_sam import DECODER as MOBILE_DECODER
from tests.checkpoints.mobile_sam import IMAGE_SHAPE, mobile_sam_tensors, timm_outputs
from tests.models.transformers_sam import DECODER, PROMPTS, VISION, set_random_weights

pytestmark = pytest.mark.filterwarnings(r"default:::transformers(\..*)?")


@pytest.fixture(scope="module")
def theirs():
    """A random `SamHQModel` of three layers, with the epsilons of Meta's code."""
    import torch
    from transformers import SamHQConfig, SamHQModel

    torch.manual_seed(0)
    config = SamHQConfig(
        vision_config=VISION | {"num_hidden_layers": 3, "global_attn_indexes": [1, 2]},
        prompt_encoder_config=PROMPTS,
        mask_decoder_config=DECODER | {"vit_dim": 16},
    )
    model = set_random_weights(SamHQModel(config))
    model.mask_decoder.transformer.register_forward_hook(upscale_image_tokens, with_kwargs=True)
    return model


def upscale_image_tokens(module, args, inputs, outputs):
    """Correct transformers 5.23, which upscales the input of the two-way transformer.

    The code of SAM-HQ's authors upscales its output, as SAM does. The hook overwrites the input
    with it, and swaps its sides, since the lines that follow swap them back.
    """
    embedding = inputs["image_embeddings"]  # (B * P, D, G, G)
    tokens = outputs[1][:, 0].transpose(1, 2)  # (B * P, D, T)
    embedding.copy_(tokens.reshape(embedding.shape).transpose(2, 3))


@pytest.fixture(scope="module")
def preset(theirs, tmp_path_factory):
    directory = tmp_path_factory.mktemp("sam_hq") / "theirs"
    theirs.save_pretrained(directory)
    return directory


def load_segmenter(preset, **kwargs) -> SAMImageSegmenter:
    """Load a model of prepared inputs."""
    return SAMImageSegmenter.from_preset(preset, preprocessor=None, **kwargs)


@pytest.fixture(scope="module")
def ours(preset):
    return load_segmenter(preset)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((2, 64, 64, 3)).astype("float32")


def expected_outputs(theirs, images, *, multimask_output, **prompts):
    import torch

    pixels = (images - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    tensors = {name: torch.tensor(array) for name, array in prompts.items()}
    hq_token_only = tensors.pop("hq_token_only", False)
    with torch.no_grad():
        outputs = theirs(
            pixel_values=torch.tensor(pixels.transpose(0, 3, 1, 2), dtype=torch.float32),
            multimask_output=multimask_output,
            hq_token_only=bool(hq_token_only),
            **tensors,
        )
    return outputs.pred_masks.numpy(), outputs.iou_scores.numpy()


def decode(segmenter, images, **prompts):
    outputs = segmenter.decode(segmenter.encode_image(images), **prompts)
    return [ops.convert_to_numpy(outputs[name]) for name in ("masks", "iou_pred")]


def assert_equal_outputs(ours, theirs, images, *, ours_prompts, theirs_prompts):
    masks, scores = decode(ours, images, **ours_prompts)
    # Masks of transformers are sorted by score, ours are in the order of the model's tokens.
    order = np.argsort(-scores[:, :, 1:], axis=-1)
    sorted_masks = np.take_along_axis(masks[:, :, 1:], order[..., None, None], axis=2)
    sorted_scores = np.take_along_axis(scores[:, :, 1:], order, axis=2)
    for multimask_output, ours_masks, ours_scores in (
        (True, sorted_masks, sorted_scores),
        (False, masks[:, :, :1], scores[:, :, :1]),
    ):
        expected_masks, expected_scores = expected_outputs(
            theirs, images, multimask_output=multimask_output, **theirs_prompts
        )
        np.testing.assert_allclose(ours_masks, expected_masks, atol=1e-4)
        np.testing.assert_allclose(ours_scores, expected_scores, atol=1e-4)


def test_points_of_several_prompts(ours, theirs, images):
    points = np.random.default_rng(1).uniform(0, 64, (2, 3, 1, 2)).astype("float32")
    labels = np.array([[[1], [0], [1]]] * 2, "int32")
    padding = np.full((2, 3, 1), -1, "int32")
    ours_prompts = {
        "points": np.concatenate([points, np.zeros_like(points)], axis=2),
        "labels": np.concatenate([labels, padding], axis=2),
    }
    theirs_prompts = {"input_points": points, "input_labels": labels}
    assert_equal_outputs(
        ours, theirs, images, ours_prompts=ours_prompts, theirs_prompts=theirs_prompts
    )


def test_a_box(ours, theirs, images):
    boxes = np.array([[[4.0, 6.0, 40.0, 50.0]], [[10.0, 2.0, 60.0, 33.0]]], "float32")
    assert_equal_outputs(
        ours,
        theirs,
        images,
        ours_prompts={"boxes": boxes.reshape(2, 1, 2, 2)},
        theirs_prompts={"input_boxes": boxes},
    )


def test_a_mask_and_a_box(ours, theirs, images):
    boxes = np.array([[[4.0, 6.0, 40.0, 50.0]]], "float32")
    mask = np.random.default_rng(2).normal(size=(1, 16, 16)).astype("float32")
    assert_equal_outputs(
        ours,
        theirs,
        images[:1],
        ours_prompts={"boxes": boxes.reshape(1, 1, 2, 2), "masks": mask[:, None, ..., None]},
        theirs_prompts={"input_boxes": boxes, "input_masks": mask[:, None]},
    )


def test_masks_of_the_hq_token_alone(preset, theirs, images):
    boxes = np.array([[[4.0, 6.0, 40.0, 50.0]]], "float32")
    segmenter = load_segmenter(preset)
    segmenter.backbone.mask_decoder.hq_token_only = True
    masks, _ = decode(segmenter, images[:1], boxes=boxes.reshape(1, 1, 2, 2))
    expected, _ = expected_outputs(
        theirs, images[:1], multimask_output=False, input_boxes=boxes, hq_token_only=True
    )
    np.testing.assert_allclose(masks, np.repeat(expected, 4, axis=2), atol=1e-4)


def test_the_predictor_keeps_the_early_feature(ours, theirs):
    image = np.random.default_rng(3).integers(0, 256, (64, 64, 3)).astype("uint8")
    predictor = SAMPredictor(ours)
    predictor.set_image(image)
    box = np.array([4.0, 6.0, 40.0, 50.0], "float32")
    _, _, low_res_logits = predictor.predict(box=box, multimask_output=False)
    masks, _ = expected_outputs(
        theirs,
        image[None] / np.float32(255),
        multimask_output=False,
        input_boxes=box[None, None],
    )
    np.testing.assert_allclose(low_res_logits, masks[0, 0], atol=1e-4)
    again = SAMPredictor(ours)
    again.set_image(predictor.get_image_embedding())
    np.testing.assert_allclose(
        again.predict(box=box, multimask_output=False)[2], low_res_logits, atol=1e-5
    )


def test_an_engine_decodes_with_the_early_feature(ours, images):
    engine = create_engine(ours)
    embedding = engine.encode(images[:1])
    assert set(embedding) == {"image_embeddings", "early_features"}
    cache = engine.decoder_cache(embedding)
    points = np.array([[[[20, 30], [0, 0]], [[50, 40], [0, 0]]]], np.float32)
    labels = np.array([[[1, -1], [1, -1]]], np.int32)
    low_res_logits, expected = engine.decode(embedding, cache, points, labels)
    inputs = {"images": images[:1], "points": points, "labels": labels}
    masks = ours.predict(inputs, verbose=0)["masks"][0, :, 1:]
    np.testing.assert_allclose(low_res_logits, masks, atol=1e-4)
    iou_predictions, tokens = engine.predict_iou(cache, points, labels)
    np.testing.assert_allclose(iou_predictions, expected, atol=1e-4)
    second = engine.predict_masks(cache, tokens, np.array([1], np.int32))
    np.testing.assert_allclose(second, masks[1:], atol=1e-4)


def test_every_format_and_back(ours, theirs, preset, images, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import SamHQModel

    tensors = {to_meta_name(name): x.contiguous() for name, x in theirs.state_dict().items()}
    save_file(tensors, tmp_path / "sam_hq.safetensors")
    convert_checkpoint(tmp_path / "sam_hq.safetensors", tmp_path / "keras", to="keras")
    prompts = {"points": np.array([[[[10.0, 20.0]]]], "float32"), "labels": np.ones((1, 1, 1))}
    outputs = [
        model.predict({"images": images[:1]} | prompts, verbose=0)["masks"]
        for model in (ours, load_segmenter(tmp_path / "keras"))
    ]
    np.testing.assert_array_equal(*outputs)
    convert_checkpoint(tmp_path / "keras", tmp_path / "hub", to="transformers")
    again, report = SamHQModel.from_pretrained(tmp_path / "hub", output_loading_info=True)
    assert not any(report.values()), report
    expected = theirs.state_dict()
    assert set(again.state_dict()) == set(expected)
    assert all(torch.equal(x, expected[name]) for name, x in again.state_dict().items())
    convert_checkpoint(preset, tmp_path / "again.safetensors", to="meta")
    back = load_file(tmp_path / "again.safetensors")
    assert set(back) == set(tensors)
    assert all(torch.equal(x, tensors[name]) for name, x in back.items())


def test_light_hq_sam(tmp_path):
    """TinyViT with the decoder of SAM-HQ, and an early feature that timm computed."""
    from safetensors.numpy import load_file, save_file

    tensors, recorded = mobile_sam_tensors(), timm_outputs()
    decoder = MOBILE_DECODER | {"early_feature_dim": 20}
    config = parse_arguments("SAMMaskDecoder", decoder, source="Light HQ-SAM")
    random = np.random.default_rng(1)
    for name, shape in expected_shapes("SAMMaskDecoder", config).items():
        if name.startswith("high_quality/"):
            values = random.normal(0.0, 0.3, torch_shape(name, shape)).astype("float32")
            tensors[meta_name(f"mask_decoder/{name}")] = values
    file = tmp_path / "light_hq.safetensors"
    save_file(tensors, file)
    model = load_segmenter(file, image_shape=IMAGE_SHAPE)
    embedding = model.backbone.image_encoder.predict(recorded["input"], verbose=0)
    scale = max(np.abs(recorded[name]).max() for name in ("output", "early"))
    for name, recorded_name in (("image_embeddings", "output"), ("early_features", "early")):
        expected = recorded[recorded_name]
        np.testing.assert_allclose(embedding[name], expected, atol=1e-4 * scale)
    outputs = model.predict(
        {"images": recorded["input"], "boxes": np.array([[[[5.0, 6.0], [50.0, 40.0]]]], "float32")},
        verbose=0,
    )
    assert outputs["masks"].shape == (1, 4, 16, 24)
    assert np.isfinite(outputs["masks"]).all()
    convert_checkpoint(file, tmp_path / "keras", to="keras")
    convert_checkpoint(tmp_path / "keras", tmp_path / "again.safetensors", to="meta")
    back = load_file(tmp_path / "again.safetensors")
    assert set(back) == set(tensors) - set(read_checkpoint(file).unused_tensors)
    assert all(np.array_equal(array, tensors[name]) for name, array in back.items())


def test_an_encoder_and_a_decoder_that_do_not_fit_are_an_error(ours):
    parts = ours.backbone
    decoder = SAMMaskDecoder(
        hidden_size=32, embedding_dim=32, intermediate_dim=40, iou_head_hidden_dim=16
    )
    with pytest.raises(ValueError, match="early_feature_dim must be 16"):
        SAMImageSegmenter(SAMBackbone(parts.image_encoder, parts.prompt_encoder, decoder))
    with pytest.raises(ValueError, match="requires early_feature_dim"):
        SAMMaskDecoder(hq_token_only=True)


def test_a_preset_of_the_hq_token_alone_does_not_convert_to_transformers(ours, tmp_path):
    ours.save_to_preset(tmp_path / "ours")
    config = (tmp_path / "ours" / "config.json").read_text()
    changed = config.replace('"hq_token_only": false', '"hq_token_only": true')
    assert changed != config
    (tmp_path / "ours" / "config.json").write_text(changed)
    with pytest.raises(CheckpointError, match="hq_token_only"):
        convert_checkpoint(tmp_path / "ours", tmp_path / "theirs", to="transformers")
