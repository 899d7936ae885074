"""`MaskUpscaler`: image tokens upscaled to four times the resolution of their grid."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.activation import get_activation
from keras_sam.layers.layer_norm import LayerNorm


class ConvTranspose2x2(keras.layers.Layer):
    """A transposed convolution with kernel size 2 and stride 2, as one matrix product.

    Outputs do not overlap: each token yields its own 2 x 2 pixels. The pixels of a token stay next
    to each other in the output, which saves a transposition.

    All tensors have three axes. With more than six, OpenVINO (2026.4) returns sums of which half is
    uninitialized memory.

    Args:
        filters: Number of output channels.
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
        """Upscale tokens `(B, T, C)` to pixels `(B, T * 4, filters)`.

        The four pixels of a token are in row-major order.
        """
        length, channels = tokens.shape[1:]
        kernel = ops.reshape(self.kernel, (4 * self.filters, channels))
        pixels = ops.matmul(tokens, ops.transpose(kernel)) + ops.tile(self.bias, (4,))
        return ops.reshape(pixels, (-1, 4 * length, self.filters))


class MaskUpscaler(keras.layers.Layer):
    """Two transposed convolutions with a layer norm and an activation between them.

    Args:
        hidden_dim: Number of filters of the first convolution.
        output_dim: Number of filters of the second convolution.
        activation: Name of a Keras activation.
        activate_output: If True, the activation follows the second convolution too.
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
        self.activate = get_activation(activation)
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
        """Upscale tokens `(B, T, D)` to pixels `(B, T * 16, output_dim)`.

        The sixteen pixels of a token are ordered by their row and column in the first upscaling,
        then by those in the second.
        """
        pixels = self.activate(self.layer_norm(self.conv_transpose1(tokens)))
        pixels = self.conv_transpose2(pixels)
        return self.activate(pixels) if self.activate_output else pixels


def pixels_to_masks(pixels: Any, grid_size: tuple[int, int]) -> Any:
    """Arrange the upscaled pixels of masks in a grid.

    Args:
        pixels: Pixels `(B, M, T * 16)` in the order of `MaskUpscaler`.
        grid_size: `(height, width)` of the embedding grid, with `T = height * width` tokens.

    Returns:
        Masks `(B, M, 4 * height, 4 * width)`.
    """
    height, width = grid_size
    count = pixels.shape[1]
    pixels = ops.reshape(pixels, (-1, width, 2, 2, 2, 2))  # (B * M * height, width, ...)
    pixels = ops.transpose(pixels, (0, 2, 4, 1, 3, 5))  # rows first, then columns
    return ops.reshape(pixels, (-1, count, 4 * height, 4 * width))


def pixels_to_grid(pixels: Any, grid_size: tuple[int, int]) -> Any:
    """Arrange upscaled pixels with channels in a grid.

    Args:
        pixels: Output `(B, T * 16, C)` of `MaskUpscaler`.
        grid_size: `(height, width)` of the embedding grid, with `T = height * width` tokens.

    Returns:
        Grid `(B, 4 * height, 4 * width, C)`.
    """
    height, width = grid_size
    channels = pixels.shape[-1]
    pixels = ops.reshape(pixels, (-1, width, 2, 2, 2, 2 * channels))  # (B * height, width, ...)
    pixels = ops.transpose(pixels, (0, 2, 4, 1, 3, 5))  # rows first, then columns
    return ops.reshape(pixels, (-1, 4 * height, 4 * width, channels))
