"""`Int8Encoder`: an image encoder with 8-bit integer matrix products, for OpenVINO."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_sam.engines.openvino_graph import Program, build_graph, compile_graph
from keras_sam.engines.quiet_loggers import quiet_loggers
from keras_sam.files.safetensors_file import load_safetensors, save_safetensors
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

FORMAT = "keras_sam.Int8Encoder"


@dataclass(frozen=True)
class Int8Encoder:
    """The image encoder of one model, quantized once and stored in a file.

    Its weights take a quarter of the memory, and its embeddings differ slightly from the
    model's. It is faster on CPUs with VNNI or AMX instructions. The remaining operations run in
    bfloat16 where the CPU supports it. See docs/performance.md for figures. Pass it to
    `SAMPredictor`.

    Attributes:
        graph: OpenVINO graph as XML.
        weights: Weights of the graph.
        fingerprint: Fingerprint of the image encoder that was quantized.
    """

    graph: bytes
    weights: bytes
    fingerprint: str

    @classmethod
    def quantize(cls, model: SAMImageSegmenter, images: Sequence[np.ndarray]) -> "Int8Encoder":
        """Quantize the image encoder of a model after training, with NNCF.

        Weights and activations become 8-bit integers. Their ranges are chosen from the images.
        This takes a few times as long as encoding the images.

        Args:
            model: Segmenter in float32, on the OpenVINO backend.
            images: A dozen or more typical RGB images `(H, W, 3)`, uint8.

        Raises:
            ImportError: If NNCF is not installed.
            ValueError: If the backend is not OpenVINO, the model is not float32, or there are no
                images.
        """
        check_int8_backend()
        if model.compute_dtype != "float32":
            raise ValueError(f"the model to quantize must be float32, got {model.compute_dtype}")
        if not len(images):
            raise ValueError("expected typical images to quantize with, got none")
        nncf = _import_nncf()
        inputs = [_prepare(model, image) for image in images]
        graph = build_graph(lambda pixels: _encode(model, pixels), (inputs[0],))
        _fold_constants(graph)
        with quiet_loggers("nncf"):  # it lists every layer that it does not quantize
            quantized = nncf.quantize(
                graph,
                nncf.Dataset(inputs),
                model_type=nncf.ModelType.TRANSFORMER,
                subset_size=len(inputs),
            )
        xml, weights = _to_bytes(quantized)
        return cls(xml, weights, model.encoder_fingerprint())

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file. It is replaced only when the new one is complete."""
        arrays = {
            "graph": np.frombuffer(self.graph, np.uint8),
            "weights": np.frombuffer(self.weights, np.uint8),
        }
        save_safetensors(path, FORMAT, arrays, {"fingerprint": self.fingerprint})

    @classmethod
    def load(cls, path: str | Path) -> "Int8Encoder":
        """Read the output of `save`.

        Raises:
            FileNotFoundError: If the file is missing.
            ValueError: If the file is damaged or contains something else.
        """

        def parse(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> "Int8Encoder":
            graph, weights = (arrays[name].tobytes() for name in ("graph", "weights"))
            return cls(graph, weights, str(metadata["fingerprint"]))

        required = ("graph", "weights")
        return load_safetensors(
            path, FORMAT, parse, required=required, description="an int8 encoder"
        )

    def compile(self) -> Program:
        """Compile the program from an image `(1, H, W, 3)`, float32, to its embedding.

        Raises:
            ValueError: If OpenVINO cannot read the graph.
        """
        import openvino

        weights = np.frombuffer(self.weights, np.uint8)
        try:
            graph = openvino.Core().read_model(self.graph, openvino.Tensor(weights))
        except RuntimeError as error:
            raise ValueError(
                "the int8 encoder's graph is damaged: OpenVINO cannot read it"
            ) from error
        return compile_graph(graph, "bfloat16")


def check_int8_backend() -> None:
    """Check that OpenVINO is the backend.

    Raises:
        ValueError: If it is not.
    """
    backend = keras.backend.backend()
    if backend != "openvino":
        raise ValueError(
            f"an int8 encoder needs the OpenVINO backend, got {backend}; set "
            "KERAS_BACKEND=openvino before importing keras"
        )


def _import_nncf() -> Any:
    try:
        import nncf
    except ImportError as error:
        raise ImportError("quantizing needs nncf: pip install 'keras-sam[int8]'") from error
    return nncf


def _prepare(model: SAMImageSegmenter, image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(model.image_transform(image.shape[:2]).apply_image(image)[None])


def _encode(model: SAMImageSegmenter, pixels: Any) -> tuple[Any, ...]:
    embedding = model.encode_image(pixels)
    return tuple(embedding[name] for name in model.embedding_names)


def _fold_constants(graph: Any) -> None:
    """Compute constant subgraphs, since NNCF takes a weight's shape from its constant."""
    from openvino.passes import ConstantFolding, Manager

    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(graph)


def _to_bytes(graph: Any) -> tuple[bytes, bytes]:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.xml"
        openvino.save_model(graph, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
