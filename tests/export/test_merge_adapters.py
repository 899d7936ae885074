import numpy as np
import pytest
from keras import ops

from keras_sam.export.merge_adapters import merge_adapters
from keras_sam.models.lora import adapted_layers


def test_model_without_adapters_stays_the_same(segmenter):
    assert merge_adapters(segmenter) is segmenter


@pytest.mark.training
def test_merged_model_gives_the_same_embedding(tiny_segmenter):
    model = tiny_segmenter(0)
    model.backbone.image_encoder.enable_lora(2)
    for layer in adapted_layers(model).values():
        shape = layer.lora_kernel_b.shape
        layer.lora_kernel_b.assign(np.random.default_rng(0).normal(size=shape).astype("float32"))
    merged = merge_adapters(model)
    assert not adapted_layers(merged)
    images = ops.convert_to_tensor(
        np.random.default_rng(1).random((1, 64, 64, 3)).astype("float32")
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(merged.encode_image(images)["image_embeddings"]),
        ops.convert_to_numpy(model.encode_image(images)["image_embeddings"]),
        atol=1e-4,
    )
