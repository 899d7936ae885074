"""`OpenvinoSAM`: the model of transformers, converted by OpenVINO."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.implementations.implementation import (
    Implementation,
    ModelFiles,
    Settings,
    UnsupportedError,
)
from benchmarks.implementations.transformers_parts import (
    load_part,
    part_file,
    parts_of_step,
    to_channels_last,
)
from benchmarks.implementations.transformers_sam import normalize_pixels

FOLDER = "openvino"


class OpenvinoSAM(Implementation):
    """`openvino.convert_model` of the image encoder and of the mask decoder, with fixed shapes."""

    def convert(self, files: ModelFiles, settings: Settings, *, step: str) -> None:
        import openvino
        import torch

        for part in parts_of_step(step):
            file = _converted_file(part, files, settings)
            if file.exists():
                continue
            module, inputs = load_part(part, files, settings)
            shapes = [list(x.shape) for x in inputs]
            with torch.inference_mode():
                converted = openvino.convert_model(module, example_input=inputs, input=shapes)
            openvino.save_model(converted, file, compress_to_fp16=False)

    def prepare(self, files: ModelFiles, settings: Settings) -> None:
        if settings.device != "cpu":
            raise UnsupportedError("is compared on CPUs only")
        self.files, self.settings = files, settings
        self.programs: dict[str, Any] = {}
        self.embedding: Any = None

    def images_to_inputs(self, images: np.ndarray) -> Any:
        return normalize_pixels(images)

    def encode(self, inputs: Any) -> Any:
        return np.array(self._program("encoder")([inputs])[0])

    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        return to_channels_last(embedding)

    def set_image(self, image: np.ndarray) -> None:
        self.embedding = self.encode(self.images_to_inputs(image[None]))

    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs = self._program("decoder")([self.embedding, points[None], labels[None]])
        return np.array(outputs[0])[0], np.array(outputs[1])[0]

    def _program(self, part: str) -> Any:
        if part not in self.programs:
            self.programs[part] = self._compile(part)
        return self.programs[part]

    def _compile(self, part: str) -> Any:
        import openvino
        from openvino.properties import hint, inference_num_threads

        precisions = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}
        expected = precisions[self.settings.dtype]
        program = openvino.Core().compile_model(
            _converted_file(part, self.files, self.settings),
            "CPU",
            {
                hint.inference_precision: expected,
                hint.performance_mode: hint.PerformanceMode.LATENCY,
                inference_num_threads: self.settings.threads,
            },
        )
        actual = program.get_property(hint.inference_precision)
        if actual != expected:
            raise UnsupportedError(f"OpenVINO computes in {actual} on this CPU")
        return program


def _converted_file(part: str, files: ModelFiles, settings: Settings) -> Path:
    # The file is float32. OpenVINO converts it to bfloat16 when it compiles the program.
    return part_file(FOLDER, part, files, replace(settings, dtype="float32"), ".xml")
