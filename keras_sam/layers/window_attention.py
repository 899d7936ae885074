"""`WindowAttention`: self-attention within windows, with a learned bias per distance."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.attention import relative_bias_attention
from keras_sam.layers.layer_norm import LayerNorm
from keras_sam.layers.linear import linear
from keras_sam.layers.windows import grid_to_windows, pad_grid, windows_to_grid


class WindowAttention(keras.layers.Layer):
    """A layer norm and self-attention within the windows of a grid, as in TinyViT.

    A grid whose sides are not multiples of the window size is padded with zeros before the layer
    norm. Padding tokens are normalized and projected like all others, and padding keys take part in
    the softmax. Padding queries are dropped before the output projection.

    Args:
        num_heads: Number of heads. Divides `hidden_size`.
        hidden_size: Width of a token.
        window_size: Side of an attention window in tokens.
    """

    def __init__(
        self, num_heads: int, *, hidden_size: int, window_size: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.hidden_size = hidden_size
        self.window_size = window_size
        self.layer_norm = LayerNorm(epsilon=1e-5, dtype=self.dtype_policy, name="layer_norm")
        self.qkv = keras.layers.Dense(3 * hidden_size, dtype=self.dtype_policy, name="qkv")
        self.projection = keras.layers.Dense(
            hidden_size, dtype=self.dtype_policy, name="projection"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.layer_norm.build(input_shape)
        self.qkv.build(input_shape)
        self.projection.build((*input_shape[:-1], self.hidden_size))
        self.distance_bias = self.add_weight(
            name="distance_bias", shape=(self.num_heads, self.window_size**2), initializer="zeros"
        )

    def call(self, grid: Any) -> Any:
        """Attend within windows of a grid `(B, H, W, hidden_size)`; the shape stays the same."""
        size = grid.shape[1], grid.shape[2]
        windows = grid_to_windows(pad_grid(grid, self.window_size), self.window_size)
        attended = self._attend(linear(self.qkv, self.layer_norm(windows)))
        return linear(self.projection, windows_to_grid(attended, size))

    def _attend(self, qkv: Any) -> Any:
        """Attend within N windows: from `(N, S, S, K * 3 * d)` to `(N, S, S, K * d)`."""
        side, heads = self.window_size, self.num_heads
        qkv = ops.reshape(qkv, (-1, side * side, heads, 3, self.hidden_size // heads))
        qkv = ops.transpose(qkv, (3, 0, 2, 1, 4))  # (3, N, K, T, d)
        bias = ops.convert_to_tensor(self.distance_bias)
        attended = relative_bias_attention(qkv[0], qkv[1], qkv[2], bias, window_size=side)
        attended = ops.transpose(attended, (0, 2, 1, 3))  # (N, T, K, d)
        return ops.reshape(attended, (-1, side, side, self.hidden_size))
