"""Inference mode of PyTorch, and traced steps."""

import keras
import numpy as np
import pytest

from keras_sam.engines.torch_engine import TorchEngine, TracedStep
from tests.engines.count_calls import count_calls

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="needs the PyTorch backend"
)

POINTS = np.array([[[[20, 30], [0, 0]], [[50, 40], [0, 0]]]], np.float32)
LABELS = np.array([[[1, -1], [1, -1]]], np.int32)


@pytest.fixture
def images():
    return np.random.default_rng(0).random((1, 64, 64, 3), dtype="float32")


def test_results_have_no_gradients(segmenter, images):
    engine = TorchEngine(segmenter)
    embedding = engine.encode(images)
    for tensor in (*embedding.values(), *engine.decoder_cache(embedding)):
        assert tensor.is_inference()
        assert not tensor.requires_grad


def test_the_engine_is_where_the_weights_are(segmenter):
    device = segmenter.weights[0].value.device.type
    assert TorchEngine(segmenter).is_on_cpu == (device == "cpu")


def test_decoding_runs_the_layers_only_twice(tiny_segmenter, images, monkeypatch):
    """Once eagerly and once to trace them."""
    model = tiny_segmenter(0)
    calls = count_calls(monkeypatch, model, "decode")
    engine = TorchEngine(model)
    embedding = engine.encode(images)
    cache = engine.decoder_cache(embedding)
    outputs = [engine.decode(embedding, cache, POINTS, LABELS) for _ in range(4)]
    assert len(calls) == 2
    for low_res_logits, iou_predictions in outputs[1:]:
        scale = np.abs(outputs[0][0]).max()
        np.testing.assert_allclose(low_res_logits, outputs[0][0], atol=1e-5 * scale)
        np.testing.assert_allclose(iou_predictions, outputs[0][1], rtol=1e-4, atol=1e-5)


def test_a_traced_step_uses_its_inputs_and_weights_of_each_call():
    import torch

    weight = torch.nn.Parameter(torch.tensor([2.0, 3.0]))
    calls = []

    def step(x, y):
        calls.append(None)
        return weight * x + y, x.sum()

    traced = TracedStep(step)
    for value in (1.0, -2.0, 0.5):
        with torch.no_grad():
            weight.mul_(value)
        x, y = torch.tensor([value, 4.0]), torch.tensor([1.0, value])
        product, total = traced(x, y)
        expected = weight.detach().numpy() * x.numpy() + y.numpy()
        np.testing.assert_allclose(product.numpy(), expected)
        assert float(total) == value + 4
        assert not product.requires_grad
    assert len(calls) == 2
