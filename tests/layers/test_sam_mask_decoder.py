"""The mask decoder, compared with decoding each prompt alone in NumPy."""

from typing import Any

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, gelu, mlp, random, randomize, to_numpy

GRID_SIZE, D, E = (3, 5), 16, 4
IMAGES, PROMPTS, TOKENS = 2, 3, 4
SETTINGS = {
    "hidden_size": D,
    "intermediate_dim": 32,
    "num_heads": 2,
    "embedding_dim": D,
    "iou_head_hidden_dim": 8,
}
HIGH_QUALITY = {"early_feature_dim": E}
TOKEN_ONLY = HIGH_QUALITY | {"hq_token_only": True}


def build_decoder(**settings: Any) -> SAMMaskDecoder:
    layer = SAMMaskDecoder(**SETTINGS | settings)
    layer.build()
    return randomize(layer)


@pytest.fixture(scope="module")
def decoder() -> SAMMaskDecoder:
    return build_decoder()


@pytest.fixture(scope="module", params=[{}, HIGH_QUALITY, TOKEN_ONLY], ids=["sam", "hq", "only"])
def any_decoder(request) -> SAMMaskDecoder:
    return build_decoder(**request.param)


def image_inputs(decoder: SAMMaskDecoder, images: int = IMAGES) -> dict[str, np.ndarray]:
    inputs = {
        "image_embeddings": random(images, *GRID_SIZE, D),
        "positions": random(1, *GRID_SIZE, D, seed=1),
    }
    if decoder.early_feature_dim:
        inputs["early_features"] = random(images, *GRID_SIZE, E, seed=2)
    return inputs


