"""Operations of ONNX whose shapes depend on values: resizing images, and masks to any size."""

from typing import Any

import numpy as np

from keras_sam.export.program import PROMPTS, Arrays, ArraySpec, OnnxStage
from keras_sam.export.samples import choice, normalize_photo, photo_pixels
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import PIXEL_MEAN, PIXEL_STD

IMAGE_SIZE = ArraySpec("orig_im_size", (2,), sample=choice([90, 121, 60, 200]))


def image_stage(side: int, *, resize: bool, name: str, target: ArraySpec) -> OnnxStage:
    """Return the stage from pixels `(H, W, 3)` in [0, 255] to normalized, padded images.

    Args:
        side: Side of the frame in pixels.
        resize: If True, images of any size are resized to the frame's longest side, with
            antialiasing. If False, they must fit into the frame already.
        name: Name of the input.
        target: Input of the image encoder.
    """

    def add(tape: Any, values: dict[str, Any]) -> dict[str, Any]:
        pixels = _transpose(tape, values[name], (2, 0, 1))
        pixels = tape.op("Unsqueeze", [pixels, _integers(tape, [0])])  # (1, 3, H, W)
        if resize:
            pixels = _resize_to_longest_side(tape, pixels, side)
        mean = 255 * np.array(PIXEL_MEAN, np.float32).reshape(1, 3, 1, 1)
        std = 255 * np.array(PIXEL_STD, np.float32).reshape(1, 3, 1, 1)
        pixels = tape.op("Sub", [pixels, _constant(tape, mean)])
        pixels = tape.op("Div", [pixels, _constant(tape, std)])
        missing = tape.op("Sub", [_integers(tape, [side, side]), _sides(tape, pixels)])
        pads = tape.op(
            "Concat", [_integers(tape, [0, 0, 0, 0, 0, 0]), missing], attributes={"axis": 0}
        )
        return {target.name: tape.op("Pad", [pixels, pads])}

    def reference(arrays: Arrays) -> Arrays:
        pixels = arrays[name]
        if resize:
            return {target.name: normalize_photo(pixels, side)}
        image = (pixels / np.float32(255) - np.array(PIXEL_MEAN, np.float32)) / np.array(
            PIXEL_STD, np.float32
        )
        padded = np.zeros((1, 3, side, side), np.float32)
        padded[0, :, : image.shape[0], : image.shape[1]] = image.transpose(2, 0, 1)
        return {target.name: padded}

    sample = photo_pixels() if resize else photo_pixels(side)
    pixels = ArraySpec(name, ("height", "width", 3), sample=sample)
    return OnnxStage((pixels,), (target,), add, reference)


def mask_stage(side: int, masks: ArraySpec, others: tuple[ArraySpec, ...]) -> OnnxStage:
    """Return the stage that upsamples low-res masks to the original image.

    Args:
        side: Side of the frame in pixels.
        masks: Low-res masks `(P, M, L, L)`.
        others: Outputs of the mask decoder in the order of the file, after the masks.
    """
    num_masks = masks.shape[1]
    original = ArraySpec("masks", (PROMPTS, num_masks, "image_height", "image_width"))

    def add(tape: Any, values: dict[str, Any]) -> dict[str, Any]:
        upsampled = _upsample(tape, values[masks.name], values[IMAGE_SIZE.name], side)
        return values | {"masks": upsampled}

    def reference(arrays: Arrays) -> Arrays:
        return {"masks": _upsample_reference(arrays[masks.name], arrays, side)}

    return OnnxStage((IMAGE_SIZE,), (original, *others), add, reference)


def cropped_mask_stage(side: int, masks: ArraySpec, others: tuple[ArraySpec, ...]) -> OnnxStage:
    """Return the stage that upsamples a mask, thresholds it, and crops it to its box.

    Args:
        side: Side of the frame in pixels.
        masks: Low-res masks `(1, 1, L, L)`.
        others: Outputs of the mask decoder in the order of the file, after the masks.
    """
    names = ("xtl", "ytl", "xbr", "ybr")
    cropped = ArraySpec("masks", (1, 1, "mask_height", "mask_width"), "uint8")
    corners = tuple(ArraySpec(name, (1,), "int64") for name in names)

    def add(tape: Any, values: dict[str, Any]) -> dict[str, Any]:
        upsampled = _upsample(tape, values[masks.name], values[IMAGE_SIZE.name], side)
        zero = _constant(tape, np.float32(0))
        is_mask = _cast(tape, tape.op("Greater", [upsampled, zero]), "INT32")
        left, right = _first_and_last(tape, is_mask, axis=3)
        top, bottom = _first_and_last(tape, is_mask, axis=2)
        one = _integers(tape, [1])
        starts = tape.op("Concat", [top, left], attributes={"axis": 0})
        ends = tape.op("Concat", [bottom, right], attributes={"axis": 0})
        ends = tape.op("Add", [ends, one])
        crop = tape.op("Slice", [is_mask, starts, ends, _integers(tape, [2, 3])])
        crop = tape.op("Mul", [crop, _constant(tape, np.int32(255))])
        boxes = dict(zip(names, (left, top, right, bottom), strict=True))
        return values | boxes | {"masks": _cast(tape, crop, "UINT8")}

    def reference(arrays: Arrays) -> Arrays:
        mask = _upsample_reference(arrays[masks.name], arrays, side)[0, 0] > 0
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        top, bottom = rows.argmax(), len(rows) - 1 - rows[::-1].argmax()
        left, right = columns.argmax(), len(columns) - 1 - columns[::-1].argmax()
        crop = mask[top : bottom + 1, left : right + 1]
        boxes = zip(names, (left, top, right, bottom), strict=True)
        return {name: np.array([value]) for name, value in boxes} | {
            "masks": crop[None, None].astype(np.uint8) * np.uint8(255)
        }

    return OnnxStage((IMAGE_SIZE,), (cropped, *others, *corners), add, reference)


