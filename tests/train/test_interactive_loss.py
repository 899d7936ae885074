"""`fit` with simulated prompts."""

import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.vit_det_backbone import ViTDetBackbone
from keras_sam.train.interactive_loss import InteractiveSegmentationLoss, masks_to_low_res

pytestmark = pytest.mark.training


def tiny_model() -> SAMImageSegmenter:
    encoder = ViTDetBackbone(
        hidden_size=16,
        num_layers=2,
        intermediate_dim=32,
        num_heads=2,
        global_attention_layer_indices=[1],
        image_shape=(32, 32, 3),
        patch_size=8,
        num_output_channels=16,
        window_size=3,
    )
    prompts = SAMPromptEncoder(
        hidden_size=16, image_embedding_size=(4, 4), input_image_size=(32, 32)
    )
    decoder = SAMMaskDecoder(
        hidden_size=16, intermediate_dim=16, num_heads=2, embedding_dim=16, iou_head_hidden_dim=16
    )
    return SAMImageSegmenter(SAMBackbone(encoder, prompts, decoder))


@pytest.fixture
def batch() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Two images of a bright square each; one mask of the second is a gap."""
    images = np.zeros((2, 32, 32, 3), "float32")
    masks = np.zeros((2, 2, 16, 16), "uint8")
    for index, corner in enumerate((4, 12)):
        images[index, corner : corner + 16, corner : corner + 16] = 1
        masks[index, :, corner // 2 : corner // 2 + 8, corner // 2 : corner // 2 + 8] = 1
    masks[1, 1] = 0
    return {"images": images}, {"masks": masks}


def test_fit_lowers_the_loss(batch):
    model = tiny_model()
    loss = InteractiveSegmentationLoss(
        rounds=1, focal_gamma=0.0, focal_alpha=None, pixel_weight=1.0, seed=0
    )
    model.compile(keras.optimizers.Adam(5e-3), loss=loss)
    history = model.fit(*batch, batch_size=2, epochs=25, verbose=0).history
    assert np.mean(history["loss"][-3:]) < 0.8 * np.mean(history["loss"][:3])
    assert set(history) == {"loss", "top_iou", "best_iou", "single_iou"}
    assert 0 <= history["top_iou"][-1] <= history["best_iou"][-1] <= 1


def test_every_weight_learns(batch):
    model = tiny_model()
    before = [ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    model.compile(keras.optimizers.SGD(1e-1), loss=InteractiveSegmentationLoss(rounds=1, seed=0))
    for _ in range(3):
        model.train_on_batch(*batch)
    # Corner embeddings and the like are reached with the prompts that were drawn.
    unmoved = [
        weight.path
        for weight, old in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(ops.convert_to_numpy(weight), old)
    ]
    # A key's bias cancels in the softmax, so its gradient is rounding; a click is never
    # background before a correction asks for it; of the masks 1 to 3 only the best learns.
    allowed = re.compile(r"key/bias$|qkv/bias$|embedding$|hypernetworks_[123]/")
    assert not [path for path in unmoved if not allowed.search(path)]


def test_a_gap_takes_no_part(batch):
    x, y = batch
    filled = {"masks": y["masks"].copy()}
    model = tiny_model()
    losses = []
    for targets in (y, filled):
        loss = InteractiveSegmentationLoss(rounds=0, seed=5)
        model.compile("sgd", loss=loss)
        losses.append(model.evaluate(x, targets, batch_size=2, verbose=0, return_dict=True))
    assert losses[0]["loss"] == pytest.approx(losses[1]["loss"], rel=1e-5)
    assert np.isfinite(losses[0]["loss"])


def test_targets_of_the_image_are_reduced_to_the_low_res_grid():
    masks = np.zeros((1, 1, 32, 32), "float32")
    masks[0, 0, :16, :17] = 1
    low = ops.convert_to_numpy(masks_to_low_res({"masks": masks}, (16, 16)))
    assert low.shape == (1, 1, 16, 16)
    assert low[0, 0, :8, :9].min() == 1
    assert low.sum() == 8 * 9


@pytest.mark.parametrize("shape", [(1, 1, 15, 16), (1, 16, 16), (1, 1, 32, 16)])
def test_targets_of_another_size_are_refused(shape):
    with pytest.raises(ValueError, match="low-res grid"):
        masks_to_low_res({"masks": np.zeros(shape)}, (16, 16))


def test_compile_refuses_a_plain_loss():
    with pytest.raises(TypeError, match="InteractiveSegmentationLoss"):
        tiny_model().compile("sgd", loss="mse")


def test_fit_without_a_loss_says_what_to_do(batch):
    model = tiny_model()
    model.compile("sgd")
    with pytest.raises(ValueError, match="InteractiveSegmentationLoss"):
        model.fit(*batch, verbose=0)


def test_a_share_of_the_prompts_is_corrected(batch, monkeypatch):
    model, asked = tiny_model(), []
    decode = model.decode

    def count(embeddings, **prompts):
        asked.append((prompts["points"].shape[1:3], prompts["masks"] is not None))
        return decode(embeddings, **prompts)

    monkeypatch.setattr(model, "decode", count)
    for share, corrected in ((1.0, 2), (0.5, 1), (0.01, 1)):
        asked.clear()
        loss = InteractiveSegmentationLoss(rounds=2, correction_share=share, seed=0)
        embeddings = {"image_embeddings": model.encode_image(batch[0]["images"])}
        value = loss.compute(model, batch[0], batch[1], embeddings)
        assert np.isfinite(float(ops.convert_to_numpy(value)))
        assert asked == [((2, 2), False), ((corrected, 3), True), ((corrected, 4), True)]


@pytest.mark.parametrize("share", [0, 1.5])
def test_a_wrong_share_is_refused(share):
    with pytest.raises(ValueError, match="correction_share"):
        InteractiveSegmentationLoss(correction_share=share)


def test_the_mask_rated_best_learns_by_its_weight(batch):
    """A model that always answers the same, against its masks' losses in NumPy."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 2, 4, 16, 16)).astype("float32")
    ratings = random.uniform(size=(2, 2, 4)).astype("float32")
    answer = {"masks": ops.convert_to_tensor(logits), "iou_pred": ops.convert_to_tensor(ratings)}
    segmenter = SimpleNamespace(
        backbone=SimpleNamespace(low_res_size=(16, 16), image_shape=(32, 32, 3)),
        encode_image=lambda images: images,
        decode=lambda *args, **kwargs: answer,
    )

    def loss(top_iou_weight):
        layer = InteractiveSegmentationLoss(
            rounds=0, focal_gamma=0.0, focal_alpha=None, top_iou_weight=top_iou_weight, seed=0
        )
        return float(layer.compute(segmenter, *batch, None))

    expected = []
    for index in ((0, 0), (0, 1), (1, 0)):  # the other is a gap
        mask = batch[1]["masks"][index].astype("float32")
        rated = logits[index][1 + ratings[index][1:].argmax()]
        probability = 1 / (1 + np.exp(-rated))
        pixels = -np.log(np.where(mask > 0, probability, 1 - probability)).mean()
        overlap = (2 * (probability * mask).sum() + 1) / (probability.sum() + mask.sum() + 1)
        expected.append(20 * pixels + 1 - overlap)
    assert loss(0.5) - loss(0.0) == pytest.approx(0.5 * np.mean(expected), rel=1e-3)
