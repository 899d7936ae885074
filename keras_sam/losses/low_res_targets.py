"""Ground-truth masks, checked and reduced to the resolution of the predicted logits."""

from typing import Any

import keras
from keras import ops

from keras_sam.types import Size


def check_target_masks(y: Any, low_res_size: Size) -> Any:
    """Return the masks `(B, P, H, W)` of targets.

    Args:
        y: Targets `{"masks": (B, P, H, W)}` or the array itself, 0 or 1.
        low_res_size: `(height, width)` of the low-res grid. `H` and `W` are the same multiple
            of it.

    Raises:
        ValueError: If there are no masks, or their shape does not fit the low-res grid.
    """
    masks: Any = y.get("masks") if isinstance(y, dict) else y
    height, width = low_res_size
    shape = () if masks is None else tuple(masks.shape)
    factor = shape[2] // height if len(shape) == 4 else 0
    if not factor or shape[2:] != (factor * height, factor * width):
        raise ValueError(
            f"targets must be {{'masks': (B, P, H, W)}} with (H, W) the low-res grid "
            f"{low_res_size} or a multiple of it, got {shape or None}"
        )
    is_bool = keras.backend.standardize_dtype(masks.dtype) == "bool"
    return ops.cast(masks, "uint8") if is_bool else masks


def cell_coverage(masks: Any, low_res_size: Size) -> Any:
    """Compute the foreground share of each cell of the low-res grid.

    Args:
        masks: Masks `(B, P, H, W)`, 0 or 1.
        low_res_size: `(height, width)` of the low-res grid.

    Returns:
        Shares `(B, P, *low_res_size)`, float32, in [0, 1].
    """
    height, width = low_res_size
    factor = masks.shape[2] // height
    masks = ops.cast(masks, "float32")
    if factor == 1:
        return masks
    cells = ops.reshape(masks, (-1, masks.shape[1], height, factor, width, factor))
    return ops.mean(cells, axis=(3, 5))


def low_res_targets(y: Any, low_res_size: Size) -> Any:
    """Reduce ground-truth masks to the low-res grid.

    A cell is foreground if at least half of its pixels are.

    Args:
        y: See `check_target_masks`.
        low_res_size: `(height, width)` of the low-res grid.

    Returns:
        Masks `(B, P, *low_res_size)`, float32, 0 or 1.

    Raises:
        ValueError: See `check_target_masks`.
    """
    coverage = cell_coverage(check_target_masks(y, low_res_size), low_res_size)
    return ops.cast(coverage >= 0.5, "float32")
