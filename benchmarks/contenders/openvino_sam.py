"""`OpenvinoSAM`: transformers' model, converted by OpenVINO's own tool."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders.contender import Contender, ModelFiles, Setting, UnsupportedError
from benchmarks.contenders.transformers_parts import (
    load_part,
    part_file,
    parts_for,
    to_channels_last,
)
from benchmarks.contenders.transformers_sam import normalized_pixels

FOLDER = "openvino"


class OpenvinoSAM(Contender):
    """`openvino.convert_model` of the image encoder and of the mask decoder, of fixed shapes."""

    def convert(self, files: ModelFiles, setting: Setting, *, step: str) -> None:
        import openvino
        import torch

        for part in parts_for(step):
            file = self._file(part, files, setting)
            if file.exists():
                continue
            module, inputs = load_part(part, files, setting)
            shapes = [list(x.shape) for x in inputs]
            with torch.inference_mode():
                converted = openvino.convert_model(module, example_input=inputs, input=shapes)
            openvino.save_model(converted, file, compress_to_fp16=False)

    def prepare(self, files: ModelFiles, setting: Setting) -> None:
        if setting.device != "cpu":
            raise UnsupportedError("is compared on processors")
        self.files, self.setting = files, setting
        self.programs: dict[str, Any] = {}
        self.embedding: Any = None

    def images_to_inputs(self, images: np.ndarray) -> Any:
        return normalized_pixels(images)

    def encode(self, inputs: Any) -> Any:
        return np.array(self._program("encoder")([inputs])[0])

    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        return to_channels_last(embedding)

    def set_image(self, image: np.ndarray) -> None:
        self.embedding = self.encode(self.images_to_inputs(image[None]))

    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self._program("decoder")([self.embedding, points[None], labels[None]])
        return np.array(found[0])[0], np.array(found[1])[0]

    def _file(self, part: str, files: ModelFiles, setting: Setting) -> Path:
        # The file is in float32; bfloat16 is chosen when it is compiled.
        return part_file(FOLDER, part, files, _in_float32(setting), ".xml")

    def _program(self, part: str) -> Any:
        if part not in self.programs:
            self.programs[part] = self._compile(part)
        return self.programs[part]

    def _compile(self, part: str) -> Any:
        import openvino
        from openvino.properties import hint, inference_num_threads

        kinds = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}
        wanted = kinds[self.setting.dtype]
        program = openvino.Core().compile_model(
            self._file(part, self.files, self.setting),
            "CPU",
            {
                hint.inference_precision: wanted,
                hint.performance_mode: hint.PerformanceMode.LATENCY,
                inference_num_threads: self.setting.threads,
            },
        )
        found = program.get_property(hint.inference_precision)
        if found != wanted:
            raise UnsupportedError(f"OpenVINO computes in {found} on this processor")
        return program


def _in_float32(setting: Setting) -> Setting:
    return replace(setting, dtype="float32")
