"""`MaskDownscaler`: from low-res logits to the embedding grid."""

from typing import Any

import keras

from keras_sam.layers.activation import get_activation
from keras_sam.layers.layer_norm import LayerNorm


class MaskDownscaler(keras.layers.Layer):
    """Two 2 x 2 convolutions of stride 2 with layer norm and activation, then one of 1 x 1.

    Args:
        hidden_size: Width of the output.
        mask_in_channels: Number of filters of the second convolution; the first has a quarter as
            many.
        activation: Name of a Keras activation, applied after the first two convolutions.
    """

    def __init__(
        self,
        hidden_size: int,
        *,
        mask_in_channels: int = 16,
        activation: str = "gelu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.mask_in_channels = mask_in_channels
        self.activation = activation
        self.activate = get_activation(activation)
        self.conv1 = self._convolution("conv1", mask_in_channels // 4, kernel_size=2)
        self.layer_norm1 = self._layer_norm("layer_norm1")
        self.conv2 = self._convolution("conv2", mask_in_channels, kernel_size=2)
        self.layer_norm2 = self._layer_norm("layer_norm2")
        self.conv3 = self._convolution("conv3", hidden_size, kernel_size=1)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (*input_shape[:-1], 1)
        for conv, norm in ((self.conv1, self.layer_norm1), (self.conv2, self.layer_norm2)):
            conv.build(shape)
            shape = conv.compute_output_shape(shape)
            norm.build(shape)
        self.conv3.build(shape)

    def call(self, masks: Any) -> Any:
        """Convert logits `(B, 4 G, 4 G, 1)` to dense embeddings `(B, G, G, hidden_size)`."""
        x = self.activate(self.layer_norm1(self.conv1(masks)))
        x = self.activate(self.layer_norm2(self.conv2(x)))
        return self.conv3(x)

    def _convolution(self, name: str, filters: int, *, kernel_size: int) -> keras.layers.Layer:
        return keras.layers.Conv2D(
            filters, kernel_size, strides=kernel_size, dtype=self.dtype_policy, name=name
        )

    def _layer_norm(self, name: str) -> keras.layers.Layer:
        return LayerNorm(epsilon=1e-6, dtype=self.dtype_policy, name=name)
