"""Averages over replicas, and the loss of a batch whose parts have different numbers of masks."""

from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops

from keras_sam.losses.interactive_segmentation_loss import InteractiveSegmentationLoss
from keras_sam.losses.replicas import average_gradients, mean_over_replicas, use_replica


class FixedReplica:
    """A replica whose average is given."""

    def __init__(self, mean):
        self._mean = mean

    def mean(self, value):
        return ops.full_like(value, self._mean)

    def average_gradients(self, loss):
        return 2.0 * loss


def test_without_replicas_values_stay():
    assert mean_over_replicas(3.0) == 3.0
    assert average_gradients(3.0) == 3.0


def test_the_replica_is_used_within_its_context_only():
    with use_replica(FixedReplica(5.0)):
        assert float(mean_over_replicas(ops.array(3.0))) == 5.0
        assert average_gradients(3.0) == 6.0
    assert mean_over_replicas(3.0) == 3.0


def test_the_mean_loss_of_replicas_is_that_of_the_whole_batch():
    """One replica has three masks, the other one; its other masks are padding."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 4, 4, 16, 16)).astype("float32")
    iou_pred = random.random((2, 4, 4), dtype="float32")
    masks = np.zeros((2, 4, 16, 16), "uint8")
    masks[0, :3, 2:9, 3:12] = masks[1, 0, 5:12, 2:14] = 1
    loss = InteractiveSegmentationLoss(correction_rounds=0, box_probability=1.0, seed=0)

    def compute(rows, *, training=True):
        outputs = {"masks": ops.array(logits[rows]), "iou_pred": ops.array(iou_pred[rows])}
        segmenter = SimpleNamespace(
            backbone=SimpleNamespace(low_res_size=(16, 16), image_shape=(32, 32, 3)),
            embedding_names=("image_embeddings",),
            decode=lambda *args, **kwargs: outputs,
        )
        embedding = {"image_embeddings": masks[rows]}
        y = {"masks": masks[rows]}
        value = loss.compute(segmenter, None, y, embedding, training=training).loss
        return float(ops.convert_to_numpy(value))

    expected, first = compute([0, 1]), compute([0])
    with use_replica(FixedReplica(2.0)):  # masks per replica
        parts = [compute([0]), compute([1])]
        evaluated = compute([0], training=False)
    assert np.mean(parts) == pytest.approx(expected, rel=1e-5)
    assert evaluated == pytest.approx(first, rel=1e-5)
    assert parts[0] == pytest.approx(1.5 * first, rel=1e-5)
