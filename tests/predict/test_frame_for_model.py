"""A model like MedSAM: predictor and evaluation against the pipeline made by hand."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.coco import read_coco
from keras_sam.evaluate.evaluate import evaluate
from keras_sam.masks.coco_rle import mask_to_coco_rle
from keras_sam.masks.measures import mask_to_box
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.frame_for_model import transform_for_model
from keras_sam.predict.predictor import SAMPredictor
from keras_sam.transforms.preprocessing import MEDSAM, SAM

BOX = np.array([5.0, 6.0, 60.0, 40.0])


@pytest.fixture(scope="module")
def presets(tiny_segmenter, tmp_path_factory):
    """The same weights with each preprocessing, of a model that turns on what it sees."""
    directory = tmp_path_factory.mktemp("presets")
    model = tiny_segmenter(0)
    random = np.random.default_rng(5)
    for weight in model.weights:
        values = random.normal(0, 0.5, weight.shape).astype("float32")
        weight.assign(values + 1 if "gamma" in weight.name else values)
    for name in ("sam", "medsam"):
        model.preprocessing = name
        model.save_to_preset(directory / name)
    return directory


@pytest.fixture(scope="module")
def medsam(presets):
    return SAMImageSegmenter.from_preset(presets / "medsam")


@pytest.fixture(scope="module")
def sam(presets):
    return SAMImageSegmenter.from_preset(presets / "sam")


@pytest.fixture(scope="module")
def dim(image):
    """A picture whose pixels are far from 0 and 255."""
    return image // 3 + 50


def by_hand(model, image, box):
    """MedSAM's steps, with the network alone; probabilities `(H, W)` and low-res logits."""
    import torch

    height, width = image.shape[:2]
    resized = np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BICUBIC))
    seen = (resized - resized.min()) / (resized.max() - resized.min())
    images = seen * [0.229, 0.224, 0.225] + [0.485, 0.456, 0.406]  # the network normalizes
    box = box / [width, height, width, height] * 64
    outputs = model(
        {
            "images": images[None].astype("float32"),
            "points": box.reshape(1, 1, 2, 2).astype("float32"),
            "labels": np.array([[[2, 3]]], "int32"),
        }
    )
    low_res = keras.ops.convert_to_numpy(outputs["masks"])[0, 0, :1]
    probabilities = torch.sigmoid(torch.tensor(low_res))[None]
    upscaled = torch.nn.functional.interpolate(
        probabilities, (height, width), mode="bilinear", align_corners=False
    )
    return upscaled.numpy()[0, 0], low_res


def test_the_predictor_takes_medsams_steps(medsam, dim):
    predictor = SAMPredictor(medsam)
    predictor.set_image(dim)
    assert predictor.input_size == (64, 64)
    masks, _, low_res = predictor.predict(box=BOX, multimask_output=False)
    expected, expected_low_res = by_hand(medsam, dim, BOX)
    np.testing.assert_allclose(low_res, expected_low_res, rtol=1e-3, atol=1e-3)
    assert 0.1 < (expected > 0.5).mean() < 0.9
    clear = np.abs(expected - 0.5) > 1e-3
    np.testing.assert_array_equal(masks[0][clear], (expected > 0.5)[clear])
    logits, _, _ = predictor.predict(box=BOX, multimask_output=False, return_logits=True)
    np.testing.assert_array_equal(masks, logits > 0)


def test_the_preprocessing_makes_a_difference(medsam, sam, dim):
    found = []
    for model in (medsam, sam):
        predictor = SAMPredictor(model)
        predictor.set_image(dim)
        found.append(predictor.predict(box=BOX, multimask_output=False)[2])
    assert np.abs(found[0] - found[1]).max() > 1


def test_frames(medsam, sam):
    assert transform_for_model(medsam, (45, 80)).preprocessing == MEDSAM
    frame = transform_for_model(sam, (45, 80))
    assert (frame.preprocessing, frame.image_size, frame.input_size) == (SAM, (64, 64), (36, 64))


def test_the_evaluation_takes_medsams_steps(medsam, dim, tmp_path):
    mask = np.zeros(dim.shape[:2], bool)
    mask[5:30, 10:50] = True
    Image.fromarray(dim).save(tmp_path / "a.png")
    content = {
        "images": [{"id": 7, "file_name": "a.png", "height": 45, "width": 80}],
        "annotations": [{"id": 1, "image_id": 7, "segmentation": mask_to_coco_rle(mask)}],
    }
    (tmp_path / "notes.json").write_text(json.dumps(content))
    result = evaluate(medsam, read_coco(tmp_path / "notes.json"), tmp_path)
    expected = by_hand(medsam, dim, mask_to_box(mask))[0] > 0.5
    iou = (expected & mask).sum() / (expected | mask).sum()
    assert result.box == pytest.approx(iou, abs=5e-3)


def test_an_embedding_knows_how_its_image_was_prepared(medsam, sam, dim):
    predictor = SAMPredictor(medsam)
    predictor.set_image(dim)
    expected = predictor.predict(box=BOX)[2]
    embedding = predictor.get_image_embedding()
    assert embedding.preprocessing == MEDSAM
    predictor.set_image(embedding)
    np.testing.assert_allclose(predictor.predict(box=BOX)[2], expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"prepared with .*min_max.* this model has .*imagenet"):
        SAMPredictor(sam).set_image(embedding)
