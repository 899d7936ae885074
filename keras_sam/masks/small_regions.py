"""`remove_small_regions`: fills small holes of a mask and removes small islands."""

import numpy as np
from scipy import ndimage

# Pixels that touch at a side or at a corner are connected.
CONNECTIVITY = np.ones((3, 3), bool)


def remove_small_regions(mask: np.ndarray, min_area: float) -> tuple[np.ndarray, bool]:
    """Fill small holes of a mask, then remove small islands.

    Pixels that touch at a corner are connected, in holes and in islands. If all islands are
    small, the largest one is kept.

    Args:
        mask: Boolean mask `(H, W)`.
        min_area: Area in pixels below which a hole or an island is small.

    Returns:
        The new mask `(H, W)`, and True if any hole or island was small.
    """
    labels, areas = _label_regions(~mask)
    is_small = areas < min_area
    has_small_holes = bool(is_small.any())
    if has_small_holes:
        mask = mask | np.append(False, is_small)[labels]
    labels, areas = _label_regions(mask)
    is_kept = areas >= min_area
    if is_kept.all():
        return mask, has_small_holes
    if not is_kept.any():
        is_kept[np.argmax(areas)] = True
    return np.append(False, is_kept)[labels], True


def _label_regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Label each connected region.

    Returns:
        Labels `(H, W)`, 0 outside the mask and N regions from 1 in the order of their first
        pixels, and the area `(N,)` of each region in pixels.
    """
    labels, count = ndimage.label(mask, CONNECTIVITY)
    return labels, np.bincount(labels.ravel(), minlength=count + 1)[1:]
