"""The mask decoder of exported files, compared with the segmenter."""

import numpy as np
import pytest
from keras import ops

from keras_sam.export.decoder import decode_prompts, select_best_mask
from keras_sam.export.frame import frame_of


@pytest.fixture(scope="module")
def arrays(segmenter):
    random = np.random.default_rng(0)
    channels = segmenter.backbone.mask_decoder.hidden_size
    arrays = {
        "image_embeddings": random.normal(size=(1, channels, 8, 8)),
        "point_coords": random.uniform(0, 64, (1, 3, 2, 2)),
        "point_labels": np.array([[[1, 0], [2, 3], [1, -1]]]),
        "mask_input": 4 * random.normal(size=(1, 1, 32, 32)),
    }
    return {name: array.astype("float32") for name, array in arrays.items()}


def tensors(arrays):
    return {name: ops.convert_to_tensor(array) for name, array in arrays.items()}


def expected_outputs(segmenter, arrays, *, has_mask):
    embedding = {"image_embeddings": arrays["image_embeddings"].transpose(0, 2, 3, 1)}
    masks = np.broadcast_to(arrays["mask_input"].transpose(0, 2, 3, 1)[:, None], (1, 3, 32, 32, 1))
    prompts = {"points": arrays["point_coords"], "labels": arrays["point_labels"].astype("int32")}
    if has_mask:
        prompts["masks"] = np.ascontiguousarray(masks)
    outputs = segmenter.decode(tensors(embedding), **tensors(prompts))
    return [ops.convert_to_numpy(outputs[name]) for name in ("masks", "iou_pred")]


# osam uses -1 for no mask.
@pytest.mark.parametrize("weight", [0.0, 1.0, -1.0])
def test_mask_input_counts_if_there_is_one(segmenter, arrays, weight):
    has_mask = np.array([weight], "float32")
    inputs = tensors(arrays | {"has_mask_input": has_mask})
    actual = decode_prompts(segmenter, frame_of(segmenter, None), **inputs)
    expected = expected_outputs(segmenter, arrays, has_mask=weight == 1.0)
    for found, array in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(found), array, rtol=1e-3, atol=1e-5)


def test_padding_points_change_nothing(segmenter, arrays):
    inputs = {name: array for name, array in arrays.items() if name != "mask_input"}
    padded = dict(inputs)
    padded["point_coords"] = np.pad(inputs["point_coords"], ((0, 0), (0, 0), (0, 2), (0, 0)))
    padded["point_labels"] = np.pad(
        inputs["point_labels"], ((0, 0), (0, 0), (0, 2)), constant_values=-10
    )
    frame = frame_of(segmenter, None)
    expected = decode_prompts(segmenter, frame, **tensors(inputs))
    actual = decode_prompts(segmenter, frame, **tensors(padded))
    for found, array in zip(actual, expected, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(found), ops.convert_to_numpy(array), rtol=1e-4, atol=1e-6
        )


def test_single_mask_depends_on_the_number_of_points():
    masks = np.arange(3 * 4, dtype="float32").reshape(3, 4, 1, 1)
    scores = np.array([[0.9, 0.1, 0.5, 0.3]] * 3, "float32")
    labels = np.array([[1, -1, -10], [1, 0, -1], [2, 3, 1]], "float32")
    best, iou_predictions = select_best_mask(*map(ops.convert_to_tensor, (masks, scores, labels)))
    np.testing.assert_array_equal(ops.convert_to_numpy(best).ravel(), [2, 4, 8])
    np.testing.assert_array_equal(
        ops.convert_to_numpy(iou_predictions), np.array([[0.5], [0.9], [0.9]], "float32")
    )
