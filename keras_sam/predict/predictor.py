"""`SAMPredictor`: masks of one image from clicks, boxes and earlier masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.engines.engine import Engine, create_engine
from keras_sam.engines.int8_encoder import Int8Encoder
from keras_sam.images.read_image import read_image
from keras_sam.layers.prompts import BOTTOM_RIGHT, NOT_A_POINT, PADDING, TOP_LEFT
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.frame_for_model import transform_for_model
from keras_sam.predict.image_embedding import ImageEmbedding, check_embedding, encoder_fingerprint
from keras_sam.transforms.check_prompts import check_box, check_points
from keras_sam.transforms.expand_mask_to_box import expand_mask_to_box
from keras_sam.transforms.guided_filter import GuidedFilterRefiner
from keras_sam.transforms.image_transform import ImageTransform

MASK_THRESHOLD = 0.0


@dataclass(frozen=True)
class PredictorState:
    """An image as one predictor holds it, to be given to its `set_image` again at no cost.

    Attributes:
        engine: of the predictor.
        embedding: of `Engine.encode`.
        features: of `Engine.decoder_cache`.
        frame: the way of the image into the model, and of its masks back.
        guide: what moves outlines to the image's edges, where the model's preprocessing says so.
    """

    engine: Engine
    embedding: Any
    features: tuple[Any, ...]
    frame: ImageTransform
    guide: GuidedFilterRefiner | None


class SAMPredictor:
    """Encodes an image once, then predicts masks for any number of prompts.

    Arguments, shapes and meaning are those of Meta's `SamPredictor`; `predict_many` takes many
    prompts at once.

    Args:
        model: the segmenter.
        prompts_per_batch: how many prompts are decoded together at most; bounds memory.
        int8_encoder: encodes images in place of the model, a little less exactly; on OpenVINO
            alone.
    """

    def __init__(
        self,
        model: SAMImageSegmenter,
        *,
        prompts_per_batch: int = 32,
        int8_encoder: Int8Encoder | None = None,
    ) -> None:
        if not isinstance(model, SAMImageSegmenter):
            raise TypeError(f"model must be a SAMImageSegmenter, got {type(model).__name__}")
        if prompts_per_batch < 1:
            raise ValueError(f"prompts_per_batch must be 1 or more, got {prompts_per_batch}")
        self.model = model
        self.prompts_per_batch = prompts_per_batch
        self.engine: Engine = create_engine(model, int8_encoder)
        self._image: PredictorState | None = None

    def set_image(self, image: np.ndarray | str | Path | Any, image_format: str = "RGB") -> None:
        """Encodes an image, or takes an encoded one.

        Args:
            image: what `read_image` takes, such as an array `(H, W, 3)` uint8, a path or a PIL
                image; or an `ImageEmbedding` of this model, or an `PredictorState` of this predictor.
            image_format: order of an array's channels, "RGB" or "BGR"; files tell their own.

        Raises:
            ValueError: for a picture that cannot be read, an unknown format, or an embedding of
                another model.
        """
        if image_format not in ("RGB", "BGR"):
            raise ValueError(f"image_format must be 'RGB' or 'BGR', got {image_format!r}")
        self.reset_image()
        if isinstance(image, PredictorState):
            if image.engine is not self.engine:
                raise ValueError("the encoded image is another predictor's")
            self._image = image
            return
        if isinstance(image, ImageEmbedding):
            frame = check_embedding(image, self.model)
            embedding = self.engine.cast_embedding(image.embedding)
            guide = image.guide
        else:
            pixels = read_image(image)
            if image_format == "BGR" and isinstance(image, np.ndarray):
                pixels = np.ascontiguousarray(pixels[..., ::-1])
            frame = transform_for_model(self.model, pixels.shape[:2])
            model_image = frame.apply_image(pixels)
            embedding = self.engine.encode(model_image[None])
            guide = frame.outline_guide(model_image, self.model.backbone.low_res_size)
        features = self.engine.decoder_cache(embedding)
        self._image = PredictorState(self.engine, embedding, features, frame, guide)

    def reset_image(self) -> None:
        """Forgets the image."""
        self._image = None

    @property
    def encoded_image(self) -> PredictorState:
        """The image, to be given to `set_image` when another one was set meanwhile."""
        if self._image is None:
            raise RuntimeError("no image is set; call set_image first")
        return self._image

    @property
    def frame(self) -> ImageTransform:
        """The way of the image into the model, and of its masks back."""
        return self.encoded_image.frame

    @property
    def is_image_set(self) -> bool:
        """Whether there is an image to prompt."""
        return self._image is not None

    @property
    def original_size(self) -> tuple[int, int]:
        """`(height, width)` of the image."""
        return self.frame.original_size

    @property
    def input_size(self) -> tuple[int, int]:
        """`(height, width)` of the image's content in the model frame."""
        return self.frame.input_size

    @property
    def decoder_cache(self) -> tuple[Any, ...]:
        """The decoder's work that depends on the image alone, as `Engine` takes it."""
        return self.encoded_image.features

    def get_image_embedding(self) -> ImageEmbedding:
        """The encoded image, to be saved, or given to `set_image`."""
        frame, guide = self.frame, self.encoded_image.guide
        return ImageEmbedding(
            embedding=self.engine.to_numpy(self.encoded_image.embedding),
            original_size=frame.original_size,
            input_size=frame.input_size,
            image_size=frame.image_size,
            fingerprint=encoder_fingerprint(self.model),
            preprocessing=frame.preprocessing,
            outline_pixels=None if guide is None else guide.pixels,
        )

    def predict(
        self,
        point_coords: Any = None,
        point_labels: Any = None,
        box: Any = None,
        mask_input: Any = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Masks of one prompt. Any part may be left out.

        Args:
            point_coords: `(N, 2)` pixels (x, y).
            point_labels: `(N,)`: 1 foreground, 0 background.
            box: `(4,)` XYXY pixels, or `(1, 4)` as in Meta's examples.
            mask_input: low-res logits `(1, L, L)` of an earlier prediction.
            multimask_output: three masks, for an ambiguous prompt, or the single one.
            return_logits: logits instead of boolean masks.

        Returns:
            masks `(M, H, W)`, the estimate of their IoU `(M,)`, and low-res logits
            `(M, L, L)`.

        Raises:
            RuntimeError: if no image is set.
            ValueError: for prompts of wrong shapes or outside the image.
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
        """Masks of P prompts of the image.

        Args:
            point_coords: `(P, N, 2)`, or a list of P arrays of any lengths, None where a prompt
                has no points.
            point_labels: `(P, N)`, or a list alike.
            boxes: `(P, 4)`, or a list with None where a prompt has no box.
            mask_inputs: low-res logits `(P, L, L)`.
            multimask_output: as `predict`.
            return_logits: as `predict`.

        Returns:
            `(P, M, H, W)`, `(P, M)` and `(P, M, L, L)`.
        """
        low_res_logits, iou_predictions = self.predict_low_res(
            point_coords, point_labels, boxes, mask_inputs, multimask_output=multimask_output
        )
        frame = self.frame
        limits = None if boxes is None else _with_nan(boxes)
        if return_logits:
            logits = frame.postprocess_logits(low_res_logits, boxes=limits)
            return logits, iou_predictions, low_res_logits
        masks = frame.postprocess_masks(low_res_logits, threshold=MASK_THRESHOLD, boxes=limits)
        return masks, iou_predictions, low_res_logits

    def predict_low_res(
        self,
        point_coords: Sequence[Any] | np.ndarray | None = None,
        point_labels: Sequence[Any] | np.ndarray | None = None,
        boxes: Sequence[Any] | np.ndarray | None = None,
        mask_inputs: np.ndarray | None = None,
        *,
        multimask_output: bool | None = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """`predict_many` without the masks: low-res logits `(P, M, L, L)` and IoU `(P, M)`.

        With `multimask_output` None these are the single mask and then the three. Where the model's
        `outlines` are "image", they are moved already; where its `box_masks` are "fitted", they
        reach their box. They may still reach out of it.
        """
        frame = self.frame
        masks = self._check_mask_inputs(mask_inputs)
        given = {"point_coords": point_coords, "point_labels": point_labels, "boxes": boxes}
        given["mask_input"] = masks
        count = count_prompts(given)
        prompts = [
            _tokens(
                frame,
                *(
                    None if part is None else part[index]
                    for part in (point_coords, point_labels, boxes)
                ),
            )
            for index in range(count)
        ]
        parts = []
        for start in range(0, count, self.prompts_per_batch):
            chunk = slice(start, start + self.prompts_per_batch)
            chunk_masks = None if masks is None else masks[chunk]
            parts.append(self._decode(prompts[chunk], chunk_masks, multimask_output))
        logits, iou_predictions = map(np.concatenate, zip(*parts, strict=True))
        guide, preprocessing = self.encoded_image.guide, frame.preprocessing
        for index, mask in np.ndindex(*iou_predictions.shape):
            within = None if boxes is None else frame.window(boxes[index])
            if guide is not None:
                outlined = guide.refined(logits[index, mask], within=within)
                logits[index, mask] = outlined.low_res_logits
                iou_predictions[index, mask] = preprocessing.rating(
                    float(iou_predictions[index, mask]), outlined.support
                )
            if within is not None and preprocessing.box_masks == "fitted":
                logits[index, mask] = expand_mask_to_box(logits[index, mask], frame, within)
        return logits, iou_predictions

    def _decode(
        self,
        prompts: list[tuple[np.ndarray, np.ndarray]],
        masks: np.ndarray | None,
        multimask_output: bool | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pads prompts to a bucket of shapes, so that few programs are compiled."""
        count = min(_bucket(len(prompts)), self.prompts_per_batch)
        length = _bucket(max(2, *(len(labels) for _, labels in prompts)))
        points = np.zeros((1, count, length, 2), np.float32)
        labels = np.full((1, count, length), PADDING, np.int32)
        for index, (coords, kinds) in enumerate(prompts):
            points[0, index, : len(kinds)] = coords
            labels[0, index, : len(kinds)] = kinds
        if masks is not None:
            padded = np.zeros((1, count, *masks.shape[1:], 1), np.float32)
            padded[0, : len(masks), ..., 0] = masks
            masks = padded
        logits, iou_predictions = self.engine.decode(
            self.encoded_image.embedding,
            self.encoded_image.features,
            points,
            labels,
            mask_inputs=masks,
            multimask_output=multimask_output,
        )
        return logits[: len(prompts)], iou_predictions[: len(prompts)]

    def _check_mask_inputs(self, mask_inputs: Any) -> np.ndarray | None:
        if mask_inputs is None:
            return None
        try:
            masks = np.asarray(mask_inputs, np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError("mask_input must be an array of numbers") from error
        expected = tuple(self.model.backbone.low_res_size)
        if masks.ndim != 3 or masks.shape[1:] != expected:
            raise ValueError(
                f"mask_input holds low-res logits of shape {('P', *expected)}, got {masks.shape}"
            )
        if not np.isfinite(masks).all():
            raise ValueError("mask_input must be finite, got NaN or infinity")
        return masks


def count_prompts(given: dict[str, Any]) -> int:
    """How many prompts the parts of prompts that are given hold.

    Raises:
        ValueError: if they hold different numbers, or none.
    """
    counts = {name: len(part) for name, part in given.items() if part is not None}
    if not counts:
        return 1  # no prompt at all is a prompt too, as in Meta's
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ValueError(f"prompts disagree on their number: {listed}")
    count = next(iter(counts.values()))
    if not count:
        raise ValueError("expected at least one prompt, got none")
    return count


def _with_nan(boxes: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Checked boxes as one array `(P, 4)`, NaN where a prompt has none."""
    nothing = np.full(4, np.nan)
    return np.stack([nothing if box is None else np.asarray(box, np.float64) for box in boxes])


def _single_box(box: Any) -> Any:
    """The box in an array `(1, 4)`; anything else as it is, for `check_box` to judge."""
    shape = getattr(box, "shape", None)
    is_row = len(box) == 1 if isinstance(box, list | tuple) else shape == (1, 4)
    return box[0] if is_row else box


def _tokens(
    frame: ImageTransform, coords: Any, labels: Any, box: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Points `(N, 2)` of the model frame and labels `(N,)` of one prompt, its box included."""
    points, kinds = np.zeros((0, 2), np.float32), np.zeros(0, np.int32)
    if coords is not None or labels is not None:
        points, kinds = check_points(coords, labels, frame.original_size)
        points = frame.apply_points(points)
        if box is None:  # the model was trained to see this token where there is no box
            points = np.concatenate([points, np.zeros((1, 2), np.float32)])
            kinds = np.append(kinds, np.int32(NOT_A_POINT))
    if box is not None:
        corners = frame.apply_boxes(check_box(box, frame.original_size)).reshape(2, 2)
        points = np.concatenate([points, corners])
        kinds = np.append(kinds, np.array([TOP_LEFT, BOTTOM_RIGHT], np.int32))
    return points, kinds


def _bucket(count: int) -> int:
    """The least power of two that is not below a count."""
    return 1 << max(0, count - 1).bit_length()
