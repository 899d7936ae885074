"""`Engine`: a model's steps as compiled programs, one kind of engine for each backend."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_sam.layers.on_cpu import backend_is_on_cpu
from keras_sam.layers.two_way_transformer import ImageFeatures
from keras_sam.models import SAMImageSegmenter
from keras_sam.predict.image_embedding import encoder_fingerprint
from keras_sam.predict.int8_encoder import Int8Encoder, check_int8_backend
from keras_sam.predict.keep_freed_memory import keep_freed_memory
from keras_sam.predict.openvino_graph import Program, build_graph, compile_graph

Step = Callable[..., tuple[Any, ...]]


class Engine(ABC):
    """Runs the steps of a segmenter without gradients; compiles each for each shape of inputs.

    Args:
        model: the segmenter. Weights assigned later are used; with OpenVINO, whose programs hold
            the weights, make a new engine.

    Attributes:
        decoder_bytes: what the decoder may take for many prompts at once on a CPU, where more at
            once are no faster.
    """

    decoder_bytes = 2**27

    def __init__(self, model: SAMImageSegmenter) -> None:
        keep_freed_memory()
        self.model = model
        self._programs: dict[Any, Callable[..., Any]] = {}

    @property
    def is_on_cpu(self) -> bool:
        """Whether processors do the steps: what does not fit their cache is slow."""
        return backend_is_on_cpu()

    @property
    def num_programs(self) -> int:
        """How many programs were compiled: one for each step and bucket of shapes."""
        return len(self._programs)

    def encode(self, images: np.ndarray) -> Any:
        """Images `(B, H, W, 3)` in 0..1 to embeddings `(B, G, G, D)`, on the device."""

        def step(images: Any) -> tuple[Any, ...]:
            return (self.model.encode_image(images),)

        return self._run(("encode",), step, images)[0]

    def image_features(self, image_embedding: Any) -> tuple[Any, ...]:
        """The decoder's work that depends on the image alone, on the device."""

        def step(embedding: Any) -> tuple[Any, ...]:
            features = self.model.image_features(embedding)
            return tuple(part for part in features if part is not None)

        return self._run(("image_features",), step, image_embedding)

    def decode(
        self,
        image_embedding: Any,
        features: tuple[Any, ...],
        points: np.ndarray,
        labels: np.ndarray,
        *,
        mask_inputs: np.ndarray | None = None,
        multimask_output: bool | None = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Masks of P prompts of one image.

        Args:
            image_embedding: `(1, G, G, D)`.
            features: of `image_features`.
            points: `(1, P, N, 2)` float32, model frame.
            labels: `(1, P, N)` int32, corners of boxes included.
            mask_inputs: `(1, P, L, L, 1)` float32 logits.
            multimask_output: masks 1 to 3, or mask 0, or with None all four.

        Returns:
            float32 logits `(P, M, L, L)` and IoU predictions `(P, M)`.
        """
        key = ("decode", multimask_output, mask_inputs is not None)
        if mask_inputs is None:

            def step(points: Any, labels: Any, *features: Any) -> tuple[Any, ...]:
                outputs = self.model.decode(
                    features[0],
                    points=points,
                    labels=labels,
                    multimask_output=multimask_output,
                    features=ImageFeatures(*features[1:]),
                )
                return outputs["masks"], outputs["iou_pred"]

            outputs = self._run(key, step, points, labels, image_embedding, *features)
        else:

            def dense_step(points: Any, labels: Any, masks: Any, embedding: Any) -> tuple[Any, ...]:
                outputs = self.model.decode(
                    embedding,
                    points=points,
                    labels=labels,
                    masks=masks,
                    multimask_output=multimask_output,
                )
                return outputs["masks"], outputs["iou_pred"]

            outputs = self._run(key, dense_step, points, labels, mask_inputs, image_embedding)
        logits, iou_predictions = (self.to_numpy(output)[0] for output in outputs)
        return logits, iou_predictions

    def rate(
        self, features: tuple[Any, ...], points: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, tuple[Any, Any]]:
        """IoU predictions of P prompts of one image, before any mask is drawn.

        Args:
            features: of `image_features`.
            points: as `decode`.
            labels: as `decode`.

        Returns:
            float32 `(P, M)` of masks 1 and up, and what `draw` takes, on the device.
        """

        def step(points: Any, labels: Any, *features: Any) -> tuple[Any, ...]:
            tokens, keys = self.model.attend(ImageFeatures(*features), points=points, labels=labels)
            decoder = self.model.backbone.mask_decoder
            return decoder.rate(tokens, multimask_output=True), tokens, keys

        ratings, tokens, keys = self._run(("rate",), step, points, labels, *features)
        return self.to_numpy(ratings), (tokens, keys)

    def draw(
        self, features: tuple[Any, ...], attended: tuple[Any, Any], indices: np.ndarray
    ) -> np.ndarray:
        """Masks 1 and up of some of the prompts that `rate` took.

        Args:
            features: of `image_features`.
            attended: of `rate`.
            indices: `(K,)` int32, which prompts.

        Returns:
            float32 logits `(K, M, L, L)`.
        """
        image_pixels = ImageFeatures(*features).image_pixels
        details = () if image_pixels is None else (image_pixels,)

        def step(indices: Any, tokens: Any, keys: Any, *details: Any) -> tuple[Any, ...]:
            masks = self.model.backbone.mask_decoder.draw(
                keras.ops.take(tokens, indices, axis=0),
                keras.ops.take(keys, indices, axis=0),
                *details,
                prompts=indices.shape[0],
                grid_size=self.model.backbone.embedding_size,
                multimask_output=True,
            )
            return (masks,)

        return self.to_numpy(self._run(("draw",), step, indices, *attended, *details)[0])

    def to_embedding(self, array: np.ndarray) -> Any:
        """A float32 embedding of `to_numpy` in the model's dtype, as `encode` gave it."""
        dtype = self.model.backbone.image_encoder.compute_dtype
        return array if array.dtype == dtype else keras.ops.cast(array, dtype)

    def to_numpy(self, array: Any) -> np.ndarray:
        """An array of the device as float32."""
        if not isinstance(array, np.ndarray):
            array = keras.ops.convert_to_numpy(keras.ops.cast(array, "float32"))
        return np.asarray(array, np.float32)

    def _run(self, key: tuple[Any, ...], step: Step, *inputs: Any) -> tuple[Any, ...]:
        inputs = tuple(self._to_device(value) for value in inputs)
        signature = key + tuple((tuple(v.shape), str(v.dtype)) for v in inputs)
        if signature not in self._programs:
            self._programs[signature] = self._compile(key[0], step, inputs)
        return self._programs[signature](*inputs)

    def _to_device(self, value: Any) -> Any:
        return keras.ops.convert_to_tensor(value)

    @abstractmethod
    def _compile(self, name: str, step: Step, inputs: tuple[Any, ...]) -> Step:
        """A program that does the step of this name on inputs of these shapes."""


def engine_class() -> type[Engine]:
    """The kind of engine of the backend in use."""
    engines: dict[str, type[Engine]] = {
        "jax": JaxEngine,
        "torch": TorchEngine,
        "tensorflow": TensorflowEngine,
        "openvino": OpenvinoEngine,
    }
    backend = keras.backend.backend()
    if backend not in engines:
        raise ValueError(f"expected a backend of {sorted(engines)}, got {backend}")
    return engines[backend]


def create_engine(model: SAMImageSegmenter, int8_encoder: Int8Encoder | None = None) -> Engine:
    """The engine of a model on the backend in use.

    Args:
        model: the segmenter.
        int8_encoder: takes the place of its image encoder; on OpenVINO alone.

    Raises:
        ValueError: if the int8 encoder is of another model, or the backend is not OpenVINO.
    """
    if int8_encoder is None:
        return engine_class()(model)
    check_int8_backend()
    return OpenvinoEngine(model, int8_encoder)


class JaxEngine(Engine):
    """`jax.jit` with the weights as arguments, so that none is a constant of the program."""

    def _compile(self, name: str, step: Step, inputs: tuple[Any, ...]) -> Step:
        import jax

        variables = list(self.model.variables)

        def stateless(values: list[Any], *inputs: Any) -> tuple[Any, ...]:
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return step(*inputs)

        program = jax.jit(stateless)
        return lambda *inputs: program([variable.value for variable in variables], *inputs)


class TorchEngine(Engine):
    """Eager, in inference mode: its kernels are the same, and nothing has to be compiled.

    Decoding is the exception: hundreds of small operations, around which the layers' Python takes
    longer than they do. So it is traced when it comes again.
    """

    @property
    def is_on_cpu(self) -> bool:
        """As of any engine."""
        return bool(self.model.variables[0].value.device.type == "cpu")

    def _compile(self, name: str, step: Step, inputs: tuple[Any, ...]) -> Step:
        import torch

        return _TracedStep(step) if name == "decode" else torch.inference_mode()(step)


class _TracedStep:
    """A step that runs as it is the first time, and from the second on as a list of operations.

    Tracing takes as long as many runs, which one who decodes once need not wait for. The
    operations use the model's weights in place.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._program: Step | None = None
        self._is_new = True

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        import torch
        from torch.fx.experimental.proxy_tensor import make_fx

        if self._program is None and not self._is_new:
            with torch.no_grad():
                graph = make_fx(self._step)(*inputs)
            graph.graph.eliminate_dead_code()
            graph.recompile()
            self._program = graph.forward
        self._is_new = False
        with torch.inference_mode():
            return (self._program or self._step)(*inputs)


class TensorflowEngine(Engine):
    """`tf.function`."""

    def _compile(self, name: str, step: Step, inputs: tuple[Any, ...]) -> Step:
        import tensorflow as tf

        return tf.function(step, autograph=False)


class OpenvinoEngine(Engine):
    """A graph of our own, compiled for fixed shapes.

    Args:
        model: as of any engine; the precision is its own.
        int8_encoder: takes the place of the model's image encoder.
    """

    decoder_bytes = 2**26

    def __init__(self, model: SAMImageSegmenter, int8_encoder: Int8Encoder | None = None) -> None:
        super().__init__(model)
        self._encode_int8: Program | None = None
        if int8_encoder is not None:
            if int8_encoder.fingerprint != encoder_fingerprint(model):
                raise ValueError("the int8 encoder was made of another model or image size")
            self._encode_int8 = int8_encoder.compile()

    def encode(self, images: np.ndarray) -> Any:
        """As of any engine; in int8 one image after the other."""
        if self._encode_int8 is None:
            return super().encode(images)
        pixels = np.ascontiguousarray(images, np.float32)
        return np.concatenate([self._encode_int8(image[None])[0] for image in pixels])

    def _to_device(self, value: Any) -> Any:
        return np.ascontiguousarray(value)

    def _compile(self, name: str, step: Step, inputs: tuple[Any, ...]) -> Step:
        return compile_graph(build_graph(step, inputs), self.model.compute_dtype)
