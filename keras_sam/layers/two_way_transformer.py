"""`TwoWayTransformer`: attention between prompt tokens and image tokens, both ways."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_sam.layers.downsampled_attention import DownsampledAttention
from keras_sam.layers.layer_norm import LayerNorm
from keras_sam.layers.mlp import MLP


class DecoderImageCache(NamedTuple):
    """Intermediate results of the mask decoder that depend on the image alone.

    All prompts of an image share them. If each prompt has image tokens of its own, as with mask
    prompts, there are only `keys` and `positions`: projecting the tokens of one prompt costs more
    than `folded_attention`.

    Attributes:
        keys: Image tokens `(B, S, D)`, with the dense embedding added.
        positions: Positional encoding of the image tokens `(1, S, D)`.
        attended_keys: Keys `(B, K, S, d)` of the first attention of tokens to the image, or
            `None`.
        attended_values: Values `(B, K, S, d)` of the same attention, or `None`.
        image_queries: Queries `(B, K, S, d)` of the first attention of the image to tokens, or
            `None`.
        hq_features: High-quality features `(B, L, L, D / 8)` of SAM-HQ, or `None` for SAM.
    """

    keys: Any
    positions: Any
    attended_keys: Any = None
    attended_values: Any = None
    image_queries: Any = None
    hq_features: Any = None


class TwoWayBlock(keras.layers.Layer):
    """Self-attention of tokens, tokens to image, MLP, image to tokens.

    Args:
        hidden_size: Width of the tokens.
        num_heads: Number of heads.
        intermediate_dim: Hidden width of the MLP.
        is_first: If True, the self-attention has no positions and no residual connection, as in
            SAM's first block.
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
        cache: DecoderImageCache,
        query_positions: Any,
        query_mask: Any = None,
    ) -> tuple[Any, Any]:
        """Apply the block to all prompts.

        Args:
            queries: Tokens `(B, P, T, D)`.
            cache: Cache of `B` images, or only the keys of `B * P` prompts.
            query_positions: Positional encoding of the tokens `(B, P, T, D)`.
            query_mask: Boolean `(B, P, T)`, False for padding. If `None`, there is no padding.

        Returns:
            Tokens `(B, P, T, D)` and image tokens `(B * P, S, D)`.
        """
        _, prompts, length, _ = ops.shape(queries)
        shape = (-1, prompts, length, self.hidden_size)
        query_positions = _merge_prompts(query_positions)
        queries = _merge_prompts(queries)  # (B * P, T, D)
        mask = None if query_mask is None else ops.reshape(query_mask, (-1, length))
        # Tokens to tokens.
        if self.is_first:
            queries = self.self_attention(queries, queries, queries, mask)
        else:
            with_positions = queries + query_positions
            queries = queries + self.self_attention(with_positions, with_positions, queries, mask)
        queries = self.layer_norm1(queries)
        # Tokens to image.
        with_positions = queries + query_positions
        queries = queries + self._token_to_image(with_positions, cache, prompts)
        queries = self.layer_norm2(queries)
        # MLP.
        queries = self.layer_norm3(queries + self.mlp(queries))
        # Image to tokens.
        with_positions = queries + query_positions
        image_tokens = self._image_to_token(cache, with_positions, queries, mask, prompts)
        return ops.reshape(queries, shape), self.layer_norm4(image_tokens)

    def decoder_cache(self, keys: Any, positions: Any) -> DecoderImageCache:
        """Compute the part of this block that depends on the image alone.

        Args:
            keys: Image tokens `(B, S, D)`.
            positions: Positional encoding of the image tokens `(1, S, D)`.

        Returns:
            Cache without `hq_features`.
        """
        with_positions = keys + positions
        to_image, to_token = self.token_to_image_attention, self.image_to_token_attention
        return DecoderImageCache(
            keys=keys,
            positions=positions,
            attended_keys=to_image.heads(to_image.key, with_positions),
            attended_values=to_image.heads(to_image.value, keys),
            image_queries=to_token.heads(to_token.query, with_positions),
        )

    def _token_to_image(self, with_positions: Any, cache: DecoderImageCache, prompts: Any) -> Any:
        """Attention of tokens with positions `(B * P, T, D)` to image tokens: `(B * P, T, D)`."""
        attention = self.token_to_image_attention
        if cache.attended_keys is None:
            return attention.token_to_image(
                with_positions, cache.keys + cache.positions, cache.keys
            )
        # All prompts of an image have the same keys, so their tokens form one long query.
        length = ops.shape(with_positions)[1]
        tokens = ops.reshape(with_positions, (-1, prompts * length, self.hidden_size))
        query = attention.heads(attention.query, tokens)
        attended = attention.attend(query, cache.attended_keys, cache.attended_values)
        return ops.reshape(attended, (-1, length, self.hidden_size))

    def _image_to_token(
        self, cache: DecoderImageCache, with_positions: Any, queries: Any, mask: Any, prompts: Any
    ) -> Any:
        """Attention of image tokens to tokens `(B * P, T, D)`, added to them: `(B * P, S, D)`."""
        attention, image_tokens = self.image_to_token_attention, cache.keys
        if cache.image_queries is None:
            return image_tokens + attention.image_to_token(
                image_tokens + cache.positions, with_positions, queries, mask
            )
        attended = attention.image_to_token(
            cache.image_queries, with_positions, queries, mask, prompts=prompts
        )
        attended = ops.reshape(attended, (-1, prompts, *image_tokens.shape[1:]))
        return ops.reshape(image_tokens[:, None] + attended, (-1, *image_tokens.shape[1:]))

    def _attention(self, name: str, downsample_rate: int) -> DownsampledAttention:
        return DownsampledAttention(
            self.hidden_size,
            self.num_heads,
            downsample_rate=downsample_rate,
            dtype=self.dtype_policy,
            name=name,
        )


class TwoWayTransformer(keras.layers.Layer):
    """Blocks of two-way attention, then a final attention of the tokens to the image.

    Args:
        num_layers: Number of blocks, at least 1.
        hidden_size: Width of the tokens.
        num_heads: Number of heads.
        intermediate_dim: Hidden width of the blocks' MLP.

    Raises:
        ValueError: If `num_layers` is less than 1.
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
        self, cache: DecoderImageCache, tokens: Any, token_mask: Any = None
    ) -> tuple[Any, Any]:
        """Apply all blocks and the final attention.

        Args:
            cache: Cache of `B` images, or only the keys of `B * P` prompts.
            tokens: Output tokens and prompt tokens `(B, P, T, D)`.
            token_mask: Boolean `(B, P, T)`, False for padding. If `None`, there is no padding.

        Returns:
            Tokens `(B * P, T, D)` and image tokens `(B * P, S, D)`.
        """
        positions = cache.positions
        queries, keys = self.blocks[0](tokens, cache, tokens, token_mask)
        for block in self.blocks[1:]:
            queries, keys = block(queries, DecoderImageCache(keys, positions), tokens, token_mask)
        with_positions = _merge_prompts(queries + tokens)
        queries = _merge_prompts(queries)
        attended = self.final_attention.token_to_image(with_positions, keys + positions, keys)
        return self.final_layer_norm(queries + attended), keys


def _merge_prompts(tokens: Any) -> Any:
    """Reshape `(B, P, T, D)` to `(B * P, T, D)`."""
    return ops.reshape(tokens, (-1, *ops.shape(tokens)[2:]))
