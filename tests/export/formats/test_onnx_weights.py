"""Smaller weights of a small graph."""

import numpy as np
import onnx_ir
import onnxruntime
import pytest

from keras_sam.export.formats.onnx_weights import quantize_to_uint8, store_as_float16


def matmul_model(kernel, *, returns_kernel=False):
    """A model that multiplies inputs `(1, 32)` by a kernel."""
    float32 = onnx_ir.DataType.FLOAT
    inputs = onnx_ir.Value(
        name="inputs", shape=onnx_ir.Shape([1, 32]), type=onnx_ir.TensorType(float32)
    )
    weight = onnx_ir.Value(name="kernel", const_value=onnx_ir.tensor(kernel, name="kernel"))
    weight.shape, weight.dtype = onnx_ir.Shape(kernel.shape), float32
    node = onnx_ir.node("MatMul", [inputs, weight])
    output = node.outputs[0]
    output.name, output.dtype = "outputs", float32
    output.shape = onnx_ir.Shape([1, kernel.shape[1]])
    outputs = [output, weight] if returns_kernel else [output]
    graph = onnx_ir.Graph(
        [inputs], outputs, nodes=[node], initializers=[weight], opset_imports={"": 18}, name="g"
    )
    return onnx_ir.Model(graph, ir_version=8)


def run(model):
    inputs = np.random.default_rng(1).normal(size=(1, 32)).astype("float32")
    content = model.read_bytes() if hasattr(model, "read_bytes") else None
    content = content or onnx_ir.to_proto(model).SerializeToString()
    return inputs, onnxruntime.InferenceSession(content).run(None, {"inputs": inputs})[0]


@pytest.fixture
def kernel():
    return np.random.default_rng(0).normal(size=(32, 64)).astype("float32")


def test_float16_weights_are_rounded_and_computed_in_float32(kernel):
    model = matmul_model(kernel)
    store_as_float16(model)
    (stored,) = model.graph.initializers.values()
    assert stored.dtype == onnx_ir.DataType.FLOAT16
    inputs, outputs = run(model)
    expected = inputs @ kernel.astype("float16").astype("float32")
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 1e6])
def test_small_and_large_weights_stay_float32(scale):
    kernel = np.full((32, 4 if scale == 1 else 64), scale, "float32")
    model = matmul_model(kernel)
    store_as_float16(model)
    (stored,) = model.graph.initializers.values()
    assert stored.dtype == onnx_ir.DataType.FLOAT


def test_weights_that_are_outputs_stay_float32(kernel):
    model = matmul_model(kernel, returns_kernel=True)
    store_as_float16(model)
    assert [value.name for value in model.graph.outputs] == ["outputs", "kernel"]
    assert model.graph.outputs[1].dtype == onnx_ir.DataType.FLOAT


def test_quantized_products_are_close(kernel, tmp_path):
    source, destination = tmp_path / "exact.onnx", tmp_path / "small.onnx"
    onnx_ir.save(matmul_model(kernel), source)
    quantize_to_uint8(source, destination)
    _, expected = run(source)
    _, actual = run(destination)
    error = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
    assert 1e-4 < error < 0.05
    assert destination.stat().st_size < 0.6 * source.stat().st_size
