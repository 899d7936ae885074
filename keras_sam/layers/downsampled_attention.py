"""`DownsampledAttention`: multi-head attention with narrow heads."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.attention import attention, merge_heads, split_heads
from keras_sam.layers.export_mode import is_exporting
from keras_sam.layers.folded_attention import (
    folded_logits,
    image_to_token_attention,
    shared_logits,
    token_to_image_attention,
)
from keras_sam.layers.linear import linear


class DownsampledAttention(keras.layers.Layer):
    """Multi-head attention whose heads may be narrower than `hidden_size / num_heads`.

    Args:
        hidden_size: Width of the tokens.
        num_heads: Number of heads.
        downsample_rate: Factor by which the heads are narrower. A head is at least 1 wide.
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
        """Attend with all projections.

        Args:
            query: Tokens `(B, T, D)`.
            key: Tokens `(B, S, D)`.
            value: Tokens `(B, S, D)`.
            mask: Boolean `(B, S)`, False for keys to ignore. If `None`, no key is ignored.

        Returns:
            Tokens `(B, T, D)`.
        """
        return self.attend(
            self.heads(self.query, query),
            self.heads(self.key, key),
            self.heads(self.value, value),
            mask,
        )

    def folds_projections(self, num_tokens: Any) -> bool:
        """Return True if `folded_attention` saves work for this number of tokens.

        In an export, a number that is not static counts as small, as that of a few points is.

        Quantized kernels are not folded, since only their layers apply the scales.
        """
        projections = (self.query, self.key, self.value, self.output_projection)
        if any(dense.quantization_mode is not None for dense in projections):
            return False
        if not isinstance(num_tokens, int):
            return is_exporting()
        return self.num_heads * num_tokens < self.inner_dim

    def token_to_image(self, tokens: Any, image_keys: Any, image_values: Any) -> Any:
        """Attention of tokens to image tokens. Equals a call, usually with less work.

        Args:
            tokens: Tokens `(B, T, D)`.
            image_keys: Image tokens `(B, S, D)`.
            image_values: Image tokens `(B, S, D)`.

        Returns:
            Tokens `(B, T, D)`.
        """
        if not self.folds_projections(tokens.shape[1]):
            return self(tokens, image_keys, image_values)
        attended = token_to_image_attention(
            self.heads(self.query, tokens),
            image_keys,
            image_values,
            self._weight(self.key.kernel),
            self._weight(self.value.kernel),
        )
        # The bias of the keys has no effect. Its gradient is zero, and missing without this term.
        bias = self._weight(self.value.bias) + 0.0 * self._weight(self.key.bias)
        return linear(self.output_projection, merge_heads(attended) + bias)

    def image_to_token(
        self,
        image_tokens: Any,
        token_keys: Any,
        token_values: Any,
        mask: Any = None,
        *,
        prompts: Any = None,
    ) -> Any:
        """Attention of image tokens to tokens. Equals a call, usually with less work.

        Args:
            image_tokens: Image tokens `(B, S, D)`. If `prompts` is given, their projected
                queries `(B, K, S, d)`, which the prompts of an image share.
            token_keys: Tokens `(B * P, T, D)`.
            token_values: Tokens `(B * P, T, D)`.
            mask: Boolean `(B * P, T)`, False for tokens to ignore. If `None`, no token is
                ignored.
            prompts: Number P of prompts per image. If `None`, P is 1.

        Returns:
            Image tokens `(B * P, S, D)`.
        """
        keys, values = self.heads(self.key, token_keys), self.heads(self.value, token_values)
        if not self.folds_projections(token_keys.shape[1]):
            if prompts is None:
                queries = self.heads(self.query, image_tokens)
            else:
                queries = _repeat(image_tokens, prompts)
            return self.attend(queries, keys, values, mask)
        if prompts is None:
            kernel, bias = self._weight(self.query.kernel), self._weight(self.query.bias)
            logits = folded_logits(image_tokens, keys, kernel, bias)
        else:
            logits = shared_logits(image_tokens, keys, prompts=prompts)
        kernel = self._weight(self.output_projection.kernel)
        attended = image_to_token_attention(logits, values, kernel, mask=mask)
        return attended + self._weight(self.output_projection.bias)

    def heads(self, projection: keras.layers.Layer, tokens: Any) -> Any:
        """Project tokens `(B, T, D)` and split them into heads `(B, K, T, d)`."""
        return split_heads(linear(projection, tokens), self.num_heads)

    def attend(self, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        """Attention of heads, with the output projection.

        Args:
            query: Projected queries `(B, K, T, d)`.
            key: Projected keys `(B, K, S, d)`.
            value: Projected values `(B, K, S, d)`.
            mask: Boolean `(B, S)`, False for keys to ignore. If `None`, no key is ignored.

        Returns:
            Tokens `(B, T, D)`.
        """
        attended = merge_heads(attention(query, key, value, mask=mask))
        return linear(self.output_projection, attended)

    def _weight(self, weight: Any) -> Any:
        return ops.cast(weight, self.compute_dtype)

    def _dense(self, name: str, units: int) -> keras.layers.Layer:
        return keras.layers.Dense(units, dtype=self.dtype_policy, name=name)


def _repeat(array: Any, prompts: Any) -> Any:
    """Repeat each row of `(B, ...)` for its prompts: `(B * P, ...)`.

    The row of a single image stays as it is, since attention broadcasts it.
    """
    is_single = isinstance(array.shape[0], int) and array.shape[0] == 1
    if is_single or (isinstance(prompts, int) and prompts == 1):
        return array
    return ops.repeat(array, prompts, axis=0)
