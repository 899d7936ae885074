"""`ConvNorm`: a convolution and a batch norm, or what the two fold into."""

from typing import Any

import keras
from keras import ops

# Those of PyTorch, which counts the share of the new value: a momentum of 0.1 there.
BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.9


class ConvNorm(keras.layers.Layer):
    """A convolution without bias and a batch norm; folded, a convolution with bias.

    A grid is padded by half the kernel on every side, as PyTorch does: with strides, "same"
    padding of Keras would be another.

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
        settings = {
            "strides": strides,
            "padding": "same" if strides == 1 else "valid",
            "use_bias": not use_batch_norm,
            "dtype": self.dtype_policy,
        }
        if filters is None:
            self.convolution = keras.layers.DepthwiseConv2D(
                kernel_size, name="depthwise", **settings
            )
        else:
            self.convolution = keras.layers.Conv2D(
                filters, kernel_size, name="convolution", **settings
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

    def call(self, grid: Any) -> Any:
        """`(B, H, W, C)` to `(B, H / strides, W / strides, filters)`, sides rounded up."""
        if self.strides > 1:
            sides = (self.kernel_size // 2, self.kernel_size // 2)
            grid = ops.pad(grid, ((0, 0), sides, sides, (0, 0)))
        grid = self.convolution(grid)
        return self.batch_norm(grid) if self.use_batch_norm else grid