def numpy_decoder(
    decoder: SAMMaskDecoder,
    image_embeddings: np.ndarray,
    positions: np.ndarray,
    dense: np.ndarray,
    sparse: np.ndarray,
    early_features: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Decode one prompt per image, with tokens `(B, T, D)` and a dense embedding."""
    images, count = len(sparse), decoder.num_mask_tokens
    hq = decoder.high_quality
    learned = [decoder.iou_token, decoder.mask_tokens, *([] if hq is None else [hq.token])]
    learned = np.concatenate([to_numpy(weight) for weight in learned])
    tokens = np.concatenate([np.stack([learned] * images), sparse], axis=1)
    if mask is not None:
        mask = np.pad(mask, ((0, 0), (len(learned), 0)), constant_values=True)
    keys = (image_embeddings + dense).reshape(images, -1, D)
    tokens, keys = numpy_reference.two_way_transformer(
        decoder.transformer, tokens, keys, positions.reshape(1, -1, D), mask
    )
    pixels = numpy_reference.upscale(decoder.upscaler, keys.reshape(images, *GRID_SIZE, D))
    pixels = gelu(pixels)
    weights = [mlp(decoder.hypernetworks[i], tokens[:, 1 + i]) for i in range(count)]
    masks = np.einsum("bmc,bhwc->bmhw", np.stack(weights, axis=1), pixels)
    if hq is not None:
        refined = to_numpy(hq.refiner(ops.convert_to_tensor(pixels.astype("float32"))))
        refined = refined + numpy_reference.upscale(hq.embedding_encoder, image_embeddings)
        refined = refined + numpy_reference.upscale(hq.early_encoder, early_features)
        own = np.einsum("bc,bhwc->bhw", mlp(hq.head, tokens[:, 1 + count]), refined)[:, None]
        masks = own + (0 if decoder.hq_token_only else masks)
    masks = np.broadcast_to(masks, (images, count, *masks.shape[2:]))
    return {"masks": masks, "iou_pred": mlp(decoder.iou_head, tokens[:, 0])}


def assert_equal_outputs(actual, expected):
    for name in ("masks", "iou_pred"):
        assert tuple(actual[name].shape) == expected[name].shape
        assert_close(actual[name], expected[name], atol=1e-3, rtol=1e-3)


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: ops.convert_to_tensor(array) for name, array in arrays.items()}


def decode(decoder, inputs, sparse, mask=None, **options):
    """Decode prompts without masks, through the cache."""
    no_mask = random(1, 1, 1, 1, D, seed=3)
    cache = decoder.decoder_cache(**tensors(inputs | {"dense_embeddings": no_mask}))
    mask = None if mask is None else ops.convert_to_tensor(mask)
    return decoder.decode(
        cache, ops.convert_to_tensor(sparse), mask, grid_size=GRID_SIZE, **options
    )


@pytest.mark.parametrize("is_masked", [False, True])
def test_decode_equals_each_prompt_alone(any_decoder, is_masked):
    inputs = image_inputs(any_decoder)
    sparse = random(IMAGES, PROMPTS, TOKENS, D, seed=4)
    mask = np.ones((IMAGES, PROMPTS, TOKENS), bool)
    mask[0, :, 1:] = not is_masked
    outputs = decode(any_decoder, inputs, sparse, mask if is_masked else None)
    assert outputs["masks"].shape == (IMAGES, PROMPTS, 4, 12, 20)
    for index in range(PROMPTS):
        expected = numpy_decoder(
            any_decoder,
            **inputs,
            dense=random(1, 1, 1, D, seed=3),
            sparse=sparse[:, index],
            mask=mask[:, index],
        )
        actual = {name: output[:, index] for name, output in outputs.items()}
        assert_equal_outputs(actual, expected)


@pytest.mark.parametrize("num_tokens", [TOKENS, 0])
def test_each_prompt_has_its_own_mask_embedding(any_decoder, num_tokens):
    inputs = image_inputs(any_decoder)
    sparse = random(IMAGES, PROMPTS, num_tokens, D, seed=4)
    dense = random(IMAGES, PROMPTS, *GRID_SIZE, D, seed=5)
    prompts = {"dense_embeddings": dense, "sparse_embeddings": sparse}
    outputs = any_decoder.decode_with_mask_prompts(**tensors(inputs | prompts))
    for index in range(PROMPTS):
        expected = numpy_decoder(
            any_decoder, **inputs, dense=dense[:, index], sparse=sparse[:, index]
        )
        actual = {name: output[:, index] for name, output in outputs.items()}
        assert_equal_outputs(actual, expected)


def call(decoder, inputs, sparse, dense, mask=None):
    positions = {"prompt_dense_positional_embeddings": inputs["positions"]}
    inputs = {name: array for name, array in inputs.items() if name != "positions"}
    return decoder(
        **inputs | positions,
        prompt_sparse_embeddings=sparse,
        prompt_dense_embeddings=dense,
        prompt_sparse_mask=mask,
    )


@pytest.mark.parametrize("is_masked", [False, True])
def test_a_call_without_prompt_axis_decodes_one_prompt_per_image(any_decoder, is_masked):
    inputs = image_inputs(any_decoder)
    sparse, dense = random(IMAGES, TOKENS, D, seed=4), random(IMAGES, *GRID_SIZE, D, seed=5)
    mask = np.array([[True, True, False, False]] * IMAGES) if is_masked else None
    expected = numpy_decoder(any_decoder, **inputs, dense=dense, sparse=sparse, mask=mask)
    assert_equal_outputs(call(any_decoder, inputs, sparse, dense, mask), expected)


def test_a_call_with_prompt_axis_keeps_it(decoder):
    inputs = image_inputs(decoder)
    sparse = random(IMAGES, PROMPTS, TOKENS, D, seed=4)
    dense = random(IMAGES, PROMPTS, *GRID_SIZE, D, seed=5)
    together = call(decoder, inputs, sparse, dense)
    for index in range(PROMPTS):
        alone = call(decoder, inputs, sparse[:, index], dense[:, index])
        for name, output in alone.items():
            assert_close(together[name][:, index], output, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("num_dense", [1, PROMPTS])
def test_a_call_broadcasts_one_image_to_several_prompts(any_decoder, num_dense):
    inputs = image_inputs(any_decoder, images=1)
    sparse, dense = random(PROMPTS, TOKENS, D, seed=4), random(num_dense, *GRID_SIZE, D, seed=5)
    repeated = {
        name: np.repeat(array, 1 if name == "positions" else PROMPTS, axis=0)
        for name, array in inputs.items()
    }
    expected = numpy_decoder(any_decoder, **repeated, dense=dense, sparse=sparse)
    assert_equal_outputs(call(any_decoder, inputs, sparse, dense), expected)


@pytest.mark.parametrize(
    ("multimask_output", "selected"), [(True, slice(1, 4)), (False, slice(0, 1))]
)
def test_multimask_output_selects_masks(decoder, multimask_output, selected):
    inputs, sparse = image_inputs(decoder), random(IMAGES, PROMPTS, TOKENS, D, seed=4)
    expected = decode(decoder, inputs, sparse)
    actual = decode(decoder, inputs, sparse, multimask_output=multimask_output)
    for name, output in actual.items():
        assert_close(output, expected[name][:, :, selected])


def test_masks_of_some_prompts_equal_those_of_all(any_decoder):
    """First predict the IoU of all prompts, then the masks of some."""
    inputs = image_inputs(any_decoder, images=1)
    sparse = random(1, PROMPTS, TOKENS, D, seed=4)
    no_mask = random(1, 1, 1, 1, D, seed=3)
    cache = any_decoder.decoder_cache(**tensors(inputs | {"dense_embeddings": no_mask}))
    tokens, image_tokens = any_decoder.run_transformer(cache, ops.convert_to_tensor(sparse))
    expected = decode(any_decoder, inputs, sparse, multimask_output=True)
    iou_predictions = any_decoder.predict_iou(tokens, multimask_output=True)
    assert_close(iou_predictions, expected["iou_pred"][0])
    masks = any_decoder.predict_masks(
        tokens[1:],
        image_tokens[1:],
        cache.hq_features,
        prompts=PROMPTS - 1,
        grid_size=GRID_SIZE,
        multimask_output=True,
    )
    assert_close(masks, expected["masks"][0, 1:], atol=1e-4)


def test_build_takes_the_shapes_of_call(decoder):
    inputs = image_inputs(decoder)
    sparse, dense = random(IMAGES, TOKENS, D), random(IMAGES, *GRID_SIZE, D)
    called = SAMMaskDecoder(**SETTINGS)
    call(called, inputs, sparse, dense)
    built = SAMMaskDecoder(**SETTINGS)
    built.build(
        image_embeddings_shape=inputs["image_embeddings"].shape,
        prompt_dense_positional_embeddings_shape=inputs["positions"].shape,
        prompt_sparse_embeddings_shape=sparse.shape,
        prompt_dense_embeddings_shape=dense.shape,
    )
    shapes = [[tuple(weight.shape) for weight in x.weights] for x in (built, called)]
    assert shapes[0] == shapes[1]


def test_a_decoder_of_two_widths_is_built_but_not_called():
    """keras-hub builds such a decoder too, and cannot call it either."""
    decoder = SAMMaskDecoder(**SETTINGS | {"embedding_dim": 8})
    decoder.build()
    with pytest.raises(ValueError, match="embedding_dim 8 must equal hidden_size 16"):
        decode(decoder, image_inputs(decoder), random(IMAGES, PROMPTS, TOKENS, 8))


@pytest.mark.parametrize(
    ("settings", "has_early_features"), [({}, True), (HIGH_QUALITY, False)], ids=["sam", "hq"]
)
def test_early_features_are_for_sam_hq_only(settings, has_early_features):
    decoder = build_decoder(**settings)
    inputs = {"image_embeddings": random(1, *GRID_SIZE, D), "positions": random(1, *GRID_SIZE, D)}
    if has_early_features:
        inputs["early_features"] = random(1, *GRID_SIZE, E)
    with pytest.raises(ValueError, match="early_features must be given if"):
        decode(decoder, inputs, random(1, PROMPTS, TOKENS, D))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_heads": 3}, "hidden_size must be a multiple of num_heads, got 16 and 3"),
        ({"embedding_dim": 4}, "embedding_dim must be at least 8"),
        ({"num_multimask_outputs": 0}, "num_multimask_outputs must be at least 1"),
        ({"hq_token_only": True}, "requires early_feature_dim"),
    ],
)
def test_invalid_arguments_raise(settings, message):
    with pytest.raises(ValueError, match=message):
        SAMMaskDecoder(**SETTINGS | settings)
