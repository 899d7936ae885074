"""`ImageProcessor`: a model that finds the masks of one image after the other."""

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.image_result import ImageResult, one_line, path_to_text
from keras_sam.batch.parse_prompts import Prompts, parse_prompts
from keras_sam.engines.engine import Engine
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.batch_decoder import Candidate
from keras_sam.predict.crops import Crop
from keras_sam.predict.generated_mask import GeneratedMask
from keras_sam.predict.mask_generator import SAMMaskGenerator
from keras_sam.predict.predictor import MASK_THRESHOLD, SAMPredictor
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor


class ImageProcessor:
    """Finds masks; whatever is wrong with an image becomes its result.

    Not for two threads at once: make another with `engine`, whose programs and weights they share.

    Args:
        model: the segmenter.
        settings: thresholds.
        facts: what each result tells of this process.
        engine: of another masker of the same model.
    """

    def __init__(
        self,
        model: SAMImageSegmenter,
        settings: BatchSettings,
        *,
        facts: dict[str, str],
        engine: Engine | None = None,
    ) -> None:
        self.settings = settings
        self.facts = facts
        self.predictor = _TimedPredictor(model)
        if engine is not None:
            self.predictor.engine = engine
        arguments = settings.generator_arguments()
        self.generator = SAMMaskGenerator(model, output_mode="coco_rle", **arguments)
        self.generator.predictor = self.predictor

    def mask(self, image: BatchImage, pixels: np.ndarray, decode_seconds: float) -> ImageResult:
        """The masks of a decoded image, or the error that stood in their way.

        Args:
            image: its name and prompts.
            pixels: `(H, W, 3)` uint8.
            decode_seconds: what reading them took.
        """
        self.predictor.seconds = 0.0
        started = time.perf_counter()
        masks: list[dict[str, Any]] = []
        failure: dict[str, Any] = {}
        try:
            prompts = parse_prompts(image)
            if prompts is None:
                masks = self.generator.generate(pixels)
            else:
                masks = list(self._prompted(pixels, prompts))
        except Exception as error:  # of any kind: it must not stop the other images
            failure = {"error_type": type(error).__name__, "error": one_line(error)}
        finally:
            self.predictor.reset_image()
        for mask in masks:
            for score in ("predicted_iou", "stability_score"):
                mask[score] = None if math.isnan(mask[score]) else mask[score]
        encode_seconds = self.predictor.seconds
        generate_seconds = time.perf_counter() - started - encode_seconds
        return ImageResult(
            image_id=image.id,
            path=path_to_text(image.path),
            finished_at=datetime.now(UTC),
            masks=masks,
            size=(pixels.shape[0], pixels.shape[1]),
            seconds={
                "decode": decode_seconds,
                "encode": encode_seconds,
                "generate": generate_seconds,
            },
            facts=self.facts,
            **failure,
        )

    def _prompted(self, pixels: np.ndarray, prompts: Prompts) -> Iterator[dict[str, Any]]:
        """Records in the order of the prompts, those of a prompt by falling rating."""
        self.predictor.set_image(pixels)
        wanted = self.settings.multimask_output
        found: dict[int, list[dict[str, Any]]] = {}
        for multimask in (True, False):
            indices = [
                index
                for index in range(len(prompts))
                if (prompts.is_single_point(index) if wanted is None else wanted) == multimask
            ]
            step = self.predictor.prompts_per_batch
            for start in range(0, len(indices), step):
                some = indices[start : start + step]
                found |= self._decoded(prompts, some, multimask)
        for index in sorted(found):
            yield from found[index]

    def _decoded(
        self, prompts: Prompts, indices: list[int], multimask: bool
    ) -> dict[int, list[dict[str, Any]]]:
        """Records of some prompts that are decoded together, by prompt."""
        arguments = prompts.some(indices)
        logits, ratings = self.predictor.predict_low_res(**arguments, multimask_output=multimask)
        height, width = size = self.predictor.original_size
        drawer = MaskPostprocessor(
            self.predictor.frame,
            (logits.shape[-2], logits.shape[-1]),
            threshold=MASK_THRESHOLD,
            offset=self.settings.stability_score_offset,
        )
        crop = Crop((0, 0, width, height), 0)
        found = {}
        for row, index in enumerate(indices):
            point = _point(arguments, row)
            boxes = arguments["boxes"]
            window = self.predictor.frame.window(None if boxes is None else boxes[row])
            records = []
            for mask in np.argsort(-ratings[row], kind="stable"):
                candidate = Candidate(
                    drawer.measure(logits[row, mask], within=window),
                    float(ratings[row, mask]),
                    point,
                )
                record = GeneratedMask(candidate, crop, size, masks=drawer).to_record("coco_rle")
                records.append(record | {"prompt_index": index})
            found[index] = records
        return found


class _TimedPredictor(SAMPredictor):
    """A predictor that counts the seconds of its image encoder."""

    seconds = 0.0

    def set_image(self, image: Any, image_format: str = "RGB") -> None:
        """As of `SAMPredictor`; waits until the device is done."""
        started = time.perf_counter()
        super().set_image(image, image_format)
        self.engine.to_numpy(self.encoded_image.embedding[:, :1, :1, :1])
        self.seconds += time.perf_counter() - started


def _point(arguments: dict[str, Any], row: int) -> tuple[float, float]:
    """The first point of a prompt, or the center of its box."""
    points, boxes = arguments["point_coords"], arguments["boxes"]
    if points is not None and points[row] is not None:
        x, y = points[row][0]
        return float(x), float(y)
    x0, y0, x1, y1 = boxes[row]
    return (x0 + x1) / 2, (y0 + y1) / 2
