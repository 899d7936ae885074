"""`TinyViTBlock`: an attention block of TinyViT."""

from typing import Any

import keras

from keras_sam.layers.conv_norm import ConvNorm
from keras_sam.layers.layer_norm import LayerNorm
from keras_sam.layers.mlp import MLP
from keras_sam.layers.window_attention import WindowAttention


class TinyViTBlock(keras.layers.Layer):
    """Window attention, a depthwise convolution and an MLP (arXiv 2207.10666).

    Attention and MLP are residual, each after a layer norm. The 3 x 3 convolution between them
    connects the windows and has no residual connection.

    Args:
        num_heads: Number of heads. Divides `hidden_size`.
        intermediate_dim: Hidden width of the MLP.
        hidden_size: Width of a token.
        window_size: Side of an attention window in tokens.
        use_batch_norm: If True, a batch norm follows the convolution.
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
        """Transform a grid `(B, H, W, hidden_size)`; the shape stays the same."""
        grid = self.local_conv(grid + self.attention(grid))
        return grid + self.mlp(self.layer_norm(grid))
