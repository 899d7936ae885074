"""`Ours`: this package, on the backend that `KERAS_BACKEND` tells."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders.contender import Contender, Everything, ModelFiles, Setting

PHOTOGRAPHS = Path(__file__).parent.parent.parent / "keras_sam" / "assets"


class Ours(Contender):
    """Through the classes that users use: the engine, the predictor and the mask generator."""

    def prepare(self, files: ModelFiles, setting: Setting) -> None:
        from benchmarks.contenders.keras_backend import set_up_backend
        from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
        from keras_sam.predict.predictor import SAMPredictor

        set_up_backend(setting)
        self.device = setting.device
        # As the others have it: no outlines are moved, no masks are cut.
        model = SAMImageSegmenter.from_preset(files.keras, dtype=setting.dtype, preprocessing="sam")
        self.predictor = SAMPredictor(
            model, prompts_per_batch=64, int8_encoder=self.int8_encoder(files)
        )

    def int8_encoder(self, files: ModelFiles) -> Any:
        """What encodes in place of the model, if anything does."""
        return None

    def images_to_inputs(self, images: np.ndarray) -> Any:
        import keras

        from keras_sam.predict.frame_for_model import transform_for_model

        frame = transform_for_model(self.predictor.model, images.shape[1:3])
        inputs = np.stack([frame.apply_image(image) for image in images])
        return inputs if self.device == "cpu" else keras.ops.convert_to_tensor(inputs)

    def encode(self, inputs: Any) -> Any:
        from benchmarks.contenders.keras_backend import wait_for

        return wait_for(self.predictor.engine.encode(inputs))

    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        return self.predictor.engine.to_numpy(embedding)

    def set_image(self, image: np.ndarray) -> None:
        self.predictor.set_image(image)

    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.predictor.predict_low_res(points, labels)

    def everything(self, image: np.ndarray, wanted: Everything) -> list[tuple[np.ndarray, float]]:
        from keras_sam.predict.mask_generator import SAMMaskGenerator

        generator = SAMMaskGenerator(
            self.predictor,
            points_per_side=wanted.points_per_side,
            pred_iou_thresh=wanted.pred_iou_thresh,
            stability_score_thresh=wanted.stability_score_thresh,
        )
        records = generator.generate(image)
        return [(record["segmentation"], record["predicted_iou"]) for record in records]


class OursInt8(Ours):
    """With an image encoder of 8-bit integers, made with the photographs of the package."""

    def convert(self, files: ModelFiles, setting: Setting, *, step: str) -> None:
        from benchmarks.contenders.keras_backend import set_up_backend
        from keras_sam.engines.int8_encoder import Int8Encoder
        from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

        if self._path(files).exists():
            return
        set_up_backend(setting)
        model = SAMImageSegmenter.from_preset(files.keras, preprocessing="sam")
        images = sorted(PHOTOGRAPHS.glob("*.jpg"))
        Int8Encoder.quantize(model, images).save(self._path(files))

    def int8_encoder(self, files: ModelFiles) -> Any:
        from keras_sam.engines.int8_encoder import Int8Encoder

        return Int8Encoder.load(self._path(files))

    def _path(self, files: ModelFiles) -> Path:
        return files.directory / "int8_encoder.safetensors"
