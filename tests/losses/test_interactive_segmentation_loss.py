"""Training with simulated prompts and correction rounds."""

import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers import SAMMaskDecoder, SAMPromptEncoder
from keras_sam.losses import InteractiveSegmentationLoss
from keras_sam.models import SAMBackbone, SAMImageSegmenter, ViTDetBackbone
from tests.saved_activations import bytes_saved_by_torch

pytestmark = pytest.mark.training

CROSS_ENTROPY = {"focal_gamma": 0.0, "focal_alpha": None}


def tiny_segmenter(*, is_high_quality: bool = False) -> SAMImageSegmenter:
    """Images of 32 x 32 pixels, random weights."""
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
        output_early_feature=is_high_quality,
    )
    prompts = SAMPromptEncoder(
        hidden_size=16, image_embedding_size=(4, 4), input_image_size=(32, 32)
    )
    decoder = SAMMaskDecoder(
        hidden_size=16,
        intermediate_dim=16,
        num_heads=2,
        embedding_dim=16,
        iou_head_hidden_dim=16,
        early_feature_dim=16 if is_high_quality else 0,
    )
    return SAMImageSegmenter(SAMBackbone(encoder, prompts, decoder))


@pytest.fixture
def batch() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Two images of a bright square each; the second mask of the second image is padding."""
    images = np.zeros((2, 32, 32, 3), "float32")
    masks = np.zeros((2, 2, 16, 16), "uint8")
    for index, corner in enumerate((4, 12)):
        images[index, corner : corner + 16, corner : corner + 16] = 1
        masks[index, :, corner // 2 : corner // 2 + 8, corner // 2 : corner // 2 + 8] = 1
    masks[1, 1] = 0
    return {"images": images}, {"masks": masks}


@pytest.fixture
def fixed_outputs() -> tuple[np.ndarray, np.ndarray]:
    """Random logits and predicted IoU."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 2, 4, 16, 16)).astype("float32")
    return logits, random.uniform(size=(2, 2, 4)).astype("float32")


def fixed_segmenter(logits: np.ndarray, iou_pred: np.ndarray) -> SimpleNamespace:
    """Stands for a segmenter: it predicts the same masks for all prompts."""
    outputs = {"masks": ops.convert_to_tensor(logits), "iou_pred": ops.convert_to_tensor(iou_pred)}
    return SimpleNamespace(
        backbone=SimpleNamespace(low_res_size=(16, 16), image_shape=(32, 32, 3)),
        embedding_names=("image_embeddings",),
        encode_image=lambda images, training: {"image_embeddings": images},
        decode=lambda *args, **kwargs: outputs,
    )


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def test_fit_lowers_the_loss(batch):
    model = tiny_segmenter()
    loss = InteractiveSegmentationLoss(
        correction_rounds=1, focal_weight=1.0, seed=0, **CROSS_ENTROPY
    )
    model.compile(keras.optimizers.Adam(5e-3), loss=loss)
    history = model.fit(*batch, batch_size=2, epochs=25, verbose=0).history
    assert np.mean(history["loss"][-3:]) < 0.8 * np.mean(history["loss"][:3])
    assert set(history) == {"loss", "top_iou", "oracle_iou", "single_iou"}
    assert 0 <= history["top_iou"][-1] <= history["oracle_iou"][-1] <= 1


