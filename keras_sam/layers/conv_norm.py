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
        batch, *sides, channels = input_shape
        margin = 2 * (self.kernel_size // 2)
        padded = [side and side + margin for side in sides]
        self.convolution.build((batch, *padded, channels))
        if self.use_batch_norm:
            self.batch_norm.build((batch, *sides, self.filters or channels))

    def call(self, grid: Any, training: bool | None = None) -> Any:
        """`(B, H, W, C)` to `(B, H / strides, W / strides, filters)`, sides rounded up."""
        if self.strides > 1:
            sides = (self.kernel_size // 2, self.kernel_size // 2)
            grid = ops.pad(grid, ((0, 0), sides, sides, (0, 0)))
        grid = self.convolution(grid)
        if not self.use_batch_norm:
            return grid
        if training:
            return self.batch_norm(grid, training=True)
        return _normalized_by_learned_statistics(grid, self.batch_norm)


def _normalized_by_learned_statistics(
    grid: Any, batch_norm: keras.layers.BatchNormalization
) -> Any:
    """A batch norm in inference: a product and a sum for each channel, in float32.

    Keras' own takes more passes over the grid; and with it in a program, OpenVINO (2026.4) fills
    half of the mask decoder's output with memory that was never written.
    """
    gamma, beta, mean, variance = (
        ops.cast(weight, "float32")
        for weight in (
            batch_norm.gamma,
            batch_norm.beta,
            batch_norm.moving_mean,
            batch_norm.moving_variance,
        )
    )
    scale = gamma * ops.rsqrt(variance + batch_norm.epsilon)
    normalized = ops.cast(grid, "float32") * scale + (beta - mean * scale)
    return ops.cast(normalized, batch_norm.compute_dtype)
