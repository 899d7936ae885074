"""`OpenvinoEngine`: compiled models of OpenVINO."""

from typing import Any

import numpy as np

from keras_sam.engines.engine import Engine, StepFn
from keras_sam.engines.int8_encoder import Int8Encoder
from keras_sam.engines.openvino_graph import Program, build_graph, compile_graph
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter


class OpenvinoEngine(Engine):
    """Runs steps as OpenVINO graphs, each compiled for fixed shapes.

    Args:
        model: Segmenter to run. Programs compute in its dtype.
        int8_encoder: Quantized image encoder to use instead of the model's own.

    Raises:
        ValueError: If the int8 encoder belongs to another model or image size.
    """

    decoder_bytes = 2**26

    def __init__(self, model: SAMImageSegmenter, int8_encoder: Int8Encoder | None = None) -> None:
        super().__init__(model)
        self._encode_int8: Program | None = None
        if int8_encoder is not None:
            if int8_encoder.fingerprint != model.encoder_fingerprint():
                raise ValueError("the int8 encoder was made for another model or image size")
            self._encode_int8 = int8_encoder.compile()

    def encode(self, images: np.ndarray) -> dict[str, Any]:
        """Encode images as any engine does; with an int8 encoder, one image at a time."""
        if self._encode_int8 is None:
            return super().encode(images)
        pixels = np.ascontiguousarray(images, np.float32)
        parts = [self._encode_int8(image[None]) for image in pixels]
        arrays = (np.concatenate(part) for part in zip(*parts, strict=True))
        return dict(zip(self.model.embedding_names, arrays, strict=True))

    def _to_device(self, value: Any) -> Any:
        return np.ascontiguousarray(value)

    def _compile(self, name: str, step: StepFn, inputs: tuple[Any, ...]) -> StepFn:
        return compile_graph(build_graph(step, inputs), self.model.compute_dtype)
