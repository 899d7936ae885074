"""`DownsampledAttention`: multi-head attention with narrow heads."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.attention import attention, merge_heads, split_heads
from keras_sam.layers.folded_attention import (
    folded_logits,
    image_to_token_attention_folded,
    shared_logits,
    token_to_image_attention_folded,
)
from keras_sam.layers.linear import linear


class DownsampledAttention(keras.layers.Layer):
    """Multi-head attention whose heads may be narrower than the tokens' share.

    Args:
        hidden_size: width of the tokens.
        num_heads: number of heads.
        downsample_rate: divides the width of a head, which is at least 1.
    """

    def __init__(
        self, hidden_size: int, num_heads: int, *, downsample_rate: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.downsample_rate = downsample_rate
        self.inner_dim = num_heads * max(1, hidden_size // num_heads // downsample_rate)
        self.query = self._dense("query", self.inner_dim)
        self.key = self._dense("key", self.inner_dim)
        self.value = self._dense("value", self.inner_dim)
        self.output_projection = self._dense("output", hidden_size)

    def build(self, input_shape: Any = None) -> None:
        for dense in (self.query, self.key, self.value):
            dense.build((None, None, self.hidden_size))
        self.output_projection.build((None, None, self.inner_dim))

    def call(self, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        """`(B, T, D)`, `(B, S, D)` twice and a mask `(B, S)` of keys to `(B, T, D)`."""
        return self.attend(
            self.heads(self.query, query),
            self.heads(self.key, key),
            self.heads(self.value, value),
            mask,
        )

    def folds_projections(self, few: Any) -> bool:
        """Whether so many tokens are few enough for `absorbed_attention` to be less work."""
        return isinstance(few, int) and self.num_heads * few < self.inner_dim

    def token_to_image(self, few: Any, many_keys: Any, many_values: Any) -> Any:
        """Few tokens `(B, N, D)` attend to many `(B, T, D)`, as in a call: `(B, N, D)`."""
        if not self.folds_projections(few.shape[1]):
            return self(few, many_keys, many_values)
        attended = token_to_image_attention_folded(
            self.heads(self.query, few),
            many_keys,
            many_values,
            self._weight(self.key.kernel),
            self._weight(self.value.kernel),
        )
        attended = merge_heads(attended) + self._weight(self.value.bias)
        return linear(self.output_projection, attended)

    def image_to_token(
        self, many: Any, few_keys: Any, few_values: Any, mask: Any = None, *, prompts: Any = None
    ) -> Any:
        """Many tokens attend to few.

        Args:
            many: `(B, T, D)`; where `prompts` is given, their queries `(B, K, T, d)`, which the
                prompts of an image share.
            few_keys: `(B * P, N, D)`, with P = 1 where `prompts` is not given.
            few_values: `(B * P, N, D)`.
            mask: boolean `(B * P, N)` of the few, or `None`.
            prompts: the number P.

        Returns:
            `(B * P, T, D)`.
        """
        keys, values = self.heads(self.key, few_keys), self.heads(self.value, few_values)
        if not self.folds_projections(few_keys.shape[1]):
            queries = self.heads(self.query, many) if prompts is None else _repeat(many, prompts)
            return self.attend(queries, keys, values, mask)
        if prompts is None:
            kernel, bias = self._weight(self.query.kernel), self._weight(self.query.bias)
            logits = folded_logits(many, keys, kernel, bias)
        else:
            logits = shared_logits(many, keys, prompts=prompts)
        kernel = self._weight(self.output_projection.kernel)
        attended = image_to_token_attention_folded(logits, values, kernel, mask=mask)
        return attended + self._weight(self.output_projection.bias)

    def heads(self, projection: keras.layers.Layer, tokens: Any) -> Any:
        """Tokens `(B, T, D)` projected and split: `(B, K, T, d)`."""
        return split_heads(linear(projection, tokens), self.num_heads)

    def attend(self, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        """Attention of projected heads `(B, K, ., d)`, projected to `(B, T, D)`."""
        attended = merge_heads(attention(query, key, value, mask=mask))
        return linear(self.output_projection, attended)

    def _weight(self, weight: Any) -> Any:
        return ops.cast(weight, self.compute_dtype)

    def _dense(self, name: str, units: int) -> keras.layers.Layer:
        return keras.layers.Dense(units, dtype=self.dtype_policy, name=name)


def _repeat(array: Any, prompts: Any) -> Any:
    """`(B, ...)` to `(B * P, ...)`, each image's repeated for its prompts."""
    return (
        array if isinstance(prompts, int) and prompts == 1 else ops.repeat(array, prompts, axis=0)
    )