def test_every_weight_gets_a_finite_gradient():
    """The gradient of a minimum over the masks was NaN in programs compiled by XLA."""
    model = tiny_segmenter()
    before = [ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    loss = InteractiveSegmentationLoss(correction_rounds=1, seed=0)
    model.compile(keras.optimizers.SGD(1e-1), loss=loss)
    random = np.random.default_rng(0)
    images = random.random((2, 32, 32, 3)).astype("float32")
    masks = (random.random((2, 4, 16, 16)) < 0.3).astype("uint8")
    for _ in range(3):
        model.train_on_batch({"images": images}, {"masks": masks})
    after = [ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    assert all(np.isfinite(array).all() for array in after)
    unchanged = [
        weight.path
        for weight, old, new in zip(model.trainable_weights, before, after, strict=True)
        if np.array_equal(new, old)
    ]
    # A key's bias cancels in the softmax, so its gradient is only rounding. Prompt embeddings
    # change if their kind of prompt was drawn, and ambiguous masks if they were the best.
    allowed = re.compile(r"key/bias$|qkv/bias$|embedding$|hypernetworks_[123]/")
    assert not [path for path in unchanged if not allowed.search(path)]


def test_padding_masks_are_ignored(batch, fixed_outputs):
    x, y = batch
    logits, iou_pred = fixed_outputs
    losses = []
    for garbage in (0.0, 50.0):
        logits[1, 1] += garbage
        iou_pred[1, 1] += garbage
        loss = InteractiveSegmentationLoss(correction_rounds=0, seed=5)
        value = loss.compute(fixed_segmenter(logits, iou_pred), x, y, None).loss
        losses.append(float(ops.convert_to_numpy(value)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_the_loss_equals_numpy(batch, fixed_outputs):
    logits, iou_pred = fixed_outputs

    def compute(top_iou_weight: float) -> float:
        loss = InteractiveSegmentationLoss(
            correction_rounds=0, top_iou_weight=top_iou_weight, iou_weight=3.0, **CROSS_ENTROPY
        )
        value = loss.compute(fixed_segmenter(logits, iou_pred), *batch, None).loss
        return float(ops.convert_to_numpy(value))

    expected, expected_top = [], []
    for image, mask in ((0, 0), (0, 1), (1, 0)):  # the other is padding
        target = batch[1]["masks"][image, mask].astype("float32")
        probability = sigmoid(logits[image, mask])
        entropy = -np.log(np.where(target > 0, probability, 1 - probability)).mean((1, 2))
        overlap = 2 * (probability * target).sum((1, 2)) + 1
        dice = 1 - overlap / (probability.sum((1, 2)) + target.sum() + 1)
        mask_loss = 20 * entropy + dice
        intersection = ((probability > 0.5) & (target > 0)).sum((1, 2))
        iou = intersection / ((probability > 0.5) | (target > 0)).sum((1, 2))
        iou_loss = 3 * ((iou_pred[image, mask] - iou) ** 2).mean()
        expected.append(mask_loss[0] + mask_loss[1:].min() + iou_loss)
        expected_top.append(mask_loss[1 + iou_pred[image, mask, 1:].argmax()])
    assert compute(0.0) == pytest.approx(np.mean(expected), rel=1e-4)
    assert compute(0.5) == pytest.approx(np.mean(expected) + 0.5 * np.mean(expected_top), rel=1e-4)


def test_the_result_has_the_first_rounds_prediction_for_metrics(batch, fixed_outputs):
    logits, iou_pred = fixed_outputs
    loss = InteractiveSegmentationLoss(correction_rounds=1, correction_share=0.5, seed=0)
    result = loss.compute(fixed_segmenter(logits, iou_pred), *batch, None)
    np.testing.assert_array_equal(ops.convert_to_numpy(result.target), batch[1]["masks"])
    np.testing.assert_array_equal(ops.convert_to_numpy(result.valid), [[1, 1], [1, 0]])
    prediction = ops.convert_to_numpy(result.prediction)
    for image, mask in np.ndindex(2, 2):
        top = 1 + iou_pred[image, mask, 1:].argmax()
        expected = sigmoid(logits[image, mask, top])
        np.testing.assert_allclose(prediction[image, mask], expected, atol=1e-6)
    # The metric `top_iou` is of the same masks.
    mask, target = prediction > 0.5, batch[1]["masks"] > 0
    iou = (mask & target).sum((2, 3)) / np.maximum((mask | target).sum((2, 3)), 1)
    top_iou = float(ops.convert_to_numpy(loss.top_iou.result()))
    assert top_iou == pytest.approx(iou[[0, 0, 1], [0, 1, 0]].mean(), rel=1e-5)


def test_evaluation_repeats_its_prompts_and_training_does_not(batch):
    model = tiny_segmenter()
    model.compile("sgd", loss=InteractiveSegmentationLoss(seed=1))
    losses = [model.evaluate(*batch, verbose=0) for _ in range(2)]
    assert losses[0] == losses[1]
    loss = InteractiveSegmentationLoss(seed=1)
    seen = [ops.convert_to_numpy(loss.compute(model, *batch, None).loss) for _ in range(2)]
    assert seen[0] != seen[1]


def test_evaluation_does_not_change_the_prompts_of_training(batch):
    model = tiny_segmenter()
    losses = []
    for is_evaluated in (False, True):
        loss = InteractiveSegmentationLoss(seed=1)
        loss.compute(model, *batch, None)
        if is_evaluated:
            loss.compute(model, *batch, None, training=False)
        losses.append(ops.convert_to_numpy(loss.compute(model, *batch, None).loss))
    assert losses[0] == losses[1]


def test_masks_may_be_of_any_type(batch, fixed_outputs):
    segmenter = fixed_segmenter(*fixed_outputs)
    losses = set()
    for dtype in ("bool", "uint8", "int32", "float32"):
        targets = {"masks": ops.convert_to_tensor(batch[1]["masks"].astype(dtype))}
        loss = InteractiveSegmentationLoss(correction_rounds=1, seed=0)
        value = loss.compute(segmenter, batch[0], targets, None).loss
        losses.add(float(ops.convert_to_numpy(value)))
    assert len(losses) == 1


def test_given_boxes_are_the_prompts(batch, fixed_outputs):
    segmenter, seen = fixed_segmenter(*fixed_outputs), []
    outputs = segmenter.decode()

    def record(embedding, *, boxes, **prompts):
        seen.append(ops.convert_to_numpy(boxes))
        return outputs

    segmenter.decode = record
    boxes = np.random.default_rng(0).uniform(0, 32, (2, 2, 2, 2)).astype("float32")
    loss = InteractiveSegmentationLoss(correction_rounds=0, box_probability=1.0, box_noise=0.0)
    loss.compute(segmenter, batch[0], batch[1] | {"boxes": boxes}, None)
    np.testing.assert_allclose(seen[0], boxes)


@pytest.mark.parametrize(("share", "corrected"), [(1.0, 2), (0.5, 1), (0.01, 1)])
def test_a_share_of_the_masks_is_corrected(batch, fixed_outputs, share, corrected):
    segmenter, decoded = fixed_segmenter(*fixed_outputs), []
    outputs = segmenter.decode()

    def record(embedding, *, points, masks, **prompts):
        decoded.append((points.shape[1:3], masks is not None))
        return {name: array[:, : points.shape[1]] for name, array in outputs.items()}

    segmenter.decode = record
    loss = InteractiveSegmentationLoss(correction_rounds=2, correction_share=share, seed=0)
    value = loss.compute(segmenter, *batch, None).loss
    assert np.isfinite(float(ops.convert_to_numpy(value)))
    assert decoded == [((2, 2), False), ((corrected, 3), True), ((corrected, 4), True)]


@pytest.mark.parametrize("share", [0, 1.5])
def test_a_correction_share_out_of_range_raises(share):
    with pytest.raises(ValueError, match=r"correction_share must be in \(0, 1\]"):
        InteractiveSegmentationLoss(correction_share=share)


def test_compile_with_a_plain_loss_raises():
    with pytest.raises(TypeError, match="InteractiveSegmentationLoss"):
        tiny_segmenter().compile("sgd", loss="mse")


def test_fit_without_a_loss_raises(batch):
    model = tiny_segmenter()
    model.compile("sgd", loss=None)
    with pytest.raises(ValueError, match="loss='auto'"):
        model.fit(*batch, verbose=0)


def test_remat_changes_neither_loss_nor_gradients(batch):
    is_eager = keras.backend.backend() != "jax"  # the faster way for one step

    def train(*, remat: bool) -> tuple[float, list[np.ndarray]]:
        keras.utils.set_random_seed(0)
        model = tiny_segmenter(is_high_quality=True)
        loss = InteractiveSegmentationLoss(correction_rounds=1, seed=0, remat=remat)
        model.set_trained_part("decoder")  # only for speed
        model.compile(keras.optimizers.SGD(0.01), loss=loss, run_eagerly=is_eager)
        logs = model.train_on_batch(*batch, return_dict=True)
        return float(logs["loss"]), [ops.convert_to_numpy(weight) for weight in model.weights]

    (loss, weights), (expected_loss, expected) = train(remat=True), train(remat=False)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    for weight, plain in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts tensors saved by PyTorch")
@pytest.mark.parametrize("training", [True, False])
def test_remat_keeps_fewer_activations_in_training(batch, training):
    model = tiny_segmenter()
    embedding = model.encode_image(batch[0]["images"])

    def saved_bytes(*, remat: bool) -> int:
        loss = InteractiveSegmentationLoss(correction_rounds=2, seed=0, remat=remat)
        return bytes_saved_by_torch(
            lambda: loss.compute(model, batch[0], batch[1], embedding, training=training)
        )

    plain, rematerialized = saved_bytes(remat=False), saved_bytes(remat=True)
    assert rematerialized < 0.1 * plain if training else rematerialized == plain
