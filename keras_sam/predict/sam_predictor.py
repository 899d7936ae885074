"""`SAMPredictor`: masks of one image from points, boxes and earlier masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.engines.create_engine import create_engine
from keras_sam.engines.engine import Engine
from keras_sam.engines.int8_encoder import Int8Encoder
from keras_sam.images.read_image import read_image
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.point_labels import BOTTOM_RIGHT, NOT_A_POINT, PADDING, TOP_LEFT
from keras_sam.predict.image_embedding import ImageEmbedding, check_embedding
from keras_sam.predict.predictor import (
    MASK_THRESHOLD,
    Predictor,
    check_image_format,
    check_mask_inputs,
    count_prompts,
)
from keras_sam.transforms.check_prompts import check_box, check_points
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.mask_refiner import ImageMaskRefiner, MaskRefiner
from keras_sam.types import Size


@dataclass(frozen=True)
class PredictorState:
    """An encoded image as one predictor stores it. Setting it again costs nothing.

    Attributes:
        engine: Engine of the predictor.
        embedding: Output of `Engine.encode`.
        cache: Output of `Engine.decoder_cache`.
        transform: Transform between the image and the model frame.
        refiner_arrays: Arrays that the mask refiner needs of the image.
        refiner: Refiner of the image's masks, or `None`.
    """

    engine: Engine
    embedding: dict[str, Any]
    cache: tuple[Any, ...]
    transform: ImageTransform
    refiner_arrays: dict[str, np.ndarray]
    refiner: ImageMaskRefiner | None


class SAMPredictor(Predictor):
    """Encodes an image once, then predicts masks for any number of prompts.

    Arguments, shapes and results are those of Meta's `SamPredictor`. `predict_many` takes many
    prompts at once.

    Args:
        model: Segmenter.
        prompts_per_batch: Maximum number of prompts decoded together. Bounds memory.
        mask_refiner: Refinement of the masks after the network. Defaults to the one that the
            model's preset names, if any. `None` disables it.
        int8_encoder: Quantized image encoder, slightly less exact. OpenVINO only.
        engine: Engine of another predictor of the same model, whose programs are shared. It has
            its own image encoder.

    Raises:
        TypeError: If the model is not a segmenter, or the refiner is not a `MaskRefiner`.
        ValueError: If `prompts_per_batch` is below 1, the int8 encoder cannot be used, or the
            engine belongs to another model.
    """

    def __init__(
        self,
        model: SAMImageSegmenter,
        *,
        prompts_per_batch: int = 32,
        mask_refiner: MaskRefiner | str | None = "preset",
        int8_encoder: Int8Encoder | None = None,
        engine: Engine | None = None,
    ) -> None:
        if not isinstance(model, SAMImageSegmenter):
            raise TypeError(f"model must be a SAMImageSegmenter, got {type(model).__name__}")
        if prompts_per_batch < 1:
            raise ValueError(f"prompts_per_batch must be 1 or more, got {prompts_per_batch}")
        if engine is not None and engine.model is not model:
            raise ValueError("engine must belong to this model, got the engine of another model")
        if engine is not None and int8_encoder is not None:
            raise ValueError("int8_encoder belongs to the engine; give one of the two, not both")
        self.model = model
        self.prompts_per_batch = prompts_per_batch
        self.mask_refiner = _resolve_refiner(mask_refiner, model)
        self.engine = engine or create_engine(model, int8_encoder)
        self._state: PredictorState | None = None

    def set_image(
        self, image: np.ndarray | str | Path | ImageEmbedding | Any, image_format: str = "RGB"
    ) -> None:
        """Encode an image, or set an encoded one.

        Args:
            image: RGB image `(H, W, 3)`, uint8; or anything else that `read_image` accepts, such
                as a path or a PIL image; or an `ImageEmbedding` of this model; or the `state` of
                this predictor.
            image_format: Channel order of an array, "RGB" or "BGR". Ignored for files.

        Raises:
            ValueError: If the image cannot be read, the format is unknown, or the embedding or
                state belongs to another model or to a predictor with another mask refiner.
        """
        check_image_format(image_format)
        self.reset_image()
        if isinstance(image, PredictorState):
            settings = None if image.refiner is None else image.refiner.settings
            if image.engine is not self.engine or settings != self.mask_refiner:
                raise ValueError("the state belongs to another predictor")
            self._state = image
        elif isinstance(image, ImageEmbedding):
            self._state = self._restore(image)
        else:
            pixels = read_image(image)
            if image_format == "BGR" and isinstance(image, np.ndarray):
                pixels = np.ascontiguousarray(pixels[..., ::-1])
            self._state = self._encode(pixels)

    def reset_image(self) -> None:
        """Forget the image."""
        self._state = None

    @property
    def is_image_set(self) -> bool:
        """True if there is an image to prompt."""
        return self._state is not None

    @property
    def state(self) -> PredictorState:
        """The encoded image, to pass to `set_image` after another image was set."""
        if self._state is None:
            raise RuntimeError("no image is set; call set_image first")
        return self._state

    @property
    def transform(self) -> ImageTransform:
        """Transform between the image and the model frame."""
        return self.state.transform

    @property
    def original_size(self) -> Size:
        """`(height, width)` of the image."""
        return self.transform.original_size

    @property
    def input_size(self) -> Size:
        """`(height, width)` of the resized image in the model frame, without padding."""
        return self.transform.input_size

    def get_image_embedding(self) -> ImageEmbedding:
        """Return the encoded image, to save it or to pass it to `set_image`."""
        state = self.state
        arrays = {name: self.engine.to_numpy(array) for name, array in state.embedding.items()}
        return ImageEmbedding(
            arrays=arrays | state.refiner_arrays,
            original_size=state.transform.original_size,
            image_size=state.transform.image_size,
            fingerprint=self.model.encoder_fingerprint(),
            preprocessing=state.transform.preprocessing,
        )

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
        """Predict the masks of P prompts; see `Predictor.predict_many`."""
        low_res_logits, iou_predictions = self.predict_low_res(
            point_coords, point_labels, boxes, mask_inputs, multimask_output=multimask_output
        )
        if return_logits:
            masks = self.transform.postprocess_logits(low_res_logits)
        else:
            masks = self.transform.postprocess_masks(low_res_logits, threshold=MASK_THRESHOLD)
        if self.state.refiner is not None and boxes is not None:
            self.state.refiner.clip_pixels(masks, boxes)
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
        """Predict like `predict_many`, without upsampling the masks.

        Args:
            point_coords: See `predict_many`.
            point_labels: See `predict_many`.
            boxes: See `predict_many`.
            mask_inputs: See `predict_many`.
            multimask_output: See `predict`. `None` for the single mask and then the three.

        Returns:
            Low-res logits `(P, M, L, L)` and IoU predictions `(P, M)`.
        """
        masks = check_mask_inputs(mask_inputs, self.model.backbone.low_res_size)
        count = count_prompts(
            point_coords=point_coords, point_labels=point_labels, boxes=boxes, mask_input=masks
        )
        columns: list[Any] = [
            [None] * count if part is None else part for part in (point_coords, point_labels, boxes)
        ]
        prompts = [
            _prompt_to_tokens(self.transform, *parts) for parts in zip(*columns, strict=True)
        ]
        parts = []
        for start in range(0, count, self.prompts_per_batch):
            batch = slice(start, start + self.prompts_per_batch)
            batch_masks = None if masks is None else masks[batch]
            parts.append(self._decode(prompts[batch], batch_masks, multimask_output))
        low_res_logits, iou_predictions = map(np.concatenate, zip(*parts, strict=True))
        self._refine(low_res_logits, iou_predictions, columns[2])
        return low_res_logits, iou_predictions

    def _encode(self, pixels: np.ndarray) -> PredictorState:
        transform = self.model.image_transform((pixels.shape[0], pixels.shape[1]))
        model_image = transform.apply_image(pixels)
        arrays: dict[str, np.ndarray] = {}
        if self.mask_refiner is not None:
            low_res_size = self.model.backbone.low_res_size
            arrays = self.mask_refiner.image_arrays(model_image, transform, low_res_size)
        return self._new_state(self.engine.encode(model_image[None]), transform, arrays)

    def _restore(self, image: ImageEmbedding) -> PredictorState:
        transform = check_embedding(image, self.model)
        names = self.model.embedding_names
        embedding = self.engine.cast_embedding({name: image.arrays[name] for name in names})
        extra = {name: array for name, array in image.arrays.items() if name not in names}
        return self._new_state(embedding, transform, extra)

    def _new_state(
        self, embedding: dict[str, Any], transform: ImageTransform, arrays: dict[str, np.ndarray]
    ) -> PredictorState:
        refiner = None
        if self.mask_refiner is not None:
            low_res_size = self.model.backbone.low_res_size
            refiner = self.mask_refiner.for_image(arrays, transform, low_res_size)
        cache = self.engine.decoder_cache(embedding)
        return PredictorState(self.engine, embedding, cache, transform, arrays, refiner)

    def _decode(
        self,
        prompts: list[tuple[np.ndarray, np.ndarray]],
        masks: np.ndarray | None,
        multimask_output: bool | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pad prompts to a power of two in number and length, and decode them."""
        count = min(_next_power_of_two(len(prompts)), self.prompts_per_batch)
        length = _next_power_of_two(max(2, *(len(labels) for _, labels in prompts)))
        points = np.zeros((1, count, length, 2), np.float32)
        labels = np.full((1, count, length), PADDING, np.int32)
        for index, (prompt_points, prompt_labels) in enumerate(prompts):
            points[0, index, : len(prompt_labels)] = prompt_points
            labels[0, index, : len(prompt_labels)] = prompt_labels
        if masks is not None:
            padded = np.zeros((1, count, *masks.shape[1:], 1), np.float32)
            padded[0, : len(masks), ..., 0] = masks
            masks = padded
        low_res_logits, iou_predictions = self.engine.decode(
            self.state.embedding,
            self.state.cache,
            points,
            labels,
            mask_inputs=masks,
            multimask_output=multimask_output,
        )
        return low_res_logits[: len(prompts)], iou_predictions[: len(prompts)]

    def _refine(
        self, low_res_logits: np.ndarray, iou_predictions: np.ndarray, boxes: Sequence[Any]
    ) -> None:
        """Refine masks and IoU predictions in place."""
        refiner = self.state.refiner
        if refiner is None:
            return
        for prompt, mask in np.ndindex(*iou_predictions.shape):
            low_res_logits[prompt, mask], iou_predictions[prompt, mask] = refiner.refine(
                low_res_logits[prompt, mask], float(iou_predictions[prompt, mask]), boxes[prompt]
            )


