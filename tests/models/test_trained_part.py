"""Which weights `fit` trains."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.losses import InteractiveSegmentationLoss
from keras_sam.losses.segmentation_loss import LossResult, SegmentationLoss
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.set_trainable import set_trainable
from keras_sam.models.weight_names import weights_by_name
from tests.models.conftest import without_xla
from tests.saved_activations import bytes_saved_by_torch


@pytest.fixture
def segmenter(make_backbone):
    return SAMImageSegmenter(make_backbone())


def trained_names(segmenter) -> set[str]:
    trained = {id(weight) for weight in segmenter.trainable_variables}
    weights = weights_by_name(segmenter.backbone)
    return {name for name, weight in weights.items() if id(weight) in trained}


def test_each_part_has_its_weights(segmenter):
    everything = trained_names(segmenter)
    encoder = {name for name in everything if name.startswith("image_encoder/")}
    segmenter.set_trained_part("decoder")
    assert trained_names(segmenter) == everything - encoder
    segmenter.set_trained_part("all")
    assert trained_names(segmenter) == everything
    segmenter.set_trained_part("lora", lora_rank=2)
    found = trained_names(segmenter)
    assert everything - encoder < found
    adapters = found - everything
    assert {name.split("/")[-1] for name in adapters} == {"lora_kernel_a", "lora_kernel_b"}
    assert all(2 in weights_by_name(segmenter.backbone)[name].shape for name in adapters)
    assert not found & encoder


@pytest.mark.training
@pytest.mark.parametrize("part", ["decoder", "lora", "all"])
def test_fit_changes_the_weights_of_the_part(segmenter, inputs, part):
    segmenter.set_trained_part(part)
    weights = weights_by_name(segmenter.backbone)
    before = {name: ops.convert_to_numpy(weight) for name, weight in weights.items()}
    loss = InteractiveSegmentationLoss(correction_rounds=1)  # one round trains every weight
    segmenter.compile(keras.optimizers.SGD(1.0), loss=loss, run_eagerly=True)
    masks = np.zeros((2, 2, 32, 48), "uint8")
    masks[:, 0, 4:20, 8:30] = masks[:, 1, 10:30, 2:20] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Keras warns of weights without gradients
        segmenter.fit({"images": inputs["images"]}, {"masks": masks}, verbose=0)
    changed = {
        name
        for name, weight in weights.items()
        if not np.array_equal(ops.convert_to_numpy(weight), before[name])
    }
    assert changed <= trained_names(segmenter)
    is_in_encoder = [name.startswith("image_encoder/") for name in changed]
    assert not all(is_in_encoder)
    assert any(is_in_encoder) == (part != "decoder")


def test_an_unknown_part_raises(segmenter):
    with pytest.raises(ValueError, match="part must be one of decoder, lora, all, got 'head'"):
        segmenter.set_trained_part("head")


class MeanSquare(SegmentationLoss):
    """Mean square of the image embedding, so that only the image encoder is trained."""

    def compute(self, segmenter, x, y, y_pred, *, training=True):
        return LossResult(ops.mean(ops.square(y_pred["image_embeddings"])))


def train_encoder(make_backbone, *, remat: bool) -> tuple[float, list[np.ndarray]]:
    """Loss of one step of gradient descent, and the weights after it."""
    segmenter = without_xla(SAMImageSegmenter(make_backbone()))
    segmenter.set_trained_part("all", remat=remat)
    for part in (segmenter.backbone.prompt_encoder, segmenter.backbone.mask_decoder):
        set_trainable(part, False)
    segmenter.compile(keras.optimizers.SGD(0.01), loss=MeanSquare())
    images = np.random.default_rng(0).random((2, 32, 48, 3), dtype="float32")
    logs = segmenter.train_on_batch({"images": images}, images, return_dict=True)
    return float(logs["loss"]), [ops.convert_to_numpy(weight) for weight in segmenter.weights]


@pytest.mark.training
def test_remat_changes_neither_loss_nor_gradients(make_backbone):
    loss, weights = train_encoder(make_backbone, remat=True)
    expected_loss, expected = train_encoder(make_backbone, remat=False)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    for weight, plain in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts tensors saved by PyTorch")
@pytest.mark.parametrize("training", [True, False])
def test_remat_keeps_fewer_activations_in_training(segmenter, inputs, training):
    def saved_bytes(*, remat: bool) -> int:
        segmenter.set_trained_part("all", remat=remat)
        images = ops.convert_to_tensor(inputs["images"])
        return bytes_saved_by_torch(lambda: segmenter.encode_image(images, training=training))

    plain, rematerialized = saved_bytes(remat=False), saved_bytes(remat=True)
    assert rematerialized < 0.5 * plain if training else rematerialized == plain


def test_remat_is_not_saved_and_can_be_turned_off(segmenter, tmp_path):
    names = set(weights_by_name(segmenter.backbone))
    segmenter.set_trained_part("all", remat=True)
    assert segmenter.backbone.image_encoder.remat
    segmenter.save_to_preset(tmp_path / "preset")
    loaded = SAMImageSegmenter.from_preset(tmp_path / "preset")
    assert not loaded.backbone.image_encoder.remat
    assert set(weights_by_name(loaded.backbone)) == names
    segmenter.set_trained_part("decoder", remat=True)  # a frozen image encoder keeps nothing
    assert not segmenter.backbone.image_encoder.remat


def test_remat_of_batch_norms_raises(segmenter):
    segmenter.backbone.image_encoder.use_batch_norm = True
    with pytest.raises(ValueError, match="remat does not work with batch norms"):
        segmenter.set_trained_part("all", remat=True)


def test_remat_of_another_image_encoder_raises(segmenter):
    del segmenter.backbone.image_encoder.remat
    with pytest.raises(ValueError, match="remat needs a ViTDetBackbone or a TinyViTBackbone"):
        segmenter.set_trained_part("lora", remat=True)
