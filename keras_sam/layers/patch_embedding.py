"""`PatchEmbedding`: from image patches to tokens."""

from typing import Any

import keras
from keras import ops


class PatchEmbedding(keras.layers.Layer):
    """Projection of each `patch_size x patch_size` patch of an image to a token.

    This equals a convolution whose stride is its kernel size, computed as one matrix product.

    Args:
        hidden_size: Width of a token.
        patch_size: Side of a patch in pixels.
    """

    def __init__(self, hidden_size: int, *, patch_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.patch_size = patch_size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        side, channels = self.patch_size, input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(side, side, channels, self.hidden_size),
            initializer="glorot_uniform",
        )
        self.bias = self.add_weight(name="bias", shape=(self.hidden_size,), initializer="zeros")

    def call(self, images: Any) -> Any:
        """Embed images.

        Args:
            images: Images `(B, H, W, C)` whose sides are multiples of `patch_size`.

        Returns:
            Tokens `(B, H / patch_size, W / patch_size, hidden_size)`.
        """
        side = self.patch_size
        height, width, channels = images.shape[1:]
        rows, columns = height // side, width // side
        patches = ops.reshape(images, (-1, rows, side, columns, side, channels))
        patches = ops.transpose(patches, (0, 1, 3, 2, 4, 5))  # (B, rows, columns, side, side, C)
        patches = ops.reshape(patches, (-1, rows, columns, side * side * channels))
        kernel = ops.reshape(self.kernel, (side * side * channels, self.hidden_size))
        return ops.matmul(patches, kernel) + self.bias
