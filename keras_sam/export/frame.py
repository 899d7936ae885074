"""`Frame`: the coordinates of the exported files, which may be larger than the model's."""

from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.transforms.bilinear_matrix import stretch_weights


@dataclass(frozen=True)
class Frame:
    """A square frame that is `factor` times as large as the model's.

    Attributes:
        side: Side of the frame in pixels.
        low_res_side: Side of the masks `L` in the frame.
        factor: Ratio of the frame's side to that of the model's images.
        mask_factor: Ratio of the masks' side to that of the model's low-res masks.
    """

    side: int
    low_res_side: int
    factor: int
    mask_factor: int

    def shrink_images(self, images: Any) -> Any:
        """Average the pixels of images `(B, H, W, C)` to the model's size."""
        return _pool(images, self.factor)

    def shrink_masks(self, masks: Any) -> Any:
        """Average low-res logits `(B, L, L, 1)` to the model's low-res size."""
        return _pool(masks, self.mask_factor)

    def shrink_points(self, points: Any) -> Any:
        """Move points `(..., 2)` from the frame to the model's images."""
        return points if self.factor == 1 else (points + 0.5) / self.factor - 0.5

    def grow_masks(self, masks: Any) -> Any:
        """Upsample logits `(..., L, L)` of the model to the frame's low-res size."""
        if self.mask_factor == 1:
            return masks
        low_res_side = self.low_res_side
        weights = stretch_weights(low_res_side // self.mask_factor, low_res_side)
        weights = ops.convert_to_tensor(weights)  # (L, cells)
        masks = ops.matmul(masks, ops.transpose(weights))
        return ops.matmul(weights, masks)


def frame_of(model: SAMImageSegmenter, side: int | None) -> Frame:
    """Return the frame of a model.

    Args:
        model: Model to export.
        side: Side of the frame in pixels. Defaults to that of the model's images.

    Raises:
        ValueError: If the model's images are not square, or the side is not a multiple of theirs.
    """
    height, width = model.backbone.image_shape[:2]
    if height != width:
        raise ValueError(
            f"exported files need square images, got image_shape {(height, width)}; load the "
            "preset with a square image_shape"
        )
    side = side or height
    if side < height or side % height:
        raise ValueError(f"frame must be a multiple of the model's image size {height}, got {side}")
    low_res_side = model.backbone.low_res_size[0]
    # Masks of Meta's models have a quarter of the frame's side. Small patches give larger masks.
    mask_factor = max(1, side // 4 // low_res_side) if side > height else 1
    return Frame(side, mask_factor * low_res_side, side // height, mask_factor)


def _pool(grid: Any, factor: int) -> Any:
    if factor == 1:
        return grid
    return ops.average_pool(grid, factor, strides=factor, data_format="channels_last")
