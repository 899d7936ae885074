"""`MBConv`: an inverted residual block of convolutions."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.conv_norm import ConvNorm


class MBConv(keras.layers.Layer):
    """Widens, convolves each channel and narrows again, added to its input (arXiv 1801.04381).

    As in TinyViT, without squeeze and excitation, and with a GELU after the addition too.

    Args:
        hidden_size: width of a token.
        expansion: the width within, by `hidden_size`.
        use_batch_norm: whether a batch norm follows each convolution.
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
        wide_shape = (*input_shape[:-1], self.hidden_size * self.expansion)
        self.conv1.build(input_shape)
        self.conv2.build(wide_shape)
        self.conv3.build(wide_shape)

    def call(self, grid: Any) -> Any:
        """`(B, H, W, hidden_size)` to the same shape."""
        x = ops.gelu(self.conv1(grid), approximate=False)
        x = ops.gelu(self.conv2(x), approximate=False)
        return ops.gelu(grid + self.conv3(x), approximate=False)
