"""Names of weights."""

import keras
import numpy as np
import pytest

from keras_sam.losses import InteractiveSegmentationLoss
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.weight_names import weights_by_name


def test_each_weight_has_one_name(backbone):
    weights = weights_by_name(backbone)
    assert {id(weight) for weight in weights.values()} == {id(x) for x in backbone.weights}
    assert len(weights) == len(backbone.weights)


def test_names_follow_attributes_and_layers(backbone):
    weights = weights_by_name(backbone)
    encoder = backbone.image_encoder
    assert weights["image_encoder/position_embedding"] is encoder.position_embedding
    kernel = encoder.blocks[1].mlp.dense_layers[0].kernel
    assert weights["image_encoder/blocks_1/mlp/dense1/kernel"] is kernel
    assert weights["mask_decoder/iou_token"] is backbone.mask_decoder.iou_token


def test_names_of_a_part_lack_its_prefix(backbone):
    prefix = "image_encoder/"
    inside = [name for name in weights_by_name(backbone) if name.startswith(prefix)]
    names = weights_by_name(backbone.image_encoder)
    assert [prefix + name for name in names] == inside


def test_names_do_not_depend_on_the_name_of_a_model(make_backbone):
    models = make_backbone(), make_backbone(name="other")
    assert models[0].image_encoder.name != models[1].image_encoder.name
    assert list(weights_by_name(models[0])) == list(weights_by_name(models[1]))


def test_frozen_weights_and_statistics_have_names():
    model = keras.Sequential(
        [keras.layers.BatchNormalization(name="norm"), keras.layers.Dense(2, name="dense")]
    )
    model.build((None, 3))
    model.layers[1].trainable = False
    assert set(weights_by_name(model)) == {
        "norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance",
        "dense/kernel", "dense/bias",
    }  # fmt: skip


@pytest.mark.training
def test_metrics_are_no_weights(make_backbone):
    model = SAMImageSegmenter(make_backbone())
    names = list(weights_by_name(model))
    loss = InteractiveSegmentationLoss(correction_rounds=1)
    model.compile(loss=loss, metrics=[keras.metrics.MeanAbsoluteError()], run_eagerly=True)
    images = np.zeros((1, 32, 48, 3), "float32")
    model.fit({"images": images}, {"masks": np.ones((1, 1, 32, 48), "bool")}, verbose=0)
    assert model.metrics_variables != []
    assert list(weights_by_name(model)) == names
