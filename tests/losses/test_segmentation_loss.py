"""The interface of training objectives."""

import numpy as np
import pytest
from keras import ops

from keras_sam.losses import LossResult, SegmentationLoss


class MeanEmbedding(SegmentationLoss):
    """The mean of all arrays of the image embedding."""

    def compute(self, segmenter, x, y, y_pred, *, training=True):
        embedding = self._image_embedding(segmenter, x, y_pred, training=training)
        return LossResult(sum(ops.mean(array) for array in embedding.values()))


class Encoder:
    """Stands for a segmenter: its arrays are the images, times 10 in training."""

    embedding_names = ("image_embeddings", "early_features")

    def encode_image(self, images, training):
        return dict.fromkeys(self.embedding_names, images * (10.0 if training else 1.0))


IMAGES = {"images": ops.ones((1, 4, 4, 3))}


@pytest.mark.parametrize(("training", "expected"), [(True, 20.0), (False, 2.0)])
def test_images_are_encoded_if_the_outputs_lack_the_embedding(training, expected):
    for outputs in (None, {"masks": ops.zeros(1)}, {"image_embeddings": ops.zeros(1)}):
        loss = MeanEmbedding().compute(Encoder(), IMAGES, {}, outputs, training=training).loss
        assert float(ops.convert_to_numpy(loss)) == expected


def test_the_embedding_in_the_outputs_is_used():
    names = (*Encoder.embedding_names, "masks")
    outputs = dict.fromkeys(names, np.full((1, 2, 2, 4), 3.0, "float32"))
    loss = MeanEmbedding().compute(Encoder(), IMAGES, {}, outputs).loss
    assert float(ops.convert_to_numpy(loss)) == 6.0


def test_objectives_without_masks_have_no_prediction():
    result = MeanEmbedding().compute(Encoder(), IMAGES, {}, None)
    assert (result.target, result.prediction, result.valid) == (None, None, None)


def test_objectives_must_define_their_loss():
    with pytest.raises(TypeError, match="compute"):
        SegmentationLoss()
