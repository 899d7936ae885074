"""`ConvNorm`: a convolution and a batch norm, or what the two fold into."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.convolution import convolution

# Those of PyTorch, which counts the share of the new value: a momentum of 0.1 there.
BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.9


class ConvNorm(keras.layers.Layer):
    """A convolution without bias and a batch norm; folded, a convolution with bias.

    In inference the norm is a product and a sum for each channel, which the kernel and a bias
    take over in every call. That saves passes over the grid; and with Keras' batch norm in its
    program, OpenVINO (2026.4) gives wrong numbers in half of the mask decoder's output.

    Args:
        filters: number of output channels; `None` for a depthwise convolution, which keeps them.
        kernel_size: side of the kernel, odd.
        strides: step of the kernel.
        use_batch_norm: `False` for a convolution with bias and no norm.
    """

    def __init__(
        self,
        filters: int | None = None,
        kernel_size: int = 1,
        *,
        strides: int = 1,
        use_batch_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.use_batch_norm = use_batch_norm
        settings = {"use_bias": not use_batch_norm, "dtype": self.dtype_policy}
        if filters is None:
            self.convolution = keras.layers.DepthwiseConv2D(
                kernel_size, padding="same", name="depthwise", **settings
            )
        else:
            self.convolution = keras.layers.Conv2D(
                filters, kernel_size, padding="same", name="convolution", **settings
            )
        if use_batch_norm:
            self.batch_norm = keras.layers.BatchNormalization(
                momentum=BATCH_NORM_MOMENTUM,
                epsilon=BATCH_NORM_EPSILON,
                dtype=self.dtype_policy,
                name="batch_norm",
            )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.convolution.build(input_shape)
        if self.use_batch_norm:
            self.batch_norm.build((*input_shape[:-1], self.filters or input_shape[-1]))

    def call(self, grid: Any, training: bool | None = None) -> Any:
        """`(B, H, W, C)` to `(B, H / strides, W / strides, filters)`, sides rounded up."""
        kernel, bias = self.convolution.kernel, self.convolution.bias
        if not self.use_batch_norm:
            return self._convolved(grid, kernel, bias)
        if training:
            return self.batch_norm(self._convolved(grid, kernel), training=True)
        return self._convolved(grid, *self._folded(kernel))

    def _convolved(self, grid: Any, kernel: Any, bias: Any = None) -> Any:
        return convolution(
            grid,
            ops.cast(kernel, self.compute_dtype),
            None if bias is None else ops.cast(bias, self.compute_dtype),
            strides=self.strides,
            is_depthwise=self.filters is None,
        )

    def _folded(self, kernel: Any) -> tuple[Any, Any]:
        """Kernel and bias that do what the norm does by its learned statistics, in float32."""
        norm = self.batch_norm
        kernel, gamma, beta, mean, variance = (
            ops.cast(weight, "float32")
            for weight in (kernel, norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
        )
        scale = gamma * ops.rsqrt(variance + norm.epsilon)
        bias = beta - mean * scale
        # A depthwise kernel is (height, width, channels, 1), others (height, width, in, out).
        return kernel * (scale[:, None] if self.filters is None else scale), bias
