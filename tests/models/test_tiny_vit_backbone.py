"""The image encoder of MobileSAM: parity with timm, presets, folding, precision, training."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from safetensors.numpy import save_file

from keras_sam.checkpoints.fold_batch_norms import EPSILON
from keras_sam.layers.conv_norm import BATCH_NORM_EPSILON
from keras_sam.losses.segmentation_loss import LossResult, SegmentationLoss
from keras_sam.models.backbone import Backbone
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.set_trainable import set_trainable
from keras_sam.models.tiny_vit_backbone import TinyViTBackbone
from keras_sam.models.weight_names import weights_by_name
from tests.checkpoints.mobile_sam import ENCODER, IMAGE_SHAPE, mobile_sam_tensors, timm_outputs

BOX = {"boxes": np.array([[[[5.0, 6.0], [50.0, 40.0]]]], "float32")}
CAN_LOWER_PRECISION = keras.backend.backend() != "openvino"


@pytest.fixture(scope="module")
def recorded():
    return timm_outputs()


@pytest.fixture(scope="module")
def mobile_sam(tmp_path_factory):
    file = tmp_path_factory.mktemp("mobile_sam") / "mobile_sam.safetensors"
    save_file(mobile_sam_tensors(), file)
    return file


@pytest.fixture(scope="module")
def segmenter(mobile_sam):
    return load_segmenter(mobile_sam, image_shape=IMAGE_SHAPE)


@pytest.fixture(scope="module")
def encoder(segmenter):
    return segmenter.backbone.image_encoder


@pytest.fixture(scope="module")
def preset(encoder, tmp_path_factory):
    """The preset of the image encoder alone."""
    directory = tmp_path_factory.mktemp("presets") / "encoder"
    encoder.save_to_preset(directory)
    return directory


def load_segmenter(preset, **kwargs) -> SAMImageSegmenter:
    """Load a model of prepared inputs."""
    return SAMImageSegmenter.from_preset(preset, preprocessor=None, **kwargs)


def embed(encoder, images) -> np.ndarray:
    return np.asarray(encoder.predict(images, verbose=0), "float32")


def segment(segmenter, images) -> np.ndarray:
    return segmenter.predict({"images": images} | BOX, verbose=0)["masks"]


def assert_close(actual, expected, tolerance=1e-4):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() < tolerance * np.abs(expected).max()


def test_parity_with_timm(encoder, recorded):
    assert type(encoder) is TinyViTBackbone
    assert_close(embed(encoder, recorded["input"]), recorded["output"])


def test_a_pytorch_file_has_the_same_weights(mobile_sam, encoder, tmp_path):
    import torch

    tensors = {name: torch.tensor(array) for name, array in mobile_sam_tensors().items()}
    torch.save(tensors, tmp_path / "mobile_sam.pt")
    loaded = SAMBackbone.from_preset(tmp_path / "mobile_sam.pt", image_shape=IMAGE_SHAPE)
    assert loaded.image_encoder.hidden_sizes == ENCODER["hidden_sizes"]
    expected = weights_by_name(encoder)
    for name, weight in weights_by_name(loaded.image_encoder).items():
        np.testing.assert_array_equal(
            ops.convert_to_numpy(weight), ops.convert_to_numpy(expected[name])
        )


def test_the_early_feature_equals_that_of_timm(preset, encoder, recorded):
    early = TinyViTBackbone.from_preset(preset, output_early_feature=True)
    assert (early.early_feature_dim, encoder.early_feature_dim) == (20, 0)
    outputs = early.predict(recorded["input"], verbose=0)
    assert_close(outputs["image_embeddings"], recorded["output"])
    assert_close(outputs["early_features"], recorded["early"])


def test_saved_presets_are_loaded_exactly(segmenter, encoder, preset, recorded, tmp_path):
    images = recorded["input"]
    segmenter.save_to_preset(tmp_path / "task")
    again = load_segmenter(tmp_path / "task")
    np.testing.assert_array_equal(segment(again, images), segment(segmenter, images))
    for cls in (TinyViTBackbone, Backbone):
        loaded = cls.from_preset(preset)
        assert type(loaded) is TinyViTBackbone
        np.testing.assert_array_equal(embed(loaded, images), embed(encoder, images))


def test_folding_changes_no_output(mobile_sam, segmenter, recorded):
    """With Keras' batch norm, masks would differ on OpenVINO, but not the embeddings."""
    folded = load_segmenter(mobile_sam, image_shape=IMAGE_SHAPE, fold_batch_norms=True)
    kinds = {type(layer) for layer in folded._flatten_layers()}
    assert keras.layers.BatchNormalization not in kinds
    assert folded.count_params() < segmenter.count_params()
    images = recorded["input"]
    assert_close(segment(folded, images), segment(segmenter, images), 1e-5)
    embeddings = [embed(model.backbone.image_encoder, images) for model in (folded, segmenter)]
    assert_close(*embeddings, 1e-5)
    assert EPSILON == BATCH_NORM_EPSILON


