"""Exchange of presets with keras-hub."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np
import pytest

from keras_sam.checkpoints.builtin_presets import builtin_presets
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.inference_config import NAMED_CONFIGS
from tests.models.square_sam import (
    DECODER,
    ENCODER,
    IMAGES,
    PROMPT_ENCODER,
    RANDOM,
    assert_close,
    build_segmenter,
    in_float32,
    predict,
    predict_in_float32,
    set_random_weights,
)

pytestmark = [
    pytest.mark.filterwarnings(r"default:::keras_hub(\..*)?"),
    # Keras on OpenVINO sorts the inputs of `predict`, and finds them by name all the same.
    pytest.mark.filterwarnings("default:The structure of `inputs` doesn't match:UserWarning"),
]

SHIPPED = "sam_tiny_synthetic"


@pytest.fixture(scope="module")
def segmenter():
    return build_segmenter()


@pytest.mark.parametrize("name", ["sam", "medsam"])
def test_keras_hub_prepares_images_as_closely_as_it_can(segmenter, tmp_path, name):
    """Images are equal if nothing is resized and the pixels range from 0 to 255."""
    segmenter.inference_config = name
    segmenter.save_to_preset(tmp_path / "task")
    segmenter.inference_config = "sam"
    loaded = keras_hub.models.ImageSegmenter.from_preset(str(tmp_path / "task"))
    image = RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image[0, :2] = [[0, 0, 0], [255, 255, 255]]
    transform = ImageTransform((64, 64), (64, 64), NAMED_CONFIGS[name].preprocessing)
    # As floats: on OpenVINO, Keras' bicubic resizing of uint8 pixels is off by one.
    pixels = loaded.preprocessor.image_converter(image.astype("float32"))
    pixels = keras.ops.convert_to_numpy(pixels)
    np.testing.assert_allclose(pixels, transform.apply_image(image), atol=1e-5)


@pytest.mark.parametrize("class_name", ["ImageSegmenter", "SAMImageSegmenter"])
def test_keras_hub_loads_our_segmenter(segmenter, tmp_path, class_name):
    segmenter.save_to_preset(tmp_path / "task")
    loaded = getattr(keras_hub.models, class_name).from_preset(str(tmp_path / "task"))
    loaded.preprocessor = None
    assert_close(predict_in_float32(loaded), predict(segmenter))


def test_keras_hub_loads_our_image_encoder(segmenter, tmp_path):
    encoder = segmenter.backbone.image_encoder
    encoder.save_to_preset(tmp_path / "encoder")
    loaded = keras_hub.models.ViTDetBackbone.from_preset(str(tmp_path / "encoder"))
    with in_float32():
        embeddings = loaded.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(embeddings, encoder.predict(IMAGES, verbose=0), atol=1e-4)


def test_keras_hub_loads_the_shipped_preset():
    """Its weights are stored in 16 bits, and both packages compute in float32."""
    ours = SAMImageSegmenter.from_preset(SHIPPED, preprocessor=None)
    theirs = keras_hub.models.ImageSegmenter.from_preset(builtin_presets()[SHIPPED].handle)
    theirs.preprocessor = None
    assert ours.compute_dtype == theirs.backbone.compute_dtype == "float32"
    inputs = {
        "images": RANDOM.random((1, 256, 256, 3)).astype("float32"),
        "points": np.array([[[100.0, 120.0], [0.0, 0.0]]], "float32"),
        "labels": np.array([[1, -1]], "int32"),
        "boxes": np.zeros((1, 0, 2, 2), "float32"),  # keras-hub needs each input
        "masks": np.zeros((1, 0, 128, 128, 1), "float32"),
    }
    assert_close(predict(ours, inputs), predict_in_float32(theirs, inputs))


def test_we_load_a_segmenter_of_keras_hub(tmp_path):
    models, layers = keras_hub.models, keras_hub.layers
    backbone = models.SAMBackbone(
        image_encoder=models.ViTDetBackbone(**ENCODER),
        prompt_encoder=layers.SAMPromptEncoder(**PROMPT_ENCODER),
        mask_decoder=layers.SAMMaskDecoder(**DECODER),
    )
    theirs = set_random_weights(models.SAMImageSegmenter(backbone=backbone))
    theirs.save_to_preset(str(tmp_path / "task"))
    ours = SAMImageSegmenter.from_preset(tmp_path / "task", preprocessor=None)
    assert_close(predict(ours), predict_in_float32(theirs))
