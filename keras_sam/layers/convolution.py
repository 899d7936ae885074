"""`convolution`: one function for whole and depthwise convolutions of a grid."""

from typing import Any

import keras
from keras import ops


def convolution(
    grid: Any, kernel: Any, bias: Any = None, *, strides: int = 1, is_depthwise: bool = False
) -> Any:
    """A convolution of a grid that is padded with half the kernel's zeros on every side.

    With strides, Keras' "same" padding would be another than PyTorch's, which this is.

    Kernels: torch's convolution of the grid as it lies in memory, which Keras (3.15) would copy
    to another layout and back; elsewhere Keras'.

    Args:
        grid: tensor `(B, H, W, C)`.
        kernel: tensor `(S, S, C, filters)`, or `(S, S, C, 1)` if depthwise, `S` odd.
        bias: tensor `(filters,)`, or `(C,)` if depthwise.
        strides: step of the kernel.
        is_depthwise: whether each channel is convolved by itself.

    Returns:
        Tensor `(B, H / strides, W / strides, filters)`, sides rounded up; `C` channels if
        depthwise.
    """
    margin = kernel.shape[0] // 2
    if keras.backend.backend() == "torch":
        return _torch_convolution(grid, kernel, bias, strides, margin, is_depthwise)
    if strides > 1:
        grid = ops.pad(grid, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    convolve = ops.depthwise_conv if is_depthwise else ops.conv
    grid = convolve(grid, kernel, strides, "same" if strides == 1 else "valid")
    return grid if bias is None else grid + bias


def _torch_convolution(
    grid: Any, kernel: Any, bias: Any, strides: int, margin: int, is_depthwise: bool
) -> Any:
    from torch.nn.functional import conv2d

    channels_first = grid.permute(0, 3, 1, 2)  # (B, C, H, W) by its axes, not in memory
    kernel = kernel.permute((2, 3, 0, 1) if is_depthwise else (3, 2, 0, 1))
    groups = kernel.shape[0] if is_depthwise else 1
    convolved = conv2d(channels_first, kernel, bias, strides, margin, groups=groups)
    return convolved.permute(0, 2, 3, 1)
