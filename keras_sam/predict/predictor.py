"""`Predictor`: the interface of everything that predicts masks from the prompts of one image."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_sam.types import Size

MASK_THRESHOLD = 0.0


class Predictor(ABC):
    """Predicts masks of one image. Arguments and results are those of Meta's `SamPredictor`."""

    @abstractmethod
    def set_image(self, image: Any, image_format: str = "RGB") -> None:
        """Set the image to prompt.

        Args:
            image: RGB image `(H, W, 3)`, uint8; or anything else that `read_image` accepts, such
                as a path or a PIL image.
            image_format: Channel order of an array, "RGB" or "BGR". Ignored for files.

        Raises:
            ValueError: If the image cannot be read, or the format is unknown.
        """

    @abstractmethod
    def reset_image(self) -> None:
        """Forget the image."""

    @property
    @abstractmethod
    def is_image_set(self) -> bool:
        """True if there is an image to prompt."""

    @property
    @abstractmethod
    def original_size(self) -> Size:
        """`(height, width)` of the image."""

    @abstractmethod
    def predict_many(
        self,
        point_coords: Sequence[Any] | np.ndarray | None = None,
        point_labels: Sequence[Any] | np.ndarray | None = None,
        boxes: Sequence[Any] | np.ndarray | None = None,
        mask_inputs: np.ndarray | None = None,
        *,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predict the masks of P prompts.

        Args:
            point_coords: Points `(P, N, 2)`, or a list of P arrays of any lengths, with `None`
                for prompts without points.
            point_labels: Labels `(P, N)`, or a list in the same way.
            boxes: Boxes `(P, 4)`, or a list with `None` for prompts without a box.
            mask_inputs: Low-res logits `(P, L, L)` of an earlier prediction.
            multimask_output: See `predict`.
            return_logits: See `predict`.

        Returns:
            Masks `(P, M, H, W)`, IoU predictions `(P, M)` and low-res logits `(P, M, L, L)`.

        Raises:
            RuntimeError: If no image is set.
            ValueError: If prompts have wrong shapes or lie outside the image.
        """

    def predict(
        self,
        point_coords: Any = None,
        point_labels: Any = None,
        box: Any = None,
        mask_input: Any = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predict the masks of one prompt. Any part of the prompt may be omitted.

        Args:
            point_coords: Points `(N, 2)` (x, y) in pixels.
            point_labels: Labels `(N,)`: 1 foreground, 0 background.
            box: Box `(4,)` XYXY in pixels, or `(1, 4)` as in Meta's examples.
            mask_input: Low-res logits `(1, L, L)` of an earlier prediction.
            multimask_output: If True, three masks, for ambiguous prompts. If False, one.
            return_logits: If True, logits instead of boolean masks.

        Returns:
            Masks `(M, H, W)`, IoU predictions `(M,)` and low-res logits `(M, L, L)`.

        Raises:
            RuntimeError: If no image is set.
            ValueError: If the prompt has a wrong shape or lies outside the image.
        """
        masks, iou_predictions, low_res_logits = self.predict_many(
            None if point_coords is None else [point_coords],
            None if point_labels is None else [point_labels],
            None if box is None else [_single_box(box)],
            mask_input,
            multimask_output=multimask_output,
            return_logits=return_logits,
        )
        if len(masks) != 1:
            raise ValueError(f"mask_input must have shape (1, L, L), got {np.shape(mask_input)}")
        return masks[0], iou_predictions[0], low_res_logits[0]


def count_prompts(**parts: Any) -> int:
    """Return the number of prompts that parts of prompts describe.

    Args:
        **parts: Sequences by name, or `None`. Without any, there is one prompt, as in Meta's
            predictor.

    Raises:
        ValueError: If the parts have different lengths, or no entries.
    """
    counts = {name: len(part) for name, part in parts.items() if part is not None}
    if not counts:
        return 1
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ValueError(f"prompts disagree on their number: {listed}")
    count = next(iter(counts.values()))
    if not count:
        raise ValueError("expected at least one prompt, got none")
    return count


def check_image_format(image_format: str) -> None:
    """Check that a channel order is "RGB" or "BGR".

    Raises:
        ValueError: If it is not.
    """
    if image_format not in ("RGB", "BGR"):
        raise ValueError(f"image_format must be 'RGB' or 'BGR', got {image_format!r}")


def check_mask_inputs(mask_inputs: Any, low_res_size: Size) -> np.ndarray | None:
    """Convert mask inputs to an array `(P, L, L)`, float32. `None` stays `None`.

    Args:
        mask_inputs: Low-res logits `(P, L, L)`, or `None`.
        low_res_size: `(L, L)` of the model.

    Raises:
        ValueError: If the values are not finite numbers, or the shape is wrong.
    """
    if mask_inputs is None:
        return None
    try:
        masks = np.asarray(mask_inputs, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError("mask_input must be an array of numbers") from error
    if masks.ndim != 3 or masks.shape[1:] != tuple(low_res_size):
        raise ValueError(
            f"mask_input must be low-res logits of shape {('P', *low_res_size)}, got {masks.shape}"
        )
    if not np.isfinite(masks).all():
        raise ValueError("mask_input must be finite, got NaN or infinity")
    return masks


def _single_box(box: Any) -> Any:
    """Return the box in an array `(1, 4)`, and anything else unchanged."""
    shape = getattr(box, "shape", None)
    is_row = len(box) == 1 if isinstance(box, list | tuple) else shape == (1, 4)
    return box[0] if is_row else box
