"""`Int8Encoder`: an image encoder whose matrix products are of 8-bit integers, for OpenVINO."""

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_sam.engines.openvino_graph import Program, build_graph, compile_graph
from keras_sam.files.safetensors_file import load_safetensors, save_safetensors
from keras_sam.images.read_image import read_image
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.frame_for_model import transform_for_model
from keras_sam.predict.image_embedding import encoder_fingerprint

FORMAT = "keras_sam.Int8Encoder"


@dataclass(frozen=True)
class Int8Encoder:
    """The image encoder of one model, quantized once and kept in a file.

    Its weights take a quarter of the memory, and its embeddings differ a little from the model's.
    It is faster on processors with instructions for it (VNNI, AMX); what is not of integers is then
    computed in bfloat16, where there are instructions for that. docs/performance.md has figures.
    Give it to `SAMPredictor`.

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
        """Quantizes the image encoder of a model after training, by NNCF.

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
        with _without_notes():
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
        save_safetensors(path, FORMAT, arrays, {"fingerprint": self.fingerprint})

    @classmethod
    def load(cls, path: str | Path) -> "Int8Encoder":
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: if the file is missing.
            ValueError: if it is damaged or something else.
        """

        def parse(arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> "Int8Encoder":
            graph, weights = (arrays[name].tobytes() for name in ("graph", "weights"))
            return cls(graph, weights, str(facts["fingerprint"]))

        return load_safetensors(path, FORMAT, {"graph", "weights"}, parse, what="int8 encoder")

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
        return compile_graph(graph, "bfloat16")


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
        transform_for_model(model, pixels.shape[:2]).apply_image(pixels)[None]
    )


def _fold_constants(graph: Any) -> None:
    """Computes what is made of weights alone: NNCF takes a weight's shape from its constant."""
    from openvino.passes import ConstantFolding, Manager

    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(graph)


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Of NNCF, which tells of each layer that it leaves alone."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _to_bytes(graph: Any) -> tuple[bytes, bytes]:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.xml"
        openvino.save_model(graph, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
