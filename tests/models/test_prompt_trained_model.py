"""Training and evaluation with simulated prompts."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.losses import InteractiveSegmentationLoss
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

IMAGES = np.random.default_rng(3).integers(0, 256, (2, 20, 50, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def segmenter(prepared_segmenter) -> SAMImageSegmenter:
    return prepared_segmenter


@pytest.mark.training
def test_a_loss_that_is_no_layer_is_refused(segmenter):
    for loss in ("mse", keras.losses.BinaryCrossentropy()):
        with pytest.raises(TypeError, match="simulated from target masks"):
            segmenter.compile(loss=loss)


@pytest.mark.training
@pytest.mark.parametrize("name", ["auto", "adamw", "sgd"])
def test_optimizers_given_by_name_keep_trained_weights(segmenter, name):
    segmenter.compile(name)
    assert float(ops.convert_to_numpy(segmenter.optimizer.learning_rate)) == pytest.approx(5e-5)


TWO_DEVICES = """
import keras, numpy as np, tensorflow as tf
from keras_sam.losses import InteractiveSegmentationLoss
from tests.models.conftest import build_backbone
from keras_sam.models import SAMImageSegmenter

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
images = np.random.default_rng(0).random((2, 32, 48, 3), dtype="float32")
masks = np.zeros((2, 1, 32, 48), "uint8")
masks[:, :, 8:20, 10:30] = 1
losses = []
for devices in (["CPU:0"], ["CPU:0", "CPU:1"]):
    with tf.distribute.MirroredStrategy(devices).scope():
        model = SAMImageSegmenter(build_backbone())
        loss = InteractiveSegmentationLoss(
            box_probability=1.0, box_noise=0.0, correction_rounds=0, seed=0
        )
        model.compile(keras.optimizers.SGD(0.1), loss=loss)
    fitted = model.fit({"images": images}, {"masks": masks}, batch_size=2, epochs=3, verbose=0)
    losses.append(fitted.history["loss"])
print(*np.ravel(losses))
"""


@pytest.mark.training
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies of TensorFlow")
def test_two_devices_train_as_one():
    run = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    one, two = np.array(run.stdout.split(), float).reshape(2, 3)
    assert one[2] < one[0]
    np.testing.assert_allclose(two, one, rtol=1e-4)


@pytest.mark.training
def test_metrics_compare_targets_with_the_masks_of_simulated_prompts(make_backbone):
    """Boxes without noise are the only prompts without randomness."""
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    loss = InteractiveSegmentationLoss(correction_rounds=0, box_probability=1.0, box_noise=0.0)
    segmenter.compile(
        "auto",
        loss,
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy")],
        weighted_metrics=[keras.metrics.MeanAbsoluteError(name="error")],
        run_eagerly=True,
    )
    masks = np.zeros((2, 2, 20, 50), bool)  # the second mask of the second image is padding
    corners = {(0, 0): (2, 3, 30, 15), (0, 1): (10, 1, 50, 20), (1, 0): (0, 0, 8, 9)}
    for index, (x0, y0, x1, y1) in corners.items():
        masks[index][y0:y1, x0:x1] = True
    found = segmenter.evaluate(IMAGES, masks, verbose=0, return_dict=True)
    assert {"loss", "single_iou", "top_iou", "oracle_iou", "accuracy", "error"} <= set(found)

    x, y = segmenter.preprocessor(IMAGES, masks)
    low_res = y["masks"].reshape(2, 2, 16, 2, 24, 2).mean((3, 5)) >= 0.5
    errors, accuracies = [], []
    embedding = segmenter.encode_image(x["images"])
    for (image, prompt), corner in corners.items():
        target = low_res[image, prompt]
        box = np.reshape(corner, (2, 2)) * [48 / 50, 19 / 20]  # in the model frame
        boxes = np.full((2, 1, 2, 2), box, "float32")
        outputs = segmenter.decode(embedding, boxes=boxes)
        logits, iou = (ops.convert_to_numpy(outputs[name]) for name in ("masks", "iou_pred"))
        top = logits[image, 0, 1 + iou[image, 0, 1:].argmax()]
        errors.append(np.abs(1 / (1 + np.exp(-top)) - target).mean())
        accuracies.append(((top > 0) == target).mean())
    assert found["error"] == pytest.approx(np.mean(errors), rel=1e-3)
    with_padding = [*accuracies, 1.0]  # which counts as correct background
    assert found["accuracy"] == pytest.approx(np.mean(with_padding), abs=2e-3)


@pytest.mark.training
def test_fit_without_options_trains_on_raw_samples(make_backbone):
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    segmenter.compile("auto", run_eagerly=True)
    weight = segmenter.backbone.mask_decoder.trainable_weights[0]
    before = ops.convert_to_numpy(weight).copy()
    masks = IMAGES[:, None, :, :, 0] > 128
    history = segmenter.fit({"images": IMAGES}, {"masks": masks}, verbose=0).history
    assert set(history) == {"loss", "single_iou", "top_iou", "oracle_iou"}
    assert np.isfinite(history["loss"]).all()
    assert np.abs(ops.convert_to_numpy(weight) - before).max() > 0


@pytest.mark.training
@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")  # no mask prompts
def test_a_keras_file_of_a_compiled_model_continues_its_training(tmp_path, make_backbone):
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    # Keras saves no random state, so the prompts must not be random.
    loss = InteractiveSegmentationLoss(correction_rounds=0, box_probability=1.0, box_noise=0.0)
    segmenter.compile("auto", loss, run_eagerly=True)
    masks = IMAGES[:, None, :, :, 0] > 128
    for _ in range(2):
        path = tmp_path / f"{int(segmenter.optimizer.iterations)}.keras"
        segmenter.save(path)
        again = keras.models.load_model(path)
        for loaded, saved in zip(
            again.optimizer.variables, segmenter.optimizer.variables, strict=True
        ):
            np.testing.assert_array_equal(ops.convert_to_numpy(loaded), ops.convert_to_numpy(saved))
        expected = segmenter.fit(IMAGES, masks, shuffle=False, verbose=0).history
        found = again.fit(IMAGES, masks, shuffle=False, verbose=0).history
        assert set(found) == {"loss", "single_iou", "top_iou", "oracle_iou"}
        for name, values in expected.items():
            assert found[name] == pytest.approx(values, rel=1e-3)


@pytest.mark.training
def test_cached_embeddings_train_the_decoder_as_images_do(make_backbone, inputs):
    targets = np.zeros((2, 1, 32, 48), "uint8")
    targets[:, :, 4:20, 8:30] = 1
    losses = []
    for is_cached in (False, True):
        segmenter = SAMImageSegmenter(make_backbone())
        segmenter.set_trained_part("decoder")
        x = {"images": inputs["images"]}
        if is_cached:
            embedding = segmenter.encode_image(x["images"])
            x = {name: ops.convert_to_numpy(array) for name, array in embedding.items()}
        loss = InteractiveSegmentationLoss(correction_rounds=1, seed=0)
        segmenter.compile(keras.optimizers.SGD(0.1), loss=loss, run_eagerly=True)
        losses.append(segmenter.fit(x, targets, epochs=3, verbose=0).history["loss"])
        losses[-1].append(segmenter.evaluate(x, targets, verbose=0, return_dict=True)["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert losses[0][2] != losses[0][0]
