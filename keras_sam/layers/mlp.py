"""`MLP`: dense layers with an activation between them."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.activation import get_activation
from keras_sam.layers.linear import linear


class MLP(keras.layers.Layer):
    """Dense layers with an activation after each except the last.

    Args:
        hidden_dim: Width of all layers except the last.
        output_dim: Width of the last layer.
        num_layers: Number of dense layers, at least 1.
        activation: Name of a Keras activation.

    Raises:
        ValueError: If `num_layers` is less than 1.
    """

    def __init__(
        self,
        hidden_dim: int,
        output_dim: int,
        *,
        num_layers: int = 2,
        activation: str = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_layers < 1:
            raise ValueError(f"num_layers must be at least 1, got {num_layers}")
        self.hidden_dim = hidden_dim
        self.output_dim = output_dim
        self.num_layers = num_layers
        self.activation = activation
        widths = [hidden_dim] * (num_layers - 1) + [output_dim]
        self.dense_layers = [
            keras.layers.Dense(width, dtype=self.dtype_policy, name=f"dense{index}")
            for index, width in enumerate(widths, start=1)
        ]
        self.activate = get_activation(activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = input_shape[-1]
        for dense in self.dense_layers:
            dense.build((None, width))
            width = dense.units

    def call(self, inputs: Any) -> Any:
        """Convert inputs `(..., C)` to outputs `(..., output_dim)`."""
        shape = ops.shape(inputs)
        # TensorFlow fuses activations only into products of two matrices.
        is_flat = keras.backend.backend() == "tensorflow"
        x = ops.reshape(inputs, (-1, shape[-1])) if is_flat else inputs
        for dense in self.dense_layers[:-1]:
            x = self.activate(linear(dense, x))
        x = linear(self.dense_layers[-1], x)
        return ops.reshape(x, (*shape[:-1], self.output_dim)) if is_flat else x
