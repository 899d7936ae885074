"""`PatchMerging`: from one stage of TinyViT to the next."""

from typing import Any

import keras

from keras_sam.layers.activation import gelu
from keras_sam.layers.conv_norm import ConvNorm


class PatchMerging(keras.layers.Layer):
    """A 1 x 1, a depthwise 3 x 3 and a 1 x 1 convolution, with GELUs between them.

    Args:
        output_dim: Width of a token of the next stage.
        strides: Stride of the depthwise convolution.
        use_batch_norm: If True, a batch norm follows each convolution.
    """

    def __init__(
        self, output_dim: int, *, strides: int = 2, use_batch_norm: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.output_dim = output_dim
        self.strides = strides
        self.use_batch_norm = use_batch_norm
        settings = {"use_batch_norm": use_batch_norm, "dtype": self.dtype_policy}
        self.conv1 = ConvNorm(output_dim, name="conv1", **settings)
        self.conv2 = ConvNorm(None, 3, strides=strides, name="conv2", **settings)
        self.conv3 = ConvNorm(output_dim, name="conv3", **settings)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.conv1.build(input_shape)
        for layer in (self.conv2, self.conv3):
            layer.build((*input_shape[:-1], self.output_dim))

    def call(self, grid: Any) -> Any:
        """Merge the tokens of a grid.

        Args:
            grid: Grid `(B, H, W, C)`.

        Returns:
            Grid `(B, H / strides, W / strides, output_dim)`, sides rounded up.
        """
        x = gelu(self.conv1(grid))
        x = gelu(self.conv2(x))
        return self.conv3(x)
