"""Keras operations as programs of OpenVINO, compared with NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.engines.openvino_graph import build_graph, compile_graph

pytestmark = pytest.mark.openvino


def compile_step(step, inputs, dtype="float32"):
    return compile_graph(build_graph(step, inputs), dtype)


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def bfloat16(values):
    return keras.ops.convert_to_numpy(ops.cast(np.asarray(values, "float32"), "bfloat16"))


def cpu_has_bfloat16():
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def test_a_program_computes_what_its_step_does():
    def step(x, index):
        return ops.exp(x) @ ops.transpose(x), ops.take(x, index, axis=0), index + 1

    x, index = normal(3, 4), np.array([2, 0], np.int32)
    run = compile_step(step, (x, index))
    for changed in (x, -x):
        product, rows, following = run(changed, index)
        np.testing.assert_allclose(product, np.exp(changed) @ changed.T, rtol=1e-5)
        np.testing.assert_array_equal(rows, changed[[2, 0]])
        np.testing.assert_array_equal(following, [3, 1])
        assert (product.dtype, following.dtype) == (np.float32, np.int32)


def test_float32_is_exact_on_a_cpu_with_bfloat16():
    """Without a hint, OpenVINO may multiply float32 matrices in bfloat16."""
    x, weights = normal(64, 256), normal(256, 64)
    (product,) = compile_step(lambda x: (ops.matmul(x, weights),), (x,))(x)
    exact = x.astype("float64") @ weights
    assert np.abs(product - exact).max() < 1e-5 * np.abs(exact).max()


def test_bfloat16_is_used_where_the_cpu_has_it():
    x, weights = normal(64, 256), normal(256, 64)
    (product,) = compile_step(lambda x: (ops.matmul(x, weights),), (x,), "bfloat16")(x)
    exact = x.astype("float64") @ weights
    error = np.abs(product - exact).max() / np.abs(exact).max()
    assert error < 2**-7
    assert (error > 1e-5) == cpu_has_bfloat16()


def test_graphs_of_bfloat16_are_computed_in_float32():
    """In bfloat16, 256 + 1 would be 256."""

    def step(x):
        one = ops.cast(1.0, "bfloat16")
        return ((x + one) - x, ops.cast(x, "float32") / 3)

    x = bfloat16([256.0, -1024.0])
    difference, third = compile_step(step, (x,))(x)
    np.testing.assert_array_equal(difference.astype("float32"), [1, 1])
    np.testing.assert_allclose(third, [256 / 3, -1024 / 3], rtol=1e-6)
    assert (difference.dtype.name, third.dtype.name) == ("bfloat16", "float32")
