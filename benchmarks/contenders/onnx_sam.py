"""`OnnxSAM`: transformers' model, exported by PyTorch, on ONNX Runtime."""

from typing import Any

import numpy as np

from benchmarks.contenders.contender import Contender, ModelFiles, Setting, UnsupportedError
from benchmarks.contenders.transformers_parts import (
    NAMES,
    load_part,
    part_file,
    parts_for,
    to_channels_last,
)
from benchmarks.contenders.transformers_sam import normalized_pixels

FOLDER = "onnx"


class OnnxSAM(Contender):
    """`torch.onnx.export` of the image encoder and of the mask decoder, of fixed shapes."""

    def convert(self, files: ModelFiles, setting: Setting, *, step: str) -> None:
        import torch

        _check(setting)
        for part in parts_for(step):
            file = part_file(FOLDER, part, files, setting, ".onnx")
            if file.exists():
                continue
            file.parent.mkdir(exist_ok=True)
            module, inputs = load_part(part, files, setting)
            inputs_names, outputs_names = NAMES[part]
            fresh = file.with_name(f"new-{file.name}")
            with torch.no_grad():
                program = torch.onnx.export(
                    module,
                    inputs,
                    dynamo=True,
                    input_names=inputs_names,
                    output_names=outputs_names,
                    verbose=False,
                )
            program.save(fresh, external_data=False)
            fresh.rename(file)

    def prepare(self, files: ModelFiles, setting: Setting) -> None:
        if setting.device != "cpu":
            raise UnsupportedError("is compared on processors")
        _check(setting)
        self.files, self.setting = files, setting
        self.programs: dict[str, Any] = {}
        self.embedding: Any = None

    def images_to_inputs(self, images: np.ndarray) -> Any:
        return normalized_pixels(images)

    def encode(self, inputs: Any) -> Any:
        return self._run("encoder", inputs)[0]

    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        return to_channels_last(embedding)

    def set_image(self, image: np.ndarray) -> None:
        self.embedding = self.encode(self.images_to_inputs(image[None]))

    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        masks, ratings = self._run("decoder", self.embedding, points[None], labels[None])
        return masks[0], ratings[0]

    def _run(self, part: str, *inputs: Any) -> list[np.ndarray]:
        if part not in self.programs:
            self.programs[part] = self._load(part)
        return self.programs[part].run(None, dict(zip(NAMES[part][0], inputs, strict=True)))

    def _load(self, part: str) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.setting.threads
        file = part_file(FOLDER, part, self.files, self.setting, ".onnx")
        return onnxruntime.InferenceSession(
            file, sess_options=options, providers=["CPUExecutionProvider"]
        )


def _check(setting: Setting) -> None:
    if setting.dtype != "float32":
        raise UnsupportedError(f"ONNX Runtime has no kernels for {setting.dtype} on processors")
