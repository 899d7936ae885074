"""`MaskUpscaler`: image tokens to four times their resolution."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.layer_norm import LayerNorm


class ConvTranspose2x2(keras.layers.Layer):
    """A transposed convolution of kernel 2 and stride 2, as one matrix product.

    Kernel and stride are equal, so no two outputs overlap: each token yields its own 2 x 2
    pixels. They stay side by side in the output, which spares a transposition. Three axes alone:
    of sums over more than six, OpenVINO (2026.4) fills half with memory never written.

    Args:
        filters: channels of the output.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(
            name="kernel", shape=(2, 2, self.filters, input_shape[-1]), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, tokens: Any) -> Any:
        """`(B, T, C)` to `(B, T * 4, filters)`: rows, then columns, of each token's pixels."""
        length, channels = tokens.shape[1:]
        kernel = ops.reshape(self.kernel, (4 * self.filters, channels))
        pixels = ops.matmul(tokens, ops.transpose(kernel)) + ops.tile(self.bias, (4,))
        return ops.reshape(pixels, (-1, 4 * length, self.filters))


class MaskUpscaler(keras.layers.Layer):
    """Two transposed convolutions, between them a layer norm and an activation.

    Args:
        hidden_dim: channels behind the first.
        output_dim: channels behind the second.
        activation: name of a Keras activation.
        activate_output: whether it follows the second too.
    """

    def __init__(
        self,
        hidden_dim: int,
        output_dim: int,
        *,
        activation: str = "gelu",
        activate_output: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.output_dim = output_dim
        self.activation = activation
        self.activate_output = activate_output
        self.activate = keras.activations.get(activation)
        self.conv_transpose1 = ConvTranspose2x2(
            hidden_dim, dtype=self.dtype_policy, name="conv_transpose1"
        )
        self.layer_norm = LayerNorm(epsilon=1e-6, dtype=self.dtype_policy, name="layer_norm")
        self.conv_transpose2 = ConvTranspose2x2(
            output_dim, dtype=self.dtype_policy, name="conv_transpose2"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.conv_transpose1.build((None, None, input_shape[-1]))
        self.layer_norm.build((None, None, self.hidden_dim))
        self.conv_transpose2.build((None, None, self.hidden_dim))

    def call(self, tokens: Any) -> Any:
        """`(B, T, D)` to `(B, T * 16, output_dim)`.

        The sixteen pixels of a token are ordered by their row and column of the first doubling,
        then of the second.
        """
        pixels = self.activate(self.layer_norm(self.conv_transpose1(tokens)))
        pixels = self.conv_transpose2(pixels)
        return self.activate(pixels) if self.activate_output else pixels


def pixels_to_masks(pixels: Any, grid_size: tuple[int, int]) -> Any:
    """Puts upscaled pixels in their places.

    Args:
        pixels: tensor `(B, M, T * 16)`, the sixteen pixels of a token as `MaskUpscaler` orders
            them.
        grid_size: `(height, width)` of the embedding grid, `T = height * width`.

    Returns:
        Tensor `(B, M, 4 * height, 4 * width)`.
    """
    height, width = grid_size
    count = pixels.shape[1]
    pixels = ops.reshape(pixels, (-1, count, height, width, 2, 2, 2, 2))
    pixels = ops.transpose(pixels, (0, 1, 2, 4, 6, 3, 5, 7))  # rows first, then columns
    return ops.reshape(pixels, (-1, count, 4 * height, 4 * width))


def pixels_to_grid(pixels: Any, grid_size: tuple[int, int]) -> Any:
    """Puts upscaled pixels in their places, their channels last.

    Args:
        pixels: tensor `(B, T * 16, C)` of `MaskUpscaler`.
        grid_size: as `pixels_to_masks`.

    Returns:
        Tensor `(B, 4 * height, 4 * width, C)`.
    """
    height, width = grid_size
    channels = pixels.shape[-1]
    pixels = ops.reshape(pixels, (-1, height, width, 2, 2, 2, 2, channels))
    pixels = ops.transpose(pixels, (0, 1, 3, 5, 2, 4, 6, 7))  # rows first, then columns
    return ops.reshape(pixels, (-1, 4 * height, 4 * width, channels))
