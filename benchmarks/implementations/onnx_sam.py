"""`OnnxSAM`: the model of transformers, exported by PyTorch, on ONNX Runtime."""

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
    INPUT_NAMES,
    OUTPUT_NAMES,
    load_part,
    part_file,
    parts_of_step,
    to_channels_last,
)
from benchmarks.implementations.transformers_sam import normalize_pixels

FOLDER = "onnx"


class OnnxSAM(Implementation):
    """`torch.onnx.export` of the image encoder and of the mask decoder, with fixed shapes."""

    def convert(self, files: ModelFiles, settings: Settings, *, step: str) -> None:
        _check_dtype(settings)
        for part in parts_of_step(step):
            file = part_file(FOLDER, part, files, settings, ".onnx")
            if file.exists():
                continue
            file.parent.mkdir(exist_ok=True)
            unfinished = file.with_name(f"new-{file.name}")
            export_part(part, files, settings, unfinished)
            unfinished.rename(file)

    def prepare(self, files: ModelFiles, settings: Settings) -> None:
        if settings.device != "cpu":
            raise UnsupportedError("is compared on CPUs only")
        _check_dtype(settings)
        self.files, self.settings = files, settings
        self.sessions: dict[str, Any] = {}
        self.embedding: Any = None

    def images_to_inputs(self, images: np.ndarray) -> Any:
        return normalize_pixels(images)

    def encode(self, inputs: Any) -> Any:
        return self._run("encoder", inputs)[0]

    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        return to_channels_last(embedding)

    def set_image(self, image: np.ndarray) -> None:
        self.embedding = self.encode(self.images_to_inputs(image[None]))

    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        masks, iou_predictions = self._run("decoder", self.embedding, points[None], labels[None])
        return masks[0], iou_predictions[0]

    def _run(self, part: str, *inputs: Any) -> list[np.ndarray]:
        if part not in self.sessions:
            self.sessions[part] = self._create_session(part)
        return self.sessions[part].run(None, dict(zip(INPUT_NAMES[part], inputs, strict=True)))

    def _create_session(self, part: str) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.settings.threads
        file = part_file(FOLDER, part, self.files, self.settings, ".onnx")
        return onnxruntime.InferenceSession(
            file, sess_options=options, providers=["CPUExecutionProvider"]
        )


def export_part(part: str, files: ModelFiles, settings: Settings, path: Path) -> None:
    """Export a part of the model with its shapes fixed."""
    import torch

    module, inputs = load_part(part, files, settings)
    with torch.no_grad():
        program = torch.onnx.export(
            module,
            inputs,
            dynamo=True,
            input_names=INPUT_NAMES[part],
            output_names=OUTPUT_NAMES[part],
            verbose=False,
        )
    program.save(path, external_data=False)


def _check_dtype(settings: Settings) -> None:
    if settings.dtype != "float32":
        raise UnsupportedError(f"ONNX Runtime has no {settings.dtype} kernels for CPUs")
