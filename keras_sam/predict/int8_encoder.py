"""`Int8Encoder`: an image encoder whose matrix products are of 8-bit integers, for OpenVINO."""

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from keras_sam.geometry import read_image, write_atomically
from keras_sam.models import SAMImageSegmenter
from keras_sam.predict.frame_for_model import frame_for_model
from keras_sam.predict.image_embedding import encoder_fingerprint
from keras_sam.predict.openvino_graph import Program, build_graph, compile_graph

FORMAT = "keras_sam.Int8Encoder"


@dataclass(frozen=True)
class Int8Encoder:
    """The image encoder of one model, quantised once and kept in a file.

    It takes less time and a quarter of the memory for the weights, and its embeddings differ a
    little from the model's; docs/performance.md has both. Give it to `SAMPredictor`.

    Attributes:
        graph: of OpenVINO, as XML.
        weights: of the graph.
        fingerprint: of the image encoder that it was made of.
    """

    graph: bytes
    weights: bytes
    fingerprint: str

    @classmethod
    def quantize(
        cls, model: SAMImageSegmenter, images: Sequence[np.ndarray | str | Path | Any]
    ) -> "Int8Encoder":
        """Quantises the image encoder of a model after training, by NNCF.

        Weights and activations become 8-bit integers; the range of each is chosen by what the
        images give. It takes a few times as long as encoding them.

        Args:
            model: the segmenter, in float32, on the OpenVINO backend.
            images: a dozen or more like those to come, as `read_image` takes them.

        Raises:
            ImportError: if nncf is not installed.
            ValueError: on another backend, for a model of another dtype, without images, or for
                one that cannot be read.
        """
        check_int8_backend()
        if model.compute_dtype != "float32":
            raise ValueError(f"the model to quantize must be float32, got {model.compute_dtype}")
        if not len(images):
            raise ValueError("quantizing needs images like those to come, got none")
        nncf = _import_nncf()
        inputs = [_to_input(model, image) for image in images]
        graph = build_graph(lambda pixels: (model.encode_image(pixels),), (inputs[0],))
        _fold_constants(graph)
        with _quiet(nncf):
            quantized = nncf.quantize(
                graph,
                nncf.Dataset(inputs),
                model_type=nncf.ModelType.TRANSFORMER,
                subset_size=len(inputs),
            )
        xml, weights = _to_bytes(quantized)
        return cls(xml, weights, encoder_fingerprint(model))

    def save(self, path: str | Path) -> None:
        """Writes a `.safetensors` file; an old one stays whole if that fails."""
        arrays = {
            "graph": np.frombuffer(self.graph, np.uint8),
            "weights": np.frombuffer(self.weights, np.uint8),
        }
        metadata = {"format": FORMAT, "facts": json.dumps({"fingerprint": self.fingerprint})}
        write_atomically(path, save(arrays, metadata=metadata))

    @classmethod
    def load(cls, path: str | Path) -> "Int8Encoder":
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: if the file is missing.
            ValueError: if it is damaged or something else.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no int8 encoder at {path}")
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise ValueError(f"{path.name} is not an int8 encoder")
                return cls(
                    file.get_tensor("graph").tobytes(),
                    file.get_tensor("weights").tobytes(),
                    str(json.loads(metadata["facts"])["fingerprint"]),
                )
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path.name} is a damaged int8 encoder: {error}") from error

    def compile(self) -> Program:
        """The program: an image `(1, H, W, 3)` float32 in 0..1 to its embedding `(1, G, G, D)`.

        Raises:
            ValueError: if OpenVINO cannot read the graph.
        """
        import openvino

        weights = np.frombuffer(self.weights, np.uint8)
        try:
            graph = openvino.Core().read_model(self.graph, openvino.Tensor(weights))
        except RuntimeError as error:
            raise ValueError(
                "the int8 encoder's graph is damaged: OpenVINO cannot read it"
            ) from error
        return compile_graph(graph, "float32")


def check_int8_backend() -> None:
    """Raises a `ValueError` where OpenVINO is not the backend."""
    backend = keras.backend.backend()
    if backend != "openvino":
        raise ValueError(
            f"an int8 encoder runs on OpenVINO, and the backend is {backend}; set "
            "KERAS_BACKEND=openvino before keras is imported"
        )


def _import_nncf() -> Any:
    try:
        import nncf
    except ImportError as error:
        raise ImportError("quantizing needs nncf: pip install 'keras-sam[int8]'") from error
    return nncf


def _to_input(model: SAMImageSegmenter, image: Any) -> np.ndarray:
    pixels = read_image(image)
    return np.ascontiguousarray(
        frame_for_model(model, pixels.shape[:2]).to_model_image(pixels)[None]
    )


def _fold_constants(graph: Any) -> None:
    """Computes what is made of weights alone: NNCF takes a weight's shape from its constant."""
    from openvino.passes import ConstantFolding, Manager

    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(graph)


@contextlib.contextmanager
def _quiet(nncf: Any) -> Iterator[None]:
    """Without the notes that NNCF prints of each of its steps."""
    nncf.set_log_level(logging.ERROR)
    try:
        yield
    finally:
        nncf.set_log_level(logging.INFO)


def _to_bytes(graph: Any) -> tuple[bytes, bytes]:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.xml"
        openvino.save_model(graph, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
