"""The interface of training objectives."""

import numpy as np
import pytest
from keras import ops

from keras_sam.losses import LossResult, SegmentationLoss


class MeanEmbedding(SegmentationLoss):
    """The mean of the image embeddings."""

    def compute_result(self, segmenter, x, y, y_pred, *, training=True):
        embedding = self._image_embedding(segmenter, x, y_pred, training=training)
        return LossResult(ops.mean(embedding))


class Encoder:
    """Stands for a segmenter: its embeddings are the images, times 10 in training."""

    def encode_image(self, images, training):
        return images * (10.0 if training else 1.0)


IMAGES = {"images": ops.ones((1, 4, 4, 3))}


@pytest.mark.parametrize(("training", "expected"), [(True, 10.0), (False, 1.0)])
def test_images_are_encoded_if_the_outputs_have_no_embedding(training, expected):
    for outputs in (None, {"masks": ops.zeros((1, 1))}):
        loss = MeanEmbedding().compute(Encoder(), IMAGES, {}, outputs, training=training)
        assert float(ops.convert_to_numpy(loss)) == expected


def test_the_embedding_in_the_outputs_is_used():
    outputs = {"image_embeddings": np.full((1, 2, 2, 4), 3.0, "float32")}
    loss = MeanEmbedding().compute(Encoder(), IMAGES, {}, outputs)
    assert float(ops.convert_to_numpy(loss)) == 3.0


def test_objectives_without_masks_have_no_prediction():
    result = MeanEmbedding().compute_result(Encoder(), IMAGES, {}, None)
    assert (result.target, result.prediction, result.valid) == (None, None, None)


def test_objectives_must_define_their_loss():
    with pytest.raises(TypeError, match="compute_result"):
        SegmentationLoss()
