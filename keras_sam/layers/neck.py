"""`Neck`: from the width of the image encoder to that of the mask decoder."""

from typing import Any

import keras

from keras_sam.layers.layer_norm import LayerNorm


class Neck(keras.layers.Layer):
    """A 1 x 1 and a 3 x 3 convolution without bias, each followed by a layer norm.

    Args:
        num_output_channels: Width `D` of the image embedding.
    """

    def __init__(self, num_output_channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_output_channels = num_output_channels
        self.conv1 = keras.layers.Conv2D(
            num_output_channels, 1, use_bias=False, dtype=self.dtype_policy, name="conv1"
        )
        self.layer_norm1 = LayerNorm(epsilon=1e-6, dtype=self.dtype_policy, name="layer_norm1")
        self.conv2 = keras.layers.Conv2D(
            num_output_channels,
            3,
            padding="same",
            use_bias=False,
            dtype=self.dtype_policy,
            name="conv2",
        )
        self.layer_norm2 = LayerNorm(epsilon=1e-6, dtype=self.dtype_policy, name="layer_norm2")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.conv1.build(input_shape)
        output_shape = (*input_shape[:-1], self.num_output_channels)
        for layer in (self.layer_norm1, self.conv2, self.layer_norm2):
            layer.build(output_shape)

    def call(self, grid: Any) -> Any:
        """Convert a grid `(B, G, G, E)` to an image embedding `(B, G, G, num_output_channels)`."""
        return self.layer_norm2(self.conv2(self.layer_norm1(self.conv1(grid))))
