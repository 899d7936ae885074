"""`SAMImageSegmenterPreprocessor`: raw images, prompts and masks to a segmenter's inputs."""

from typing import Any

import keras
import numpy as np

from keras_sam.layers.prompts import resolve_prompts
from keras_sam.models.sam_backbone import check_inputs
from keras_sam.models.sam_image_converter import SAMImageConverter, images_to_list
from keras_sam.point_labels import (
    BACKGROUND,
    BOTTOM_RIGHT,
    FOREGROUND,
    NOT_A_POINT,
    PADDING,
    TOP_LEFT,
)
from keras_sam.transforms.image_transform import ImageTransform


@keras.saving.register_keras_serializable(package="keras_sam")
class SAMImageSegmenterPreprocessor(keras.layers.Layer):
    """Prepares raw samples for a `SAMImageSegmenter`.

    Images are converted by the image converter. Points and boxes move from the original to the
    model frame with their image, and target masks are resized like it. Points without a box get
    the token that SAM was trained with, unless the labels already contain it (-1).

    Args:
        image_converter: A `SAMImageConverter`.
    """

    def __init__(self, image_converter: SAMImageConverter, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.image_converter = image_converter
        self.built = True

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Prepare samples.

        Args:
            x: Images, or a dictionary with `images` and any of `points`, `labels`, `boxes` and
                `masks`. Images as in `SAMImageConverter.call`. Points `(B, N, 2)` or
                `(B, P, N, 2)`, labels `(B, N)` or `(B, P, N)` and boxes `(B, P, 2, 2)` in
                pixels of the original; without the batch axis for one image. Masks are low-res
                logits and pass through.
            y: Target masks `(B, P, H, W)`, or a list of `(P, H, W)` with any sizes and numbers,
                or a dictionary with `masks`. Bool or 0 and 1, in pixels of the original.
            sample_weight: Passed through.

        Returns:
            `x`, `(x, y)` or `(x, y, sample_weight)`, with a batch axis. `y` has the boxes
            `(B, P, 2, 2)` of the masks, too.

        Raises:
            ValueError: If shapes do not fit each other.
        """
        inputs = dict(check_inputs(x if isinstance(x, dict) else {"images": x}))
        images, is_batched = images_to_list(inputs.pop("images"))
        transforms = [self.image_converter.transform(image.shape[:2]) for image in images]
        prepared = {
            "images": np.stack(
                [
                    transform.apply_image(image)
                    for transform, image in zip(transforms, images, strict=True)
                ]
            )
        }
        prompts = {
            name: np.asarray(value) if is_batched else np.asarray(value)[None]
            for name, value in inputs.items()
            if value is not None
        }
        resolve_prompts(images=prepared["images"], **prompts)  # checks shapes
        prepared |= _prepare_prompts(prompts, transforms)
        if y is not None:
            y = _prepare_targets(y, transforms, is_batched=is_batched)
        return keras.utils.pack_x_y_sample_weight(prepared, y, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "image_converter": keras.saving.serialize_keras_object(self.image_converter)
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "SAMImageSegmenterPreprocessor":
        config = dict(config)
        if isinstance(config["image_converter"], dict):
            config["image_converter"] = keras.saving.deserialize_keras_object(
                config["image_converter"], custom_objects=custom_objects
            )
        return cls(**config)


def _prepare_prompts(
    prompts: dict[str, np.ndarray], transforms: list[ImageTransform]
) -> dict[str, np.ndarray]:
    prepared = dict(prompts)
    for name in ("points", "boxes"):
        if name in prompts:
            moved = [
                transform.apply_points(value)
                for transform, value in zip(transforms, prompts[name], strict=True)
            ]
            prepared[name] = np.stack(moved)
    if "points" in prepared and "labels" in prepared and 0 not in prepared["points"].shape:
        prepared |= _add_missing_token(**prepared)
    return prepared


def _add_missing_token(
    points: np.ndarray, labels: np.ndarray, boxes: np.ndarray | None = None, **_: Any
) -> dict[str, np.ndarray]:
    """Append the token `NOT_A_POINT` to prompts that have points but no box."""
    labels = labels.astype(np.int32)
    needs_token = np.isin(labels, (FOREGROUND, BACKGROUND)).any(axis=-1)
    needs_token &= ~np.isin(labels, (NOT_A_POINT, TOP_LEFT, BOTTOM_RIGHT)).any(axis=-1)
    if boxes is not None and 0 not in boxes.shape:
        has_box = ~np.isnan(boxes).any(axis=(2, 3))  # (B, P)
        needs_token &= ~has_box.reshape(needs_token.shape)
    if not needs_token.any():
        return {}
    token = np.where(needs_token, NOT_A_POINT, PADDING).astype(np.int32)[..., None]
    return {
        "points": np.concatenate([points, np.zeros((*token.shape, 2), np.float32)], axis=-2),
        "labels": np.concatenate([labels, token], axis=-1),
    }


def _prepare_targets(
    y: Any, transforms: list[ImageTransform], *, is_batched: bool
) -> dict[str, np.ndarray]:
    """Resize target masks to the model frame, pad their number, and add their boxes."""
    masks = y.get("masks") if isinstance(y, dict) else y
    batch = [] if masks is None else masks if is_batched else [masks]
    if len(batch) != len(transforms):
        raise ValueError(
            "targets must be masks (B, P, H, W), a list of masks (P, H, W) per image, or a "
            f"dictionary with 'masks', with {len(transforms)} images"
        )
    most = max(1, *(len(one) for one in batch))  # a mask of zeros is padding
    padded = np.zeros((len(batch), most, *transforms[0].image_size), np.uint8)
    boxes = np.zeros((len(batch), most, 2, 2), np.float32)
    for index, (transform, one) in enumerate(zip(transforms, batch, strict=True)):
        one = np.asarray(one)
        padded[index, : len(one)] = transform.apply_masks(one)
        # Boxes of the resized masks would have whole pixels of the model frame.
        boxes[index, : len(one)] = transform.mask_boxes(one).reshape(-1, 2, 2)
    return {"masks": padded, "boxes": boxes}
