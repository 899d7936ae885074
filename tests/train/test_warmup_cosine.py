"""The learning-rate schedule."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.train import WarmupCosine


def rates(schedule: WarmupCosine, *steps: int) -> list[float]:
    return [float(ops.convert_to_numpy(schedule(step))) for step in steps]


def test_the_rate_rises_linearly():
    assert rates(WarmupCosine(2.0, 100, warmup=10), 0, 4, 9) == pytest.approx([0.2, 1.0, 2.0])


def test_the_rate_falls_along_a_cosine_to_a_twentieth():
    schedule = WarmupCosine(2.0, 110, warmup=10)
    steps = np.arange(10, 111, 20)
    expected = 2 * (0.05 + 0.95 * (1 + np.cos(np.pi * (steps - 10) / 100)) / 2)
    assert rates(schedule, *steps) == pytest.approx(list(expected))
    assert rates(schedule, 110, 500) == pytest.approx([0.1, 0.1])


def test_warmup_is_at_most_half_of_the_steps():
    assert rates(WarmupCosine(1.0, 8), 3) == pytest.approx([1.0])
    assert rates(WarmupCosine(1.0, 1), 0) == pytest.approx([1.0])


def test_an_optimizer_with_the_schedule_is_restored_from_its_config():
    optimizer = keras.optimizers.SGD(WarmupCosine(0.5, 40, warmup=10))
    config = keras.saving.serialize_keras_object(optimizer)
    restored = keras.saving.deserialize_keras_object(config)
    optimizer.iterations.assign(7)
    restored.iterations.assign(7)
    assert float(ops.convert_to_numpy(restored.learning_rate)) == pytest.approx(0.4)
    assert float(ops.convert_to_numpy(optimizer.learning_rate)) == pytest.approx(0.4)
