"""`ImageProcessor`: predicts the masks of decoded images, one image after another."""

import dataclasses
import time
from typing import Any

import numpy as np

from keras_sam.annotations.mask_record import MaskRecord
from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.decode_image import DecodedImage
from keras_sam.batch.image_result import (
    BatchMask,
    ErrorInfo,
    ImageResult,
    Provenance,
    StepSeconds,
)
from keras_sam.batch.parse_prompts import ImagePrompts, parse_prompts
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.predict_records import predict_records
from keras_sam.predict.sam_mask_generator import SAMMaskGenerator
from keras_sam.predict.sam_predictor import SAMPredictor


class ImageProcessor:
    """Predicts the masks of images. An error becomes the result of its image.

    A processor serves one thread. Processors of several threads can share compiled programs.

    Args:
        model: Segmenter.
        settings: Options of the batch.
        provenance: Model and package versions, for the results.
        shared_with: Processor of the same model whose compiled programs are used.

    Attributes:
        predictor: Predictor of this processor.
    """

    def __init__(
        self,
        model: SAMImageSegmenter,
        settings: BatchSettings,
        *,
        provenance: Provenance,
        shared_with: "ImageProcessor | None" = None,
    ) -> None:
        self.settings = settings
        self.provenance = provenance
        engine = None if shared_with is None else shared_with.predictor.engine
        self.predictor: _TimedPredictor = _TimedPredictor(model, engine=engine)
        self._generator = SAMMaskGenerator(
            self.predictor, settings.generator, output_mode="coco_rle"
        )

    def process(self, decoded: DecodedImage) -> ImageResult:
        """Predict the masks of an image.

        Args:
            decoded: Image with its pixels. A decoding error becomes the result's error.
        """
        image = decoded.image
        result = ImageResult(
            image_id=image.id,
            path=image.path,
            provenance=self.provenance,
            error=decoded.error,
            seconds=StepSeconds(decode=decoded.seconds),
        )
        if decoded.pixels is None:
            return result
        started = time.perf_counter()
        self.predictor.encode_seconds = 0.0
        masks: list[BatchMask] = []
        error = None
        try:
            masks = self._predict(image, decoded.pixels)
        except Exception as exception:  # whatever it is, the other images must continue
            error = ErrorInfo.from_exception(exception)
        finally:
            self.predictor.reset_image()
        encode_seconds = self.predictor.encode_seconds
        generate_seconds = time.perf_counter() - started - encode_seconds
        return dataclasses.replace(
            result,
            size=(decoded.pixels.shape[0], decoded.pixels.shape[1]),
            masks=tuple(masks),
            error=error,
            seconds=StepSeconds(decoded.seconds, encode_seconds, generate_seconds),
        )

    def _predict(self, image: BatchImage, pixels: np.ndarray) -> list[BatchMask]:
        prompts = parse_prompts(image)
        if prompts is None:
            return [BatchMask(record) for record in self._generator.generate(pixels)]
        self.predictor.set_image(pixels)
        records: dict[int, list[MaskRecord]] = {}
        for multimask_output in (True, False):
            indices = [
                index
                for index in range(len(prompts))
                if self._is_multimask(prompts, index) == multimask_output
            ]
            records |= self._predict_prompts(prompts, indices, multimask_output)
        return [BatchMask(record, index) for index in sorted(records) for record in records[index]]

    def _is_multimask(self, prompts: ImagePrompts, index: int) -> bool:
        if self.settings.multimask_output is not None:
            return self.settings.multimask_output
        return prompts.is_single_point(index)

    def _predict_prompts(
        self, prompts: ImagePrompts, indices: list[int], multimask_output: bool
    ) -> dict[int, list[MaskRecord]]:
        """Return the masks of some prompts by index. Batches bound the memory for logits."""
        batch_size = self.predictor.prompts_per_batch
        records: dict[int, list[MaskRecord]] = {}
        for start in range(0, len(indices), batch_size):
            batch = indices[start : start + batch_size]
            selected = prompts.select(batch)
            batch_records = predict_records(
                self.predictor,
                selected.points,
                selected.labels,
                selected.boxes,
                multimask_output=multimask_output,
                stability_score_offset=self.settings.generator.stability_score_offset,
            )
            records |= zip(batch, batch_records, strict=True)
        return records


class _TimedPredictor(SAMPredictor):
    """A predictor that measures the time of its image encoder.

    Attributes:
        encode_seconds: Total time of `set_image`, in seconds.
    """

    encode_seconds = 0.0

    def set_image(self, image: Any, image_format: str = "RGB") -> None:
        """Encode an image and wait until the device has finished."""
        started = time.perf_counter()
        super().set_image(image, image_format)
        array = next(iter(self.state.embedding.values()))
        self.engine.to_numpy(array[:, :1, :1, :1])
        self.encode_seconds += time.perf_counter() - started
