"""Exchange of presets with keras-hub."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np
import pytest
from keras_sam.checkpoints.preprocessing import NAMED

from keras_sam.checkpoints.builtin_presets import builtin_presets
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import Preprocessing
from tests.models.square_sam import (
    DECODER,
    ENCODER,
    IMAGES,
    PROMPT_ENCODER,
    RANDOM,
    assert_close,
    build_segmenter,
    predict,
    randomize,
)
from tests.precision import in_float32

pytestmark = pytest.mark.filterwarnings(r"default:::keras_hub(\..*)?")

SHIPPED = "sam_tiny_synthetic"


@pytest.fixture(scope="module")
def segmenter():
    return build_segmenter()


@pytest.mark.parametrize("preprocessing", ["sam", "medsam"])
def test_keras_hub_prepares_images_as_near_as_it_can(segmenter, tmp_path, preprocessing):
    """Equal where nothing is resized and the pixels go from 0 to 255."""
    model = SAMImageSegmenter(segmenter.backbone, preprocessor=preprocessing)
    model.save_to_preset(tmp_path / "task")
    model.preprocessing = "sam"  # the backbone is shared
    loaded = keras_hub.models.ImageSegmenter.from_preset(str(tmp_path / "task"))
    image = RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image[0, :2] = [[0, 0, 0], [255, 255, 255]]
    frame = ImageTransform((64, 64), (64, 64), Preprocessing(**NAMED[preprocessing]))
    found = keras.ops.convert_to_numpy(loaded.preprocessor.image_converter(image))
    np.testing.assert_allclose(found, frame.apply_image(image), atol=1e-5)


def test_keras_hub_loads_ours(segmenter, tmp_path):
    segmenter.save_to_preset(tmp_path / "task")
    for cls in (keras_hub.models.ImageSegmenter, keras_hub.models.SAMImageSegmenter):
        loaded = cls.from_preset(str(tmp_path / "task"))
        loaded.preprocessor = None
        assert_close(predict(loaded), predict(segmenter))
    encoder = segmenter.backbone.image_encoder
    encoder.save_to_preset(tmp_path / "encoder")
    loaded = keras_hub.models.ViTDetBackbone.from_preset(str(tmp_path / "encoder"))
    with in_float32():
        found = loaded.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(found, encoder.predict(IMAGES, verbose=0), atol=1e-4)


def test_keras_hub_loads_the_shipped_one():
    """Its weights are stored in 16 bits, and computed with in float32 on both sides."""
    ours = SAMImageSegmenter.from_preset(SHIPPED)
    theirs = keras_hub.models.ImageSegmenter.from_preset(builtin_presets()[SHIPPED].handle)
    theirs.preprocessor = None
    assert ours.compute_dtype == theirs.backbone.compute_dtype == "float32"
    inputs = {
        "images": RANDOM.random((1, 256, 256, 3)).astype("float32"),
        "points": np.array([[[100.0, 120.0], [0.0, 0.0]]], "float32"),
        "labels": np.array([[1, -1]], "int32"),
        "boxes": np.zeros((1, 0, 2, 2), "float32"),  # theirs wants each input
        "masks": np.zeros((1, 0, 128, 128, 1), "float32"),
    }
    assert_close(predict(ours, inputs), predict(theirs, inputs))


def test_we_load_those_of_keras_hub(tmp_path):
    models, layers = keras_hub.models, keras_hub.layers
    backbone = models.SAMBackbone(
        image_encoder=models.ViTDetBackbone(**ENCODER),
        prompt_encoder=layers.SAMPromptEncoder(**PROMPT_ENCODER),
        mask_decoder=layers.SAMMaskDecoder(**DECODER),
    )
    theirs = randomize(models.SAMImageSegmenter(backbone=backbone))
    theirs.save_to_preset(str(tmp_path / "task"))
    assert_close(predict(SAMImageSegmenter.from_preset(tmp_path / "task")), predict(theirs))
