"""`ConvolutionalStem`: images to tokens of 4 x 4 pixels, by two convolutions."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.conv_norm import ConvNorm


class ConvolutionalStem(keras.layers.Layer):
    """Two 3 x 3 convolutions with stride 2, a GELU between them.

    Args:
        hidden_size: width of a token, even; half of it is the width between.
        use_batch_norm: whether a batch norm follows each convolution.
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
        """`(B, H, W, C)` to `(B, H / 4, W / 4, hidden_size)`."""
        return self.conv2(ops.gelu(self.conv1(images), approximate=False))
