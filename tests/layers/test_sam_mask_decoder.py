"""The decoder's shared image-side work against decoding each prompt by itself."""

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.two_way_transformer import DownsampledAttention


@pytest.fixture(scope="module")
def decoder() -> SAMMaskDecoder:
    layer = SAMMaskDecoder(
        hidden_size=16, intermediate_dim=32, num_heads=2, embedding_dim=16, iou_head_hidden_dim=8
    )
    layer.build()
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.3, weight.shape).astype("float32"))
    return layer


def inputs(images: int = 2, prompts: int = 3, tokens: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    shapes = {
        "image_embeddings": (images, 3, 5, 16),
        "positions": (1, 3, 5, 16),
        "no_mask": (1, 1, 1, 1, 16),
        "sparse": (images, prompts, tokens, 16),
    }
    return {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}


def decode_shared(decoder, arrays, sparse, mask=None, **options):
    features = decoder.decoder_cache(
        *(
            ops.convert_to_tensor(arrays[name])
            for name in ("image_embeddings", "positions", "no_mask")
        )
    )
    mask = None if mask is None else ops.convert_to_tensor(mask)
    outputs = decoder.decode(
        features, ops.convert_to_tensor(sparse), mask, grid_size=(3, 5), **options
    )
    return {name: ops.convert_to_numpy(output) for name, output in outputs.items()}


def test_shared_work_equals_the_work_of_each_prompt(decoder):
    arrays = inputs()
    shared = decode_shared(decoder, arrays, arrays["sparse"])
    assert shared["masks"].shape == (2, 3, 4, 12, 20)
    dense = np.broadcast_to(arrays["no_mask"], (2, 3, 3, 5, 16))
    outputs = decoder(
        arrays["image_embeddings"], arrays["positions"], arrays["sparse"], np.array(dense)
    )
    for name in ("masks", "iou_pred"):
        np.testing.assert_allclose(
            shared[name], ops.convert_to_numpy(outputs[name]), rtol=1e-3, atol=1e-4
        )


def test_prompts_together_equal_prompts_one_by_one(decoder):
    arrays = inputs()
    together = decode_shared(decoder, arrays, arrays["sparse"])
    for index in range(3):
        alone = decode_shared(decoder, arrays, arrays["sparse"][:, index : index + 1])
        np.testing.assert_allclose(
            together["masks"][:, index], alone["masks"][:, 0], rtol=1e-3, atol=1e-4
        )


def test_masked_tokens_change_nothing(decoder):
    arrays = inputs()
    mask = np.ones((2, 3, 4), bool)
    mask[..., 2:] = False
    padded = decode_shared(decoder, arrays, arrays["sparse"], mask)
    shorter = decode_shared(decoder, arrays, arrays["sparse"][:, :, :2])
    for name in ("masks", "iou_pred"):
        np.testing.assert_allclose(padded[name], shorter[name], rtol=1e-3, atol=1e-4)


def test_one_prompt_for_each_image_may_be_padded_too(decoder):
    arrays = inputs(prompts=1)
    image = arrays["image_embeddings"], arrays["positions"]
    sparse, dense = arrays["sparse"][:, 0], np.zeros((2, 3, 5, 16), "float32")
    mask = np.array([[True, True, False, False]] * 2)
    padded = decoder(*image, sparse, dense, prompt_sparse_mask=mask)["masks"]
    shorter = decoder(*image, sparse[:, :2], dense)["masks"]
    np.testing.assert_allclose(
        ops.convert_to_numpy(padded), ops.convert_to_numpy(shorter), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize(
    ("multimask_output", "wanted"), [(True, slice(1, 4)), (False, slice(0, 1))]
)
def test_multimask_output_selects_masks(decoder, multimask_output, wanted):
    arrays = inputs()
    everything = decode_shared(decoder, arrays, arrays["sparse"])
    some = decode_shared(decoder, arrays, arrays["sparse"], multimask_output=multimask_output)
    np.testing.assert_allclose(some["masks"], everything["masks"][:, :, wanted], atol=1e-5)
    np.testing.assert_allclose(some["iou_pred"], everything["iou_pred"][:, :, wanted], atol=1e-5)


def test_a_head_is_never_narrower_than_one():
    assert DownsampledAttention(8, 8, downsample_rate=2).inner_dim == 8


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="must equal"):
        SAMMaskDecoder(hidden_size=16, embedding_dim=32)
    with pytest.raises(ValueError, match="multiple of num_heads"):
        SAMMaskDecoder(hidden_size=16, embedding_dim=16, num_heads=3)


def test_a_decoder_has_masks_for_ambiguous_prompts():
    with pytest.raises(ValueError, match="num_multimask_outputs must be 1 or more"):
        SAMMaskDecoder(num_multimask_outputs=0)
