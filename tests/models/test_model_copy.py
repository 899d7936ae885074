"""Copies of compiled models: their values, their frozen weights, and what they train."""

import pickle

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.losses.interactive_segmentation_loss import InteractiveSegmentationLoss
from keras_sam.models.model_copy import (
    build_model,
    copy_values,
    describe_model,
    seed_states,
    training_variables,
)
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from tests.tiny_model import tiny_model

pytestmark = pytest.mark.training


def compiled_model(part):
    model = SAMImageSegmenter.from_backbone(tiny_model(num_layers=1).backbone)
    model.set_trained_part(part, lora_rank=2, remat=part == "lora")
    loss = InteractiveSegmentationLoss(correction_rounds=0, dice_weight=3.0, seed=5)
    model.compile(keras.optimizers.AdamW(1e-3, global_clipnorm=1.0), loss=loss)
    model.optimizer.build(model.trainable_variables)
    random = np.random.default_rng(0)
    for variable in training_variables(model).values():
        variable.assign(random.integers(0, 100, variable.shape).astype(variable.dtype))
    return model


@pytest.mark.parametrize("part", ["decoder", "lora", "all"])
def test_a_copy_has_the_values_and_trains_the_same_weights(part):
    model = compiled_model(part)
    copy = build_model(pickle.loads(pickle.dumps(describe_model(model))))
    assert [v.name for v in copy.trainable_variables] == [v.name for v in model.trainable_variables]
    copy_values(model, copy)
    ours, theirs = training_variables(model), training_variables(copy)
    assert list(ours) == list(theirs)
    for name, variable in ours.items():
        assert variable.trainable == theirs[name].trainable
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (variable, theirs[name])))
    assert copy.backbone.image_encoder.remat == (part == "lora")
    assert len(seed_states(model)) >= 1
    assert copy.prompt_seed_generator is not model.prompt_seed_generator


def test_a_copy_has_the_settings_of_training():
    model = compiled_model("decoder")
    copy = build_model(describe_model(model))
    assert (
        copy.get_config()["preprocessor"]["config"]
        == (model.get_config()["preprocessor"]["config"])
    )
    assert copy.optimizer.global_clipnorm == 1.0
    assert copy.optimizer.built
    assert copy._objective.dice_weight == 3.0
