"""`prepend_tokens`: learned tokens before the tokens of each prompt."""

from typing import Any

from keras import ops


def prepend_tokens(learned: Any, tokens: Any, mask: Any = None) -> tuple[Any, Any]:
    """Prepend the same learned tokens to the tokens of each prompt.

    Args:
        learned: Learned tokens `(N, D)`.
        tokens: Prompt tokens `(B, P, T, D)`. `T` may be 0.
        mask: Boolean `(B, P, T)`, False for padding. If `None`, there is no padding.

    Returns:
        Tokens `(B, P, N + T, D)`, and their mask `(B, P, N + T)` or `None`.
    """
    images, prompts = ops.shape(tokens)[:2]
    count, width = learned.shape
    repeated = ops.broadcast_to(learned[None, None], (images, prompts, count, width))
    tokens = ops.concatenate([repeated, tokens], axis=2)
    if mask is not None:
        is_token = ops.ones((images, prompts, count), dtype="bool")
        mask = ops.concatenate([is_token, ops.cast(mask, "bool")], axis=2)
    return tokens, mask
