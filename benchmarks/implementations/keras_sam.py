"""`KerasSAM`: this package, on the backend in `KERAS_BACKEND`."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.implementations.implementation import (
    GeneratorOptions,
    Implementation,
    ModelFiles,
    Settings,
)
from benchmarks.sample_photos import sample_photos

EMBEDDING = "image_embeddings"


class KerasSAM(Implementation):
    """The public predictor and mask generator, and the predictor's engine for the encoder.

    SAM's inference settings replace those of the preset, so that masks are not refined. The other
    implementations do not refine them either.
    """

    def prepare(self, files: ModelFiles, settings: Settings) -> None:
        from benchmarks.implementations.device import set_up_keras_backend
        from keras_sam import SAMImageSegmenter, SAMPredictor

        set_up_keras_backend(settings)
        self.device = settings.device
        model = SAMImageSegmenter.from_preset(
            files.keras, dtype=settings.dtype, inference_config="sam"
        )
        self.predictor = SAMPredictor(
            model, prompts_per_batch=64, int8_encoder=self.int8_encoder(files)
        )

    def int8_encoder(self, files: ModelFiles) -> Any:
        """Return the quantized encoder to use instead of the model's own, or `None`."""
        return None

    def images_to_inputs(self, images: np.ndarray) -> Any:
        import keras

        transform = self.predictor.model.image_transform(images.shape[1:3])
        inputs = np.stack([transform.apply_image(image) for image in images])
        return inputs if self.device == "cpu" else keras.ops.convert_to_tensor(inputs)

    def encode(self, inputs: Any) -> Any:
        from benchmarks.implementations.device import wait_for

        return wait_for(self.predictor.engine.encode(inputs)[EMBEDDING])

    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        return self.predictor.engine.to_numpy(embedding)

    def set_image(self, image: np.ndarray) -> None:
        self.predictor.set_image(image)

    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.predictor.predict_low_res(points, labels)

    def generate_masks(
        self, image: np.ndarray, options: GeneratorOptions
    ) -> list[tuple[np.ndarray, float]]:
        from keras_sam import SAMMaskGenerator

        generator = SAMMaskGenerator(
            self.predictor,
            points_per_side=options.points_per_side,
            pred_iou_thresh=options.pred_iou_thresh,
            stability_score_thresh=options.stability_score_thresh,
        )
        records = generator.generate(image)
        return [(record["segmentation"], record["predicted_iou"]) for record in records]


class KerasSAMInt8(KerasSAM):
    """The same with an 8-bit image encoder, calibrated on the photographs of the package."""

    def convert(self, files: ModelFiles, settings: Settings, *, step: str) -> None:
        from benchmarks.implementations.device import set_up_keras_backend
        from keras_sam import SAMImageSegmenter, read_image
        from keras_sam.engines import Int8Encoder

        if self._encoder_file(files).exists():
            return
        set_up_keras_backend(settings)
        model = SAMImageSegmenter.from_preset(files.keras, inference_config="sam")
        images = [read_image(photo) for photo in sample_photos()]
        Int8Encoder.quantize(model, images).save(self._encoder_file(files))

    def int8_encoder(self, files: ModelFiles) -> Any:
        from keras_sam.engines import Int8Encoder

        return Int8Encoder.load(self._encoder_file(files))

    def _encoder_file(self, files: ModelFiles) -> Path:
        return files.directory / "int8_encoder.safetensors"
