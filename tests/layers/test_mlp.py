"""MLPs, compared with NumPy."""

import pytest
from keras import ops

from keras_sam.layers.mlp import MLP
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, random, randomize


@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 4)])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_mlp_activates_all_layers_except_the_last(num_layers, shape):
    layer = MLP(6, 5, num_layers=num_layers)
    layer.build(shape)
    randomize(layer)
    inputs = random(*shape)
    assert len(layer.dense_layers) == num_layers
    assert_close(layer(ops.convert_to_tensor(inputs)), numpy_reference.mlp(layer, inputs))


def test_no_layers_raise():
    with pytest.raises(ValueError, match="num_layers must be at least 1, got 0"):
        MLP(6, 5, num_layers=0)
