"""Hashes of weights."""

import keras
import numpy as np
import pytest

from keras_sam.models.weights_hash import weights_hash

HASHES = {
    "float32": "078d28f244da8ea54ef356e7d7767d6207a1853a383bbe5763c336bb156a9a2b",
    "bfloat16": "833d0981f514aaab0a67fe6eebc4c7afc8ec6cbffa39c988c1e205318ab0ab37",
}
SHAPES = {"kernel": (3, 4), "bias": (4,)}


def build_dense(dtype: str = "float32", name: str = "dense", **changes: np.ndarray):
    """Build a layer in a model, with weights of fixed values that are exact in bfloat16."""
    layer = keras.layers.Dense(4, dtype=dtype, name=name)
    model = keras.Sequential([layer])
    model.build((None, 3))
    for index, (weight, shape) in enumerate(SHAPES.items()):
        values = index + np.arange(np.prod(shape), dtype="float32") / 16
        getattr(layer, weight).assign(changes.get(weight, values.reshape(shape)))
    return model


@pytest.mark.parametrize(("dtype", "expected"), HASHES.items())
def test_the_hash_is_the_same_on_every_backend(dtype, expected):
    assert weights_hash(build_dense(dtype=dtype)) == expected


def test_models_of_equal_weights_have_one_hash():
    assert weights_hash(build_dense()) == weights_hash(build_dense())


@pytest.mark.parametrize("samples_per_weight", [None, 2])
def test_other_values_names_and_dtypes_have_other_hashes(samples_per_weight):
    models = [
        build_dense(),
        build_dense(bias=np.zeros(4)),
        build_dense(name="other"),
        build_dense(dtype="bfloat16"),
    ]
    hashes = {weights_hash(model, samples_per_weight=samples_per_weight) for model in models}
    assert len(hashes) == len(models)


def test_samples_are_evenly_spaced():
    """Of twelve values, four samples are those of indices 0, 3, 6 and 9."""
    original = np.arange(12, dtype="float32") / 16
    expected = weights_hash(build_dense(), samples_per_weight=4)
    for index in range(12):
        changed = original.copy()
        changed[index] += 1
        model = build_dense(kernel=changed.reshape(3, 4))
        is_equal = weights_hash(model, samples_per_weight=4) == expected
        assert is_equal == (index % 3 != 0)
        assert weights_hash(model) != weights_hash(build_dense())


def test_more_samples_than_values_hash_every_value():
    model = build_dense()
    assert weights_hash(model, samples_per_weight=100) == weights_hash(model)
