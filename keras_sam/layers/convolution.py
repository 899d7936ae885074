"""`convolution`: regular and depthwise convolutions of a grid."""

from typing import Any

import keras
from keras import ops


def convolution(
    grid: Any, kernel: Any, bias: Any = None, *, strides: int = 1, is_depthwise: bool = False
) -> Any:
    """Convolve a grid that is padded with `S // 2` zeros on every side, as PyTorch does.

    Keras' "same" padding differs from this if `strides` is greater than 1.

    Kernels: torch convolves a view of the channels-last grid; Keras (3.15) would copy the grid to
    another memory layout and back. Other backends use Keras' convolutions.

    Args:
        grid: Grid `(B, H, W, C)`.
        kernel: Kernel `(S, S, C, filters)`, or `(S, S, C, 1)` if depthwise. `S` is odd.
        bias: Bias `(filters,)`, or `(C,)` if depthwise. If `None`, no bias is added.
        strides: Stride of the kernel.
        is_depthwise: If True, each channel has its own kernel.

    Returns:
        Grid `(B, H / strides, W / strides, filters)`, sides rounded up. A depthwise convolution
        has `C` output channels.
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

    channels_first = grid.permute(0, 3, 1, 2)  # (B, C, H, W), a view
    kernel = kernel.permute((2, 3, 0, 1) if is_depthwise else (3, 2, 0, 1))
    groups = kernel.shape[0] if is_depthwise else 1
    convolved = conv2d(channels_first, kernel, bias, strides, margin, groups=groups)
    return convolved.permute(0, 2, 3, 1)
