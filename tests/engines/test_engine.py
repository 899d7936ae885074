"""Steps of an engine, compared with the model that it runs."""

import keras
import numpy as np
import pytest

from keras_sam.engines.create_engine import create_engine
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

POINTS = np.array([[[[20, 30], [0, 0]], [[50, 40], [0, 0]]]], np.float32)
LABELS = np.array([[[1, -1], [1, -1]]], np.int32)
IMAGES = np.random.default_rng(0).random((1, 64, 64, 3), dtype="float32")
CLOSE = {"rtol": 1e-3, "atol": 1e-4}


def load_trained_model(dtype="float32") -> SAMImageSegmenter:
    """Load trained weights: layer norms of random ones amplify rounding errors."""
    return SAMImageSegmenter.from_preset("sam_tiny_synthetic", image_shape=(64, 64, 3), dtype=dtype)


@pytest.fixture(scope="module")
def engine(segmenter):
    return create_engine(segmenter)


@pytest.fixture(scope="module")
def embedding(engine):
    return engine.encode(IMAGES)


@pytest.fixture(scope="module")
def cache(engine, embedding):
    return engine.decoder_cache(embedding)


@pytest.fixture(scope="module")
def trained_model():
    return load_trained_model()


@pytest.fixture(scope="module")
def low_res_size(segmenter):
    return segmenter.backbone.low_res_size


def test_encode_equals_the_model(engine, embedding, segmenter):
    expected = segmenter.encode_image(IMAGES)
    assert set(embedding) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(
            engine.to_numpy(embedding[name]), keras.ops.convert_to_numpy(array), **CLOSE
        )


def test_encoding_several_images_equals_one_by_one(engine):
    images = np.random.default_rng(1).random((3, 64, 64, 3), dtype="float32")
    together = engine.encode(images)
    for index in range(3):
        for name, array in engine.encode(images[index : index + 1]).items():
            np.testing.assert_allclose(
                engine.to_numpy(together[name])[index], engine.to_numpy(array)[0], **CLOSE
            )


@pytest.mark.parametrize(
    ("multimask_output", "has_mask_inputs"),
    [(True, False), (False, False), (None, False), (None, True)],
)
def test_decode_equals_the_model(
    engine, embedding, cache, segmenter, low_res_size, multimask_output, has_mask_inputs
):
    mask_inputs = None
    if has_mask_inputs:
        shape = (1, 2, *low_res_size, 1)
        mask_inputs = np.random.default_rng(2).normal(size=shape).astype("float32")
    low_res_logits, iou_predictions = engine.decode(
        embedding,
        cache,
        POINTS,
        LABELS,
        mask_inputs=mask_inputs,
        multimask_output=multimask_output,
    )
    expected = segmenter.decode(
        segmenter.encode_image(IMAGES),
        points=POINTS,
        labels=LABELS,
        masks=mask_inputs,
        multimask_output=multimask_output,
    )
    masks = keras.ops.convert_to_numpy(expected["masks"])[0]
    assert low_res_logits.shape == (2, {True: 3, False: 1, None: 4}[multimask_output], 32, 32)
    np.testing.assert_allclose(low_res_logits, masks, rtol=1e-3, atol=1e-4 * np.abs(masks).max())
    np.testing.assert_allclose(
        iou_predictions, keras.ops.convert_to_numpy(expected["iou_pred"])[0], **CLOSE
    )


def test_predicted_ious_and_then_masks_equal_decode(engine, embedding, cache):
    low_res_logits, expected = engine.decode(embedding, cache, POINTS, LABELS)
    iou_predictions, tokens = engine.predict_iou(cache, POINTS, LABELS)
    np.testing.assert_allclose(iou_predictions, expected, **CLOSE)
    for indices in ([1], [1, 0]):
        masks = engine.predict_masks(cache, tokens, np.array(indices, np.int32))
        scale = np.abs(low_res_logits).max()
        np.testing.assert_allclose(masks, low_res_logits[indices], atol=1e-4 * scale)


def test_outputs_on_the_host_are_float32_arrays(engine, embedding, cache):
    outputs = [*engine.decode(embedding, cache, POINTS, LABELS), engine.to_numpy(cache[0])]
    for output in outputs:
        assert isinstance(output, np.ndarray)
        assert output.dtype == np.float32


