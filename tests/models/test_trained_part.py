"""Which weights `fit` trains."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.losses import InteractiveSegmentationLoss
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.weight_names import weights_by_name


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