def _resolve_refiner(
    mask_refiner: MaskRefiner | str | None, model: SAMImageSegmenter
) -> MaskRefiner | None:
    if mask_refiner == "preset":
        return model.inference_config.mask_refiner
    if mask_refiner is not None and not isinstance(mask_refiner, MaskRefiner):
        raise TypeError(
            f"mask_refiner must be a MaskRefiner, 'preset' or None, got {mask_refiner!r:.60}"
        )
    return mask_refiner


def _prompt_to_tokens(
    transform: ImageTransform, coords: Any, labels: Any, box: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Validate a prompt and return its points `(N, 2)` in the model frame and labels `(N,)`."""
    points, point_labels = np.zeros((0, 2), np.float32), np.zeros(0, np.int32)
    if coords is not None or labels is not None:
        points, point_labels = check_points(coords, labels, transform.original_size)
        points = transform.apply_points(points)
        if box is None:  # the model was trained with this token where there is no box
            points = np.concatenate([points, np.zeros((1, 2), np.float32)])
            point_labels = np.append(point_labels, np.int32(NOT_A_POINT))
    if box is not None:
        corners = transform.apply_boxes(check_box(box, transform.original_size)).reshape(2, 2)
        points = np.concatenate([points, corners])
        point_labels = np.append(point_labels, np.array([TOP_LEFT, BOTTOM_RIGHT], np.int32))
    return points, point_labels


def _next_power_of_two(count: int) -> int:
    return 1 << max(0, count - 1).bit_length()
