"""SAM-HQ: each format gives the numbers of transformers' `SamHQModel`, and goes back."""

import numpy as np
import pytest
from keras_sam.checkpoints.architectures.tiny_vit_names import unused_tensors

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.checkpoints.keras_hub.config import parse_arguments
from keras_sam.checkpoints.meta.tensor_names import meta_name
from keras_sam.checkpoints.torch_layout import torch_shape
from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.predictor import SAMPredictor
from tests.checkpoints.meta_names import to_meta_name
from tests.checkpoints.mobile_sam import DECODER as MOBILE_DECODER
from tests.checkpoints.mobile_sam import IMAGE_SHAPE, mobile_sam_tensors, timm_outputs
from tests.models.transformers_sam import DECODER, PROMPTS, VISION, randomized

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
    model = randomized(SamHQModel(config))
    model.mask_decoder.transformer.register_forward_hook(hand_on_image_tokens, with_kwargs=True)
    return model


def hand_on_image_tokens(module, args, inputs, outputs):
    """Mends transformers 5.23, which upscales the embedding that its decoder was given.

    The code of SAM-HQ's authors, as SAM's, upscales what the two-way transformer made of it. It
    is written over the embedding, with its sides swapped, as the lines that follow swap them back.
    """
    embedding = inputs["image_embeddings"]  # (B * P, D, G, G)
    tokens = outputs[1][:, 0].transpose(1, 2)  # (B * P, D, T)
    embedding.copy_(tokens.reshape(embedding.shape).transpose(2, 3))


@pytest.fixture(scope="module")
def directory(theirs, tmp_path_factory):
    place = tmp_path_factory.mktemp("sam_hq") / "theirs"
    theirs.save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def ours(directory):
    return SAMImageSegmenter.from_preset(directory)


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


def assert_equal_outputs(ours, theirs, images, *, ours_prompts, theirs_prompts):
    found = ours.predict({"images": images} | ours_prompts, verbose=0)
    masks, scores = found["masks"], found["iou_pred"]
    # Theirs are sorted by score, ours in the order of the model's tokens.
    order = np.argsort(-scores[:, :, 1:], axis=-1)
    several = np.take_along_axis(masks[:, :, 1:], order[..., None, None], axis=2)
    ratings = np.take_along_axis(scores[:, :, 1:], order, axis=2)
    for multimask_output, ours_masks, ours_scores in (
        (True, several, ratings),
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


def test_a_mask_beside_a_box(ours, theirs, images):
    boxes = np.array([[[4.0, 6.0, 40.0, 50.0]]], "float32")
    mask = np.random.default_rng(2).normal(size=(1, 16, 16)).astype("float32")
    assert_equal_outputs(
        ours,
        theirs,
        images[:1],
        ours_prompts={"boxes": boxes.reshape(1, 1, 2, 2), "masks": mask[:, None, ..., None]},
        theirs_prompts={"input_boxes": boxes, "input_masks": mask[:, None]},
    )


def test_masks_of_the_hq_token_alone(directory, theirs, images):
    boxes = np.array([[[4.0, 6.0, 40.0, 50.0]]], "float32")
    segmenter = SAMImageSegmenter.from_preset(directory)
    segmenter.backbone.mask_decoder.hq_token_only = True
    inputs = {"images": images[:1], "boxes": boxes.reshape(1, 1, 2, 2)}
    found = segmenter.predict(inputs, verbose=0)
    masks, _ = expected_outputs(
        theirs, images[:1], multimask_output=False, input_boxes=boxes, hq_token_only=True
    )
    np.testing.assert_allclose(found["masks"], np.repeat(masks, 4, axis=2), atol=1e-4)


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


def test_every_format_and_back(ours, theirs, directory, images, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import SamHQModel

    tensors = {to_meta_name(name): x.contiguous() for name, x in theirs.state_dict().items()}
    save_file(tensors, tmp_path / "sam_hq.safetensors")
    convert_checkpoint(tmp_path / "sam_hq.safetensors", tmp_path / "keras", to="keras")
    prompts = {"points": np.array([[[[10.0, 20.0]]]], "float32"), "labels": np.ones((1, 1, 1))}
    outputs = [
        model.predict({"images": images[:1]} | prompts, verbose=0)["masks"]
        for model in (ours, SAMImageSegmenter.from_preset(tmp_path / "keras"))
    ]
    np.testing.assert_array_equal(*outputs)
    convert_checkpoint(tmp_path / "keras", tmp_path / "hub", to="transformers")
    again, report = SamHQModel.from_pretrained(tmp_path / "hub", output_loading_info=True)
    assert not any(report.values()), report
    expected = theirs.state_dict()
    assert set(again.state_dict()) == set(expected)
    assert all(torch.equal(x, expected[name]) for name, x in again.state_dict().items())
    convert_checkpoint(directory, tmp_path / "again.safetensors", to="meta")
    back = load_file(tmp_path / "again.safetensors")
    assert set(back) == set(tensors)
    assert all(torch.equal(x, tensors[name]) for name, x in back.items())


def test_light_hq_sam(tmp_path):
    """TinyViT with the decoder of SAM-HQ, whose early feature is the one that timm recorded."""
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
    model = SAMImageSegmenter.from_preset(file, image_shape=IMAGE_SHAPE)
    embedding = model.backbone.image_encoder.predict(recorded["input"], verbose=0)
    expected = np.concatenate([recorded["output"], recorded["early"]], axis=-1)
    np.testing.assert_allclose(embedding, expected, atol=1e-4 * np.abs(expected).max())
    outputs = model.predict(
        {"images": recorded["input"], "boxes": np.array([[[[5.0, 6.0], [50.0, 40.0]]]], "float32")},
        verbose=0,
    )
    assert outputs["masks"].shape == (1, 1, 4, 16, 24)
    assert np.isfinite(outputs["masks"]).all()
    convert_checkpoint(file, tmp_path / "keras", to="keras")
    convert_checkpoint(tmp_path / "keras", tmp_path / "again.safetensors", to="meta")
    back = load_file(tmp_path / "again.safetensors")
    assert set(back) == set(tensors) - unused_tensors(tensors)
    assert all(np.array_equal(array, tensors[name]) for name, array in back.items())


def test_a_decoder_and_an_encoder_that_differ(ours):
    parts = ours.backbone
    decoder = SAMMaskDecoder(
        hidden_size=32, embedding_dim=32, intermediate_dim=40, iou_head_hidden_dim=16
    )
    with pytest.raises(ValueError, match="early_feature_dim must be 16"):
        SAMBackbone(parts.image_encoder, parts.prompt_encoder, decoder)
    with pytest.raises(ValueError, match="needs early_feature_dim"):
        SAMMaskDecoder(hq_token_only=True)


def test_transformers_takes_the_token_alone_when_called(ours, tmp_path):
    ours.save_to_preset(tmp_path / "ours")
    config = (tmp_path / "ours" / "config.json").read_text()
    changed = config.replace('"hq_token_only": false', '"hq_token_only": true')
    assert changed != config
    (tmp_path / "ours" / "config.json").write_text(changed)
    with pytest.raises(CheckpointError, match="hq_token_only"):
        convert_checkpoint(tmp_path / "ours", tmp_path / "theirs", to="transformers")
