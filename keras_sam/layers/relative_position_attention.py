"""`RelativePositionAttention`: self-attention over a grid or within its windows."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.attention import attention, relative_position_attention
from keras_sam.layers.export_mode import is_exporting
from keras_sam.layers.linear import linear, project_without_bias
from keras_sam.layers.windows import pad_grid


class RelativePositionAttention(keras.layers.Layer):
    """Self-attention over the whole embedding grid or within windows, as in ViTDet and SAM.

    A grid whose sides are not multiples of the window size is padded with zeros. The query, key and
    value of a padding token equal the bias of the projection, so they are never computed. Padding
    keys take part in the softmax, as in the released code of SAM. Padding queries are dropped
    before the output projection.

    Args:
        num_heads: Number of heads.
        head_dim: Width of a head.
        grid_size: `(height, width)` of the grid in tokens.
        output_dim: Width of the output. Defaults to `num_heads * head_dim`.
        window_size: Side of an attention window in tokens. 0 attends to the whole grid.
        use_bias: If True, query, key and value are projected with a bias.
        use_rel_pos: If True, the decomposed relative position bias is added.
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
        """`(height, width)` of the keys of a query in tokens: a window, or the whole grid."""
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
        """Attend within a grid.

        Args:
            grid: Normalized tokens `(B, H, W, C)`.

        Returns:
            Tokens `(B, H, W, output_dim)`.
        """
        # Project the tokens of the grid, then pad: the bias is added to padding tokens too.
        if self.window_size:
            qkv = pad_grid(project_without_bias(self.qkv, grid), self.window_size)
            if self.use_bias:
                qkv = qkv + self.qkv.bias
        else:
            qkv = linear(self.qkv, grid)
        # Attend.
        query, key, value = self._split(qkv)
        if self.use_rel_pos:
            rel_pos = ops.convert_to_tensor(self.rel_pos_h), ops.convert_to_tensor(self.rel_pos_w)
            attended = relative_position_attention(
                query, key, value, *rel_pos, grid_size=self.attended_size
            )
        else:
            attended = attention(query, key, value)
        # Drop padding queries, then project.
        attended = self._merge(attended, (qkv.shape[1], qkv.shape[2]))
        return linear(self.projection, attended[:, : self.grid_size[0], : self.grid_size[1]])

    def _split(self, qkv: Any) -> tuple[Any, Any, Any]:
        """Split a grid `(B, H, W, 3 * K * d)` into query, key and value `(N, K, T, d)`.

        `N` is the number of windows in the batch, in row-major order within each image.
        """
        height, width = self.attended_size
        rows, columns = qkv.shape[1] // height, qkv.shape[2] // width
        heads, head_dim = self.num_heads, self.head_dim
        if is_exporting():  # LiteRT transposes at most six axes
            qkv = ops.reshape(qkv, (-1, height, columns, width, 3 * heads, head_dim))
            qkv = ops.transpose(qkv, (0, 2, 4, 1, 3, 5))  # (B * rows, columns, 3 * K, ...)
            qkv = ops.reshape(qkv, (-1, 3, heads, height * width, head_dim))
            return qkv[:, 0], qkv[:, 1], qkv[:, 2]
        qkv = ops.reshape(qkv, (-1, rows, height, columns, width, 3, heads, head_dim))
        qkv = ops.transpose(qkv, (5, 0, 1, 3, 6, 2, 4, 7))
        qkv = ops.reshape(qkv, (3, -1, heads, height * width, head_dim))
        return qkv[0], qkv[1], qkv[2]

    def _merge(self, attended: Any, size: tuple[int, int]) -> Any:
        """Merge windows `(N, K, T, d)` into a grid `(B, *size, K * d)`."""
        height, width = self.attended_size
        columns = size[1] // width
        heads, head_dim = self.num_heads, self.head_dim
        grid = ops.reshape(attended, (-1, columns, heads, height, width, head_dim))
        grid = ops.transpose(grid, (0, 3, 1, 4, 2, 5))  # (B * rows, height, columns, width, K, d)
        return ops.reshape(grid, (-1, *size, heads * head_dim))
