"""`reach_box`: raises a mask until it reaches the sides of its box."""

import numpy as np

from keras_sam.geometry.logits import to_logits
from keras_sam.geometry.model_frame import ModelFrame

# Of the area of its box, what the box of a mask is to cover; people draw boxes a little wide.
COVER = 0.9
COST = 0.15  # of it for each logit that the mask is raised: what is hardly there is left out
RAISES = np.linspace(0, COVER / COST, 61, dtype=np.float32)


def reach_box(
    low_res_logits: np.ndarray, frame: ModelFrame, window: tuple[slice, slice]
) -> np.ndarray:
    """Low-res logits of a mask that fits its box: a thing reaches the sides of the box around it.

    A mask that falls short of them is too small, so its logits are raised, all alike, until the
    box around it covers as much of the window as it should: 0.9 at first, and less the further
    they have to be raised. Bounding boxes as such a prior are known from Lempitsky, Kohli, Rother
    and Sharp (2009), where the mask must reach each side.

    Args:
        low_res_logits: `(L, L)`, logits over 0 being the mask.
        frame: between the image and the model.
        window: rows and columns of the original, of `frame.window`; not empty.

    Returns:
        `(L, L)`; what was given, if the mask reaches far enough.
    """
    rows, columns = _highest(low_res_logits, frame, window)
    covered = _extents(rows) * _extents(columns) / (len(rows) * len(columns))
    is_enough = covered >= COVER - COST * RAISES
    return low_res_logits + RAISES[is_enough.argmax()]


def _highest(
    low_res_logits: np.ndarray, frame: ModelFrame, window: tuple[slice, slice]
) -> tuple[np.ndarray, np.ndarray]:
    """The highest logit of each row and of each column of a window of the original."""
    rows, columns = window
    vertical, horizontal = frame.resizers((low_res_logits.shape[0], low_res_logits.shape[1]))
    down, across = vertical.reach(rows), horizontal.reach(columns)
    values = frame.interpolated(low_res_logits[down, across])
    stretched = values @ horizontal.weights[columns, across].T
    of_rows = np.empty(rows.stop - rows.start, np.float32)
    of_columns = np.full(columns.stop - columns.start, -np.inf, np.float32)
    for place, pixels in vertical.bands(stretched, rows):
        of_rows[place] = pixels.max(axis=1)
        np.maximum(of_columns, pixels.max(axis=0), out=of_columns)
    if frame.preprocessing.upscaled == "probabilities":
        return to_logits(of_rows), to_logits(of_columns)
    return of_rows, of_columns


def _extents(highest: np.ndarray) -> np.ndarray:
    """How far a mask reaches along an axis, in pixels, raised by each of `RAISES`."""
    is_in_mask = highest > -RAISES[:, None]
    first, last = is_in_mask.argmax(axis=1), is_in_mask[:, ::-1].argmax(axis=1)
    return np.where(is_in_mask.any(axis=1), len(highest) - last - first, 0)