def test_folding_a_model_without_batch_norms_is_an_error():
    with pytest.raises(ValueError, match="no batch norms to fold"):
        Backbone.from_preset("sam_tiny_synthetic", fold_batch_norms=True)


@pytest.mark.parametrize(
    "dtype",
    ["bfloat16", "float16", "mixed_bfloat16", "mixed_float16"] if CAN_LOWER_PRECISION else [],
)
def test_every_precision_agrees_with_float32(mobile_sam, recorded, dtype):
    low = SAMBackbone.from_preset(mobile_sam, image_shape=IMAGE_SHAPE, dtype=dtype).image_encoder
    assert {layer.dtype_policy.name for layer in low._flatten_layers()} == {dtype}
    tolerance = 0.08 if "bfloat16" in dtype else 0.02
    assert_close(embed(low, recorded["input"]), recorded["output"], tolerance)


@pytest.mark.parametrize("image_shape", [(16, 48, 3), (96, 64, 3)])
def test_any_image_shape_has_the_same_weights(segmenter, image_shape):
    model = segmenter.with_image_shape(image_shape)
    rows, columns = image_shape[0] // 16, image_shape[1] // 16
    assert model.backbone.embedding_size == (rows, columns)
    embedding = model.encode_image(keras.KerasTensor((None, *image_shape)))
    assert embedding["image_embeddings"].shape == (None, rows, columns, 32)
    expected = weights_by_name(segmenter.backbone.image_encoder)
    for name, weight in weights_by_name(model.backbone.image_encoder).items():
        assert weight.shape == expected[name].shape


def test_a_config_makes_the_same_model(encoder):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(encoder)))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == encoder.get_config()
    assert list(weights_by_name(again)) == list(weights_by_name(encoder))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_shape": (64, 72, 3)}, "multiples of patch_size 16"),
        ({"hidden_sizes": (8, 16, 20)}, "hidden_sizes must be 4 positive numbers for the stages"),
        ({"num_heads": (1, 2, 5, 3)}, "num_heads must be 3 positive numbers for the last three"),
        ({"window_sizes": (3, 0, 3)}, "window_sizes must be 3 positive"),
        ({"num_heads": (3, 5, 3)}, "got 3 heads for 16"),
        ({"hidden_sizes": (7, 16, 20, 24)}, "must be even"),
    ],
)
def test_sizes_that_do_not_fit_are_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        TinyViTBackbone(**ENCODER | settings)


def test_images_of_another_size_are_an_error(encoder):
    with pytest.raises(ValueError, match="must have shape"):
        encoder(np.zeros((1, 64, 64, 3), "float32"))


class EmbeddingLoss(SegmentationLoss):
    """Mean squared error of the image embeddings of a segmenter."""

    def compute(self, segmenter, x, y, y_pred, *, training=True):
        loss = ops.mean(ops.square(y_pred["image_embeddings"] - y))
        return LossResult(loss)


@pytest.mark.training
def test_training_changes_every_weight(mobile_sam):
    """The weights include the batch norms' statistics, which change only in training mode."""
    segmenter = load_segmenter(mobile_sam, image_shape=IMAGE_SHAPE)
    for part in (segmenter.backbone.prompt_encoder, segmenter.backbone.mask_decoder):
        set_trainable(part, False)
    weights = weights_by_name(segmenter.backbone.image_encoder)
    before = {name: ops.convert_to_numpy(weight).copy() for name, weight in weights.items()}
    random = np.random.default_rng(0)
    images = random.random((2, *IMAGE_SHAPE), dtype="float32")
    targets = random.normal(size=(2, 4, 6, 32)).astype("float32")
    segmenter.compile(keras.optimizers.SGD(1.0), loss=EmbeddingLoss())
    history = segmenter.fit({"images": images}, targets, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    unchanged = [
        name
        for name, weight in weights.items()
        if np.array_equal(ops.convert_to_numpy(weight), before[name])
    ]
    assert unchanged == []
