"""`ConvolutionalStem`: the first layer of TinyViT."""

from typing import Any

import keras

from keras_sam.layers.activation import gelu
from keras_sam.layers.conv_norm import ConvNorm


class ConvolutionalStem(keras.layers.Layer):
    """Two 3 x 3 convolutions of stride 2 with a GELU between them: one token per 4 x 4 pixels.

    Args:
        hidden_size: Width of a token, an even number. The first convolution has half as many
            filters.
        use_batch_norm: If True, a batch norm follows each convolution.
    """

    def __init__(self, hidden_size: int, *, use_batch_norm: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.use_batch_norm = use_batch_norm
        self.conv1, self.conv2 = (
            ConvNorm(
                width,
                3,
                strides=2,
                use_batch_norm=use_batch_norm,
                dtype=self.dtype_policy,
                name=name,
            )
            for name, width in (("conv1", hidden_size // 2), ("conv2", hidden_size))
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.conv1.build(input_shape)
        self.conv2.build((*input_shape[:-1], self.hidden_size // 2))

    def call(self, images: Any) -> Any:
        """Convert images `(B, H, W, C)` to tokens `(B, H / 4, W / 4, hidden_size)`."""
        return self.conv2(gelu(self.conv1(images)))
