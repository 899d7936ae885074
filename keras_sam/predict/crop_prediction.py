"""`Look`: what one window of an image shows of one prompt."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_sam.predict.tiles import Box
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.logits import sigmoid


@dataclass(frozen=True, eq=False)
class Look:
    """The masks of one prompt, as one window shows them.

    Attributes:
        window: XYXY in whole pixels of the original.
        frame: between the window's pixels and the model.
        low_res_logits: `(M, L, L)`.
        iou_predictions: `(M,)`.
        box: XYXY `(4,)` of the prompt, in pixels of the window; None if it has no box.
    """

    window: Box
    frame: ImageTransform
    low_res_logits: np.ndarray
    iou_predictions: np.ndarray
    box: np.ndarray | None

    def mask(self, number: int) -> np.ndarray:
        """One mask `(h, w)` at the window's pixels."""
        return self._at_window(self.frame.postprocess_masks, number)

    def logits(self, number: int) -> np.ndarray:
        """Its logits `(h, w)`."""
        return self._at_window(self.frame.postprocess_logits, number)

    def resample_to(self, number: int, other: "Look") -> tuple[np.ndarray, np.ndarray]:
        """One mask's probabilities at the low-res cells of another look, bilinear.

        Returns:
            `(L, L)` each: the probabilities, and which of the cells lie in this look's window.
        """
        probabilities = sigmoid(self.low_res_logits[number])
        (rows, down), (columns, across) = (self._cells_on(other, axis) for axis in (0, 1))
        return rows @ probabilities @ columns.T, down[:, None] & across

    def halvings(self, original_size: tuple[int, int]) -> float:
        """How often the image's longest side is halved to the window's."""
        x0, y0, x1, y1 = self.window
        return math.log2(max(original_size) / max(y1 - y0, x1 - x0))

    def _cells_on(self, other: "Look", axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Along an axis, what of this look's cells another's are made of, and which are seen."""
        (cells, side), (other_cells, other_side) = (
            (look.low_res_logits.shape[1 + axis], look.frame.image_size[axis])
            for look in (self, other)
        )
        x = 1 - axis  # points and windows begin with x
        centers = (np.arange(other_cells) + 0.5) * other_side / other_cells
        places = other.frame.invert_points(np.stack([centers, centers], -1)) + other.window[x]
        is_seen = (places[:, x] >= self.window[x]) & (places[:, x] <= self.window[x + 2])
        places = self.frame.apply_points(places - self.window[x])[:, x] * cells / side - 0.5
        places = np.clip(places, 0, cells - 1)
        return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(cells))), is_seen

    def _at_window(self, to_original: Callable[..., np.ndarray], number: int) -> np.ndarray:
        boxes = None if self.box is None else self.box[None]
        return to_original(self.low_res_logits[None, number : number + 1], boxes=boxes)[0, 0]
