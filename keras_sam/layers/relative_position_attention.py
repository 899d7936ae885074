"""`RelativePositionAttention`: self-attention over a grid or over its windows."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.attention import attention, relative_position_attention
from keras_sam.layers.linear import linear
from keras_sam.layers.windows import grid_to_windows, pad_grid, windows_to_grid


class RelativePositionAttention(keras.layers.Layer):
    """Self-attention over an embedding grid, whole or in windows, as in ViTDet and SAM.

    A grid that the window does not divide is padded. The tokens are normalised before they are
    padded, so a padded token is zero and its query, key and value are the bias of the
    projection: they are filled in and never computed. Padded keys stay, since they take their
    share of the softmax; padded queries are dropped before the output is projected.

    Args:
        num_heads: number of heads.
        head_dim: width of a head.
        grid_size: `(height, width)` of the grid in tokens.
        output_dim: width of the output; the input's width if `None`.
        window_size: side of a window in tokens; 0 attends over the whole grid.
        use_bias: whether query, key and value are projected with a bias.
        use_rel_pos: whether to add the decomposed relative position bias.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        *,
        grid_size: tuple[int, int],
        output_dim: int | None = None,
        window_size: int = 0,
        use_bias: bool = True,
        use_rel_pos: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.grid_size = (grid_size[0], grid_size[1])
        self.output_dim = output_dim
        self.window_size = window_size
        self.use_bias = use_bias
        self.use_rel_pos = use_rel_pos
        self.qkv = keras.layers.Dense(
            3 * num_heads * head_dim, use_bias=use_bias, dtype=self.dtype_policy, name="qkv"
        )
        self.projection = keras.layers.Dense(
            output_dim or num_heads * head_dim, dtype=self.dtype_policy, name="projection"
        )

    @property
    def attended_size(self) -> tuple[int, int]:
        """`(height, width)` of what one query sees: a window, or the whole grid."""
        return (self.window_size, self.window_size) if self.window_size else self.grid_size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.qkv.build(input_shape)
        self.projection.build((*input_shape[:-1], self.num_heads * self.head_dim))
        if self.use_rel_pos:
            height, width = self.attended_size
            self.rel_pos_h = self.add_weight(
                name="rel_pos_h", shape=(2 * height - 1, self.head_dim), initializer="zeros"
            )
            self.rel_pos_w = self.add_weight(
                name="rel_pos_w", shape=(2 * width - 1, self.head_dim), initializer="zeros"
            )

    def call(self, grid: Any) -> Any:
        """`(B, H, W, C)` to `(B, H, W, output_dim)`."""
        # Project the tokens that exist; in windows, padded ones get the bias.
        if self.window_size:
            qkv = pad_grid(ops.matmul(grid, self.qkv.kernel), self.window_size)
            if self.use_bias:
                qkv = qkv + self.qkv.bias
            qkv = grid_to_windows(qkv, self.window_size)
        else:
            qkv = linear(self.qkv, grid)
        # Attend.
        attended = self._attend(qkv)
        # Drop padded queries, then project.
        if self.window_size:
            attended = windows_to_grid(attended, self.grid_size)
        return linear(self.projection, attended)

    def _attend(self, qkv: Any) -> Any:
        """`(N, h, w, 3 * K * d)` to `(N, h, w, K * d)`."""
        height, width = self.attended_size
        heads, head_dim = self.num_heads, self.head_dim
        qkv = ops.reshape(qkv, (-1, height * width, 3, heads, head_dim))
        qkv = ops.transpose(qkv, (2, 0, 3, 1, 4))  # (3, N, K, T, d)
        query, key, value = qkv[0], qkv[1], qkv[2]
        if self.use_rel_pos:
            rel_pos = ops.convert_to_tensor(self.rel_pos_h), ops.convert_to_tensor(self.rel_pos_w)
            attended = relative_position_attention(
                query, key, value, *rel_pos, grid_size=self.attended_size
            )
        else:
            attended = attention(query, key, value)
        attended = ops.transpose(attended, (0, 2, 1, 3))  # (N, T, K, d)
        return ops.reshape(attended, (-1, height, width, heads * head_dim))
