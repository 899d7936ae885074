"""`ViTBlock`: a transformer block of the ViTDet image encoder."""

from typing import Any

import keras

from keras_sam.layers.layer_norm import LayerNorm
from keras_sam.layers.mlp import MLP
from keras_sam.layers.relative_position_attention import RelativePositionAttention


class ViTBlock(keras.layers.Layer):
    """Attention and an MLP, both residual and each after a layer norm.

    Args:
        num_heads: Number of heads. Divides `hidden_size`.
        intermediate_dim: Hidden width of the MLP.
        grid_size: `(height, width)` of the grid in tokens.
        hidden_size: Width of a token.
        window_size: Side of an attention window in tokens. 0 attends to the whole grid.
        use_bias: If True, query, key and value are projected with a bias.
        use_rel_pos: If True, the decomposed relative position bias is added.
        layer_norm_epsilon: Epsilon of both layer norms.
        activation: Name of a Keras activation, used in the MLP.
    """

    def __init__(
        self,
        num_heads: int,
        intermediate_dim: int,
        *,
        grid_size: tuple[int, int],
        hidden_size: int,
        window_size: int = 0,
        use_bias: bool = True,
        use_rel_pos: bool = True,
        layer_norm_epsilon: float = 1e-6,
        activation: str = "gelu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.grid_size = tuple(grid_size)
        self.hidden_size = hidden_size
        self.window_size = window_size
        self.use_bias = use_bias
        self.use_rel_pos = use_rel_pos
        self.layer_norm_epsilon = layer_norm_epsilon
        self.activation = activation
        self.layer_norm1 = LayerNorm(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy, name="layer_norm1"
        )
        self.attention = RelativePositionAttention(
            num_heads,
            hidden_size // num_heads,
            grid_size=grid_size,
            output_dim=hidden_size,
            window_size=window_size,
            use_bias=use_bias,
            use_rel_pos=use_rel_pos,
            dtype=self.dtype_policy,
            name="attention",
        )
        self.layer_norm2 = LayerNorm(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy, name="layer_norm2"
        )
        self.mlp = MLP(
            intermediate_dim,
            hidden_size,
            activation=activation,
            dtype=self.dtype_policy,
            name="mlp",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for layer in (self.layer_norm1, self.attention, self.layer_norm2, self.mlp):
            layer.build(input_shape)

    def call(self, grid: Any) -> Any:
        """Transform a grid `(B, H, W, hidden_size)`; the shape stays the same."""
        grid = grid + self.attention(self.layer_norm1(grid))
        return grid + self.mlp(self.layer_norm2(grid))
