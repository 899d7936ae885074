"""`ConvNorm`: a convolution followed by a batch norm."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.convolution import convolution

# PyTorch's defaults. Its momentum is the weight of the new value: 0.1.
BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.9


class ConvNorm(keras.layers.Layer):
    """A convolution without bias, followed by a batch norm.

    In inference, each call folds the norm into the kernel and a bias. This saves passes over the
    grid. It also avoids Keras' batch norm in OpenVINO programs: with it, OpenVINO (2026.4) returns
    wrong numbers in half of the mask decoder's output.

    Args:
        filters: Number of output channels. If `None`, the convolution is depthwise and keeps the
            number of channels.
        kernel_size: Side of the kernel, an odd number.
        strides: Stride of the kernel.
        use_batch_norm: If False, the convolution has a bias and no norm follows.
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
        """Convolve and normalize a grid.

        Args:
            grid: Grid `(B, H, W, C)`.
            training: If True, the norm uses the statistics of the batch and updates its own.

        Returns:
            Grid `(B, H / strides, W / strides, filters)`, sides rounded up.
        """
        kernel, bias = self.convolution.kernel, self.convolution.bias
        if not self.use_batch_norm:
            return self._convolve(grid, kernel, bias)
        if training:
            return self.batch_norm(self._convolve(grid, kernel), training=True)
        return self._convolve(grid, *self._fold(kernel))

    def _convolve(self, grid: Any, kernel: Any, bias: Any = None) -> Any:
        return convolution(
            grid,
            ops.cast(kernel, self.compute_dtype),
            None if bias is None else ops.cast(bias, self.compute_dtype),
            strides=self.strides,
            is_depthwise=self.filters is None,
        )

    def _fold(self, kernel: Any) -> tuple[Any, Any]:
        """Fold the norm with its learned statistics into a kernel and a bias, in float32."""
        norm = self.batch_norm
        kernel, gamma, beta, mean, variance = (
            ops.cast(weight, "float32")
            for weight in (kernel, norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
        )
        scale = gamma * ops.rsqrt(variance + norm.epsilon)
        bias = beta - mean * scale
        # Depthwise kernels are (height, width, channels, 1), others (height, width, in, out).
        return kernel * (scale[:, None] if self.filters is None else scale), bias
