"""`MBConv`: an inverted residual block."""

from typing import Any

import keras

from keras_sam.layers.activation import gelu
from keras_sam.layers.conv_norm import ConvNorm


class MBConv(keras.layers.Layer):
    """An inverted residual block (arXiv 1801.04381): 1 x 1, depthwise 3 x 3, 1 x 1 convolution.

    As in TinyViT, there is no squeeze and excitation, and a GELU follows the residual addition too.

    Args:
        hidden_size: Width of a token.
        expansion: Width of the depthwise convolution divided by `hidden_size`.
        use_batch_norm: If True, a batch norm follows each convolution.
    """

    def __init__(
        self, hidden_size: int, *, expansion: int = 4, use_batch_norm: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.expansion = expansion
        self.use_batch_norm = use_batch_norm
        settings = {"use_batch_norm": use_batch_norm, "dtype": self.dtype_policy}
        self.conv1 = ConvNorm(hidden_size * expansion, name="conv1", **settings)
        self.conv2 = ConvNorm(None, 3, name="conv2", **settings)
        self.conv3 = ConvNorm(hidden_size, name="conv3", **settings)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        expanded_shape = (*input_shape[:-1], self.hidden_size * self.expansion)
        self.conv1.build(input_shape)
        self.conv2.build(expanded_shape)
        self.conv3.build(expanded_shape)

    def call(self, grid: Any) -> Any:
        """Transform a grid `(B, H, W, hidden_size)`; the shape stays the same."""
        x = gelu(self.conv1(grid))
        x = gelu(self.conv2(x))
        return gelu(grid + self.conv3(x))
