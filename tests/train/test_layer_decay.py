"""Lower learning rates for earlier blocks, against AdamW in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.models.weight_names import weights_by_name
from keras_sam.train.layer_decay import LayerDecayAdamW, layer_rates
from tests.tiny_model import tiny_model

LEARNING_RATE, WEIGHT_DECAY = 0.1, 0.05
EPSILON = 1e-3  # so large that rounded gradients near 0 have no effect
RATES = {"net/first": 0.25, "net/second": 0.5}


def numpy_adamw(value: np.ndarray, gradients: list[np.ndarray], rate: float) -> np.ndarray:
    """AdamW (arXiv 1711.05101), with Adam in the form of the end of section 2 of 1412.6980."""
    first, second = np.zeros_like(value), np.zeros_like(value)
    for step, gradient in enumerate(gradients, start=1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        correction = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        update = correction * first / (np.sqrt(second) + EPSILON)
        value = value - rate * (update + WEIGHT_DECAY * value)
    return value


def build_net() -> keras.Model:
    """Three dense layers without activations: `y = x a b c`."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3, use_bias=False, name=n) for n in ("first", "second", "third")]
    net = keras.Sequential(layers, name="net")
    net.build((None, 3))
    return net


@pytest.mark.training
@pytest.mark.parametrize("jit_compile", [False, True])
def test_each_layer_is_updated_as_by_adamw_with_its_rate(jit_compile):
    if jit_compile and keras.backend.backend() == "torch":
        pytest.skip("torch.compile needs a compiler")
    net = build_net()
    optimizer = LayerDecayAdamW(
        LEARNING_RATE, layer_rates=RATES, weight_decay=WEIGHT_DECAY, epsilon=EPSILON
    )
    net.compile(optimizer, loss="mse", jit_compile=jit_compile)
    x, y = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    values = [ops.convert_to_numpy(kernel).astype("float64") for kernel in net.weights]
    starts, gradients = list(values), [[], [], []]
    factors = (0.25, 0.5, 1.0)
    for _ in range(3):
        net.train_on_batch(x, y)
        a, b, c = values
        error = 2 * (x @ a @ b @ c - y) / y.size
        for index, gradient in enumerate(
            (x.T @ error @ c.T @ b.T, (x @ a).T @ error @ c.T, (x @ a @ b).T @ error)
        ):
            gradients[index].append(gradient)
            rate = factors[index] * LEARNING_RATE
            values[index] = numpy_adamw(starts[index], gradients[index], rate)
    for kernel, value in zip(net.weights, values, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(kernel), value, rtol=1e-4, atol=5e-5)


def test_a_schedule_is_scaled_too():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [LEARNING_RATE, 0.0])
    variable = keras.Variable(np.ones(2, "float32"), name="w")
    optimizer = LayerDecayAdamW(schedule, layer_rates={}, weight_decay=0.0)
    optimizer.build([variable])
    for _ in range(2):  # the second step has a rate of 0
        optimizer.apply([ops.ones(2)], [variable])
    np.testing.assert_allclose(ops.convert_to_numpy(variable), 1 - LEARNING_RATE, rtol=1e-5)


def test_the_optimizer_is_restored_from_its_config():
    optimizer = LayerDecayAdamW(
        LEARNING_RATE, layer_rates=RATES, weight_decay=WEIGHT_DECAY, global_clipnorm=1.0
    )
    config = keras.saving.serialize_keras_object(optimizer)
    restored = keras.saving.deserialize_keras_object(config)
    assert isinstance(restored, LayerDecayAdamW)
    assert restored.get_config() == optimizer.get_config()
    assert restored.layer_rates == RATES


def test_rates_fall_from_block_to_block():
    model = tiny_model(num_layers=3)
    encoder = model.backbone.image_encoder
    optimizer = LayerDecayAdamW(1.0, layer_rates=layer_rates(encoder, 0.5))
    optimizer.build(model.trainable_variables)
    expected = {
        "image_encoder/patch_embedding/": 0.5**4,
        "image_encoder/position_embedding": 0.5**4,
        "image_encoder/blocks_0/": 0.5**3,
        "image_encoder/blocks_1/": 0.5**2,
        "image_encoder/blocks_2/": 0.5**1,
        "image_encoder/neck/": 1.0,
        "prompt_encoder/": 1.0,
        "mask_decoder/": 1.0,
    }
    names = {id(weight): name for name, weight in weights_by_name(model.backbone).items()}
    found = {
        prefix: {
            rate
            for variable, rate in zip(model.trainable_variables, optimizer._rates, strict=True)
            if names[id(variable)].startswith(prefix)
        }
        for prefix in expected
    }
    assert found == {prefix: {rate} for prefix, rate in expected.items()}


@pytest.mark.parametrize("decay", [0.0, 1.5])
def test_an_invalid_decay_raises(decay):
    with pytest.raises(ValueError, match=r"decay must be in \(0, 1\], got"):
        layer_rates(tiny_model().backbone.image_encoder, decay)
