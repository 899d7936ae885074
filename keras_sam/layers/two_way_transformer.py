"""`TwoWayTransformer`: prompt tokens and image tokens attend to each other."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_sam.layers.downsampled_attention import DownsampledAttention
from keras_sam.layers.layer_norm import LayerNorm
from keras_sam.layers.mlp import MLP


class DecoderImageCache(NamedTuple):
    """The decoder's work that depends on the image alone, shared by all its prompts.

    Attributes:
        keys: image tokens `(B, T, D)`.
        positions: their positional encoding `(1, T, D)`.
        attended_keys: keys `(B, K, T, d)` of the first attention of tokens to the image.
        attended_values: its values `(B, K, T, d)`.
        image_queries: queries `(B, K, T, d)` of the first attention of the image to tokens.
        hq_features: `(B, L, L, D / 8)` of `HighQualityBranch`, or `None` without one.
    """

    keys: Any
    positions: Any
    attended_keys: Any
    attended_values: Any
    image_queries: Any
    hq_features: Any = None


class TwoWayBlock(keras.layers.Layer):
    """Self-attention of tokens, tokens to image, MLP, image to tokens.

    Args:
        hidden_size: width of the tokens.
        num_heads: number of heads.
        intermediate_dim: hidden width of the MLP.
        is_first: the first block attends to its tokens without positions and keeps only what
            the self-attention gives.
    """

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        intermediate_dim: int,
        *,
        is_first: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.is_first = is_first
        self.self_attention = self._attention("self_attention", 1)
        self.token_to_image_attention = self._attention("token_to_image_attention", 2)
        self.mlp = MLP(intermediate_dim, hidden_size, dtype=self.dtype_policy, name="mlp")
        self.image_to_token_attention = self._attention("image_to_token_attention", 2)
        self.layer_norm1, self.layer_norm2, self.layer_norm3, self.layer_norm4 = (
            LayerNorm(epsilon=1e-5, dtype=self.dtype_policy, name=f"layer_norm{index}")
            for index in range(1, 5)
        )

    def build(self, input_shape: Any = None) -> None:
        shape = (None, None, self.hidden_size)
        self.self_attention.build()
        self.token_to_image_attention.build()
        self.image_to_token_attention.build()
        self.mlp.build(shape)
        for norm in (self.layer_norm1, self.layer_norm2, self.layer_norm3, self.layer_norm4):
            norm.build(shape)

    def call(
        self,
        queries: Any,
        features: DecoderImageCache,
        query_positions: Any,
        query_mask: Any = None,
    ) -> tuple[Any, Any]:
        """One block for all prompts.

        Args:
            queries: `(B, P, N, D)`.
            features: of `B` images; in later blocks with the keys of `B * P`.
            query_positions: `(B, P, N, D)`.
            query_mask: boolean `(B, P, N)`, or `None`.

        Returns:
            Queries `(B, P, N, D)` and image tokens `(B * P, T, D)`.
        """
        _, prompts, length, _ = ops.shape(queries)
        shape = (-1, prompts, length, self.hidden_size)
        query_positions = _merge_prompts(query_positions)
        queries = _merge_prompts(queries)  # (B * P, N, D)
        mask = None if query_mask is None else ops.reshape(query_mask, (-1, length))
        # Tokens to tokens.
        if self.is_first:
            queries = self.self_attention(queries, queries, queries, mask)
        else:
            placed = queries + query_positions
            queries = queries + self.self_attention(placed, placed, queries, mask)
        queries = self.layer_norm1(queries)
        # Tokens to image: the prompts of an image are one long query to its shared keys.
        placed = queries + query_positions
        queries = queries + self._to_image(placed, features, prompts)
        queries = self.layer_norm2(queries)
        # Each token by itself.
        queries = self.layer_norm3(queries + self.mlp(queries))
        # Image to tokens.
        placed = queries + query_positions
        image_tokens = self._from_image(features, placed, queries, mask, prompts)
        return ops.reshape(queries, shape), self.layer_norm4(image_tokens)

    def decoder_cache(self, keys: Any, positions: Any) -> DecoderImageCache:
        """Everything this block computes of image tokens `(B, T, D)` alone."""
        placed = keys + positions
        to_image, to_tokens = self.token_to_image_attention, self.image_to_token_attention
        return DecoderImageCache(
            keys=keys,
            positions=positions,
            attended_keys=to_image.heads(to_image.key, placed),
            attended_values=to_image.heads(to_image.value, keys),
            image_queries=to_tokens.heads(to_tokens.query, placed),
        )

    def _to_image(self, placed: Any, features: DecoderImageCache, prompts: Any) -> Any:
        """Queries `(B * P, N, D)` attend to the tokens of `B` or of `B * P` images."""
        cross = self.token_to_image_attention
        if not self.is_first:
            return cross.token_to_image(placed, features.keys + features.positions, features.keys)
        length = ops.shape(placed)[1]
        placed = ops.reshape(placed, (-1, prompts * length, self.hidden_size))
        query = cross.heads(cross.query, placed)
        attended = cross.attend(query, features.attended_keys, features.attended_values)
        return ops.reshape(attended, (-1, length, self.hidden_size))

    def _from_image(
        self, features: DecoderImageCache, placed: Any, queries: Any, mask: Any, prompts: Any
    ) -> Any:
        """Image tokens `(B * P, T, D)`, with what they make of the queries `(B * P, N, D)`."""
        cross, tokens = self.image_to_token_attention, features.keys
        if not self.is_first:
            return tokens + cross.image_to_token(tokens + features.positions, placed, queries, mask)
        attended = cross.image_to_token(
            features.image_queries, placed, queries, mask, prompts=prompts
        )
        attended = ops.reshape(attended, (-1, prompts, *tokens.shape[1:]))
        return ops.reshape(tokens[:, None] + attended, (-1, *tokens.shape[1:]))

    def _attention(self, name: str, downsample_rate: int) -> DownsampledAttention:
        return DownsampledAttention(
            self.hidden_size,
            self.num_heads,
            downsample_rate=downsample_rate,
            dtype=self.dtype_policy,
            name=name,
        )


class TwoWayTransformer(keras.layers.Layer):
    """Blocks of two-way attention, then a last attention of the tokens to the image.

    Args:
        num_layers: number of blocks, at least 1.
        hidden_size: width of the tokens.
        num_heads: number of heads.
        intermediate_dim: hidden width of the blocks' MLP.
    """

    def __init__(
        self,
        num_layers: int,
        hidden_size: int,
        num_heads: int,
        intermediate_dim: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_layers < 1:
            raise ValueError(f"num_layers must be at least 1, got {num_layers}")
        self.num_layers = num_layers
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.blocks = [
            TwoWayBlock(
                hidden_size,
                num_heads,
                intermediate_dim,
                is_first=index == 0,
                dtype=self.dtype_policy,
                name=f"blocks_{index}",
            )
            for index in range(num_layers)
        ]
        self.final_attention = DownsampledAttention(
            hidden_size,
            num_heads,
            downsample_rate=2,
            dtype=self.dtype_policy,
            name="final_attention",
        )
        self.final_layer_norm = LayerNorm(
            epsilon=1e-5, dtype=self.dtype_policy, name="final_layer_norm"
        )

    def build(self, input_shape: Any = None) -> None:
        for block in self.blocks:
            block.build()
        self.final_attention.build()
        self.final_layer_norm.build((None, None, self.hidden_size))

    def call(
        self, features: DecoderImageCache, tokens: Any, token_mask: Any = None
    ) -> tuple[Any, Any]:
        """Tokens `(B, P, N, D)`, their mask `(B, P, N)` and the features of `B` images.

        Returns:
            Tokens `(B * P, N, D)` and image tokens `(B * P, T, D)`.
        """
        positions = features.positions
        queries, keys = self.blocks[0](tokens, features, tokens, token_mask)
        for block in self.blocks[1:]:
            features = features._replace(keys=keys)
            queries, keys = block(queries, features, tokens, token_mask)
        placed = _merge_prompts(queries + tokens)
        queries = _merge_prompts(queries)
        queries = queries + self.final_attention.token_to_image(placed, keys + positions, keys)
        return self.final_layer_norm(queries), keys


def _merge_prompts(tokens: Any) -> Any:
    """`(B, P, N, D)` to `(B * P, N, D)`."""
    return ops.reshape(tokens, (-1, *ops.shape(tokens)[2:]))