def test_a_step_has_one_program_for_each_combination_of_shapes(segmenter):
    engine = create_engine(segmenter)
    for _ in range(2):
        embedding = engine.encode(IMAGES)
        cache = engine.decoder_cache(embedding)
        engine.decode(embedding, cache, POINTS, LABELS)
    assert engine.num_programs == 3
    engine.decode(embedding, cache, POINTS + 1, LABELS)
    assert engine.num_programs == 3
    engine.decode(embedding, cache, POINTS[:, :1], LABELS[:, :1])
    assert engine.num_programs == 4
    engine.decode(embedding, cache, POINTS, LABELS, multimask_output=False)
    assert engine.num_programs == 5


def run_all_steps(model) -> list[np.ndarray]:
    """Return the results of the steps as float32."""
    engine = create_engine(model)
    embedding = engine.encode(IMAGES)
    cache = engine.decoder_cache(embedding)
    low_res_logits, iou_predictions = engine.decode(embedding, cache, POINTS, LABELS)
    only_iou, tokens = engine.predict_iou(cache, POINTS, LABELS)
    masks = engine.predict_masks(cache, tokens, np.array([1], np.int32))
    embedding_arrays = [engine.to_numpy(array) for array in embedding.values()]
    return [*embedding_arrays, low_res_logits, iou_predictions, only_iou, masks]


def test_each_step_in_bfloat16_agrees_with_float32(trained_model):
    expected = run_all_steps(trained_model)
    actual = run_all_steps(load_trained_model("bfloat16"))
    for low, exact in zip(actual, expected, strict=True):
        assert np.linalg.norm(low - exact) < 2**-5 * np.linalg.norm(exact)


def test_cast_embedding_gives_arrays_as_encode_returns_them():
    engine = create_engine(load_trained_model("bfloat16"))
    embedding = engine.encode(IMAGES)
    on_host = {name: engine.to_numpy(array) for name, array in embedding.items()}
    again = engine.cast_embedding(on_host)
    outputs = []
    for arrays in (embedding, again):
        for array in arrays.values():
            assert keras.backend.standardize_dtype(array.dtype) == "bfloat16"
        outputs.append(engine.decode(arrays, engine.decoder_cache(arrays), POINTS, LABELS))
    np.testing.assert_array_equal(outputs[1][0], outputs[0][0])


def test_cast_embedding_leaves_arrays_of_the_right_dtype(engine):
    arrays = {"image_embeddings": np.zeros((1, 8, 8, 16), np.float32)}
    assert engine.cast_embedding(arrays)["image_embeddings"] is arrays["image_embeddings"]


def test_later_decodes_equal_the_first_one(trained_model):
    """An engine may decode in another way once it has decoded before."""
    used = create_engine(trained_model)
    embedding = used.encode(IMAGES)
    cache = used.decoder_cache(embedding)
    for _ in range(2):
        used.decode(embedding, cache, POINTS, LABELS)
    for points in (POINTS[:, ::-1], POINTS + 8):
        first = create_engine(trained_model).decode(embedding, cache, points, LABELS)
        later = used.decode(embedding, cache, points, LABELS)
        for actual, expected in zip(later, first, strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.training  # programs of OpenVINO contain the weights
def test_weights_assigned_later_take_effect():
    model = load_trained_model()
    engine = create_engine(model)
    embedding = engine.encode(IMAGES)
    cache = engine.decoder_cache(embedding)
    _, before = [engine.decode(embedding, cache, POINTS, LABELS) for _ in range(3)][-1]
    for weight in model.backbone.weights:
        weight.assign(weight * 0.9)
    num_programs = engine.num_programs
    outputs = []
    for runner in (engine, create_engine(model)):
        embedding = runner.encode(IMAGES)
        cache = runner.decoder_cache(embedding)
        outputs.append(runner.decode(embedding, cache, POINTS, LABELS)[1])
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5, atol=1e-5)
    assert np.abs(outputs[0] - before).max() > 0.01
    assert engine.num_programs == num_programs