def _upsample(tape: Any, masks: Any, image_size: Any, side: int) -> Any:
    """Upsample masks to the frame, crop the padding, and resize to the image, as Meta does."""
    longest = tape.op("ReduceMax", [image_size], attributes={"keepdims": 0})
    scale = tape.op("Div", [_constant(tape, np.float32(side)), longest])
    content = _round_half_up(tape, tape.op("Mul", [image_size, scale]))
    masks = _resize(tape, masks, _integers(tape, [side, side]))
    masks = tape.op("Slice", [masks, _integers(tape, [0, 0]), content, _integers(tape, [2, 3])])
    return _resize(tape, masks, _cast(tape, image_size, "INT64"))


def _upsample_reference(masks: np.ndarray, arrays: Arrays, side: int) -> np.ndarray:
    height, width = arrays[IMAGE_SIZE.name].astype(int)
    return ImageTransform((height, width), (side, side)).postprocess_logits(masks)


def _resize_to_longest_side(tape: Any, pixels: Any, side: int) -> Any:
    """Resize pixels `(1, 3, H, W)` on uint8 as Pillow does, up to one gray level."""
    size = _cast(tape, _sides(tape, pixels), "FLOAT")
    longest = tape.op("ReduceMax", [size], attributes={"keepdims": 0})
    scale = tape.op("Div", [_constant(tape, np.float32(side)), longest])
    new_size = _round_half_up(tape, tape.op("Mul", [size, scale]))
    new_size = tape.op("Max", [new_size, _integers(tape, [1, 1])])
    pixels = _resize(tape, _cast(tape, pixels, "UINT8"), new_size, antialias=1, exclude_outside=1)
    return _cast(tape, pixels, "FLOAT")


def _resize(tape: Any, array: Any, size: Any, **attributes: Any) -> Any:
    """Resize the last two axes of an array `(B, C, H, W)` to an int64 tensor `(2,)`."""
    first_axes = tape.op("Shape", [array], attributes={"start": 0, "end": 2})
    sizes = tape.op("Concat", [first_axes, size], attributes={"axis": 0})
    settings = {"mode": "linear", "coordinate_transformation_mode": "half_pixel", **attributes}
    return tape.op("Resize", [array, None, None, sizes], attributes=settings)


def _first_and_last(tape: Any, is_mask: Any, *, axis: int) -> tuple[Any, Any]:
    """Return the first and the last index `(1,)` along an axis of a mask `(1, 1, H, W)`."""
    others = _integers(tape, [other for other in range(4) if other != axis])
    is_used = tape.op("ReduceMax", [is_mask, others], attributes={"keepdims": 0})
    first = {"axis": 0, "keepdims": 1}
    last = first | {"select_last_index": 1}
    return tuple(tape.op("ArgMax", [is_used], attributes=which) for which in (first, last))


def _round_half_up(tape: Any, array: Any) -> Any:
    rounded = tape.op("Floor", [tape.op("Add", [array, _constant(tape, np.float32(0.5))])])
    return _cast(tape, rounded, "INT64")


def _sides(tape: Any, array: Any) -> Any:
    return tape.op("Shape", [array], attributes={"start": 2, "end": 4})


def _transpose(tape: Any, array: Any, axes: tuple[int, ...]) -> Any:
    return tape.op("Transpose", [array], attributes={"perm": axes})


def _cast(tape: Any, array: Any, dtype: str) -> Any:
    import onnx_ir

    return tape.op("Cast", [array], attributes={"to": onnx_ir.DataType[dtype]})


def _integers(tape: Any, values: list[int]) -> Any:
    return _constant(tape, np.array(values, np.int64))


def _constant(tape: Any, array: Any) -> Any:
    import onnx_ir

    return tape.op("Constant", [], attributes={"value": onnx_ir.tensor(np.asarray(array))})
