"""`TinyViTBlock`: one block of TinyViT with attention."""

from typing import Any

import keras

from keras_sam.layers.conv_norm import ConvNorm
from keras_sam.layers.layer_norm import LayerNorm
from keras_sam.layers.mlp import MLP
from keras_sam.layers.window_attention import WindowAttention


class TinyViTBlock(keras.layers.Layer):
    """Attention in windows, a convolution of each channel, and an MLP (arXiv 2207.10666).

    Attention and MLP each normalize their input and are added to it. The 3 x 3 convolution
    between them joins the windows, and is not added to anything.

    Args:
        num_heads: number of heads; divides `hidden_size`.
        intermediate_dim: hidden width of the MLP.
        hidden_size: width of a token.
        window_size: side of a window in tokens.
        use_batch_norm: whether a batch norm follows the convolution.
    """

    def __init__(
        self,
        num_heads: int,
        intermediate_dim: int,
        *,
        hidden_size: int,
        window_size: int,
        use_batch_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.hidden_size = hidden_size
        self.window_size = window_size
        self.use_batch_norm = use_batch_norm
        self.attention = WindowAttention(
            num_heads,
            hidden_size=hidden_size,
            window_size=window_size,
            dtype=self.dtype_policy,
            name="attention",
        )
        self.local_conv = ConvNorm(
            None, 3, use_batch_norm=use_batch_norm, dtype=self.dtype_policy, name="local_conv"
        )
        self.layer_norm = LayerNorm(epsilon=1e-5, dtype=self.dtype_policy, name="layer_norm")
        self.mlp = MLP(
            intermediate_dim, hidden_size, activation="gelu", dtype=self.dtype_policy, name="mlp"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for layer in (self.attention, self.local_conv, self.layer_norm, self.mlp):
            layer.build(input_shape)

    def call(self, grid: Any) -> Any:
        """`(B, H, W, hidden_size)` to the same shape."""
        grid = self.local_conv(grid + self.attention(grid))
        return grid + self.mlp(self.layer_norm(grid))
