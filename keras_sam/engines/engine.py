"""`Engine`: a model's inference steps as compiled programs, behind one interface."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_sam.layers.device import backend_is_on_cpu
from keras_sam.layers.tune_malloc import tune_malloc
from keras_sam.layers.two_way_transformer import DecoderImageCache
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

StepFn = Callable[..., tuple[Any, ...]]
Embedding = Mapping[str, Any]  # name -> array of an image embedding, batch axis first


class Engine(ABC):
    """Runs the steps of a segmenter without gradients.

    Each step is compiled once per combination of input shapes.

    Args:
        model: Segmenter to run. Weights that are assigned later take effect, except with
            OpenVINO, whose programs contain the weights; create a new engine there.

    Attributes:
        decoder_bytes: Memory budget for decoding many prompts together on a CPU, in bytes.
            Larger batches are not faster.
    """

    decoder_bytes = 2**27

    def __init__(self, model: SAMImageSegmenter) -> None:
        tune_malloc()
        self.model = model
        self._programs: dict[Any, StepFn] = {}

    @property
    def is_on_cpu(self) -> bool:
        """True if the steps run on CPU cores, where data beyond the cache is slow."""
        return backend_is_on_cpu()

    @property
    def num_programs(self) -> int:
        """Number of compiled programs: one per step and combination of input shapes."""
        return len(self._programs)

    def encode(self, images: np.ndarray) -> dict[str, Any]:
        """Encode images.

        Args:
            images: Prepared images `(B, H, W, 3)`, float32.

        Returns:
            Image embedding on the device, as named arrays with the batch axis first.
        """
        names = self.model.embedding_names

        def step(images: Any) -> tuple[Any, ...]:
            embedding = self.model.encode_image(images)
            return tuple(embedding[name] for name in names)

        return dict(zip(names, self._run(("encode",), step, images), strict=True))

    def decoder_cache(self, embedding: Embedding) -> tuple[Any, ...]:
        """Compute the decoder's work that depends on the image alone, on the device."""
        names = tuple(embedding)

        def step(*arrays: Any) -> tuple[Any, ...]:
            cache = self.model.decoder_cache(dict(zip(names, arrays, strict=True)))
            return tuple(part for part in cache if part is not None)

        return self._run(("decoder_cache", names), step, *embedding.values())

    def decode(
        self,
        embedding: Embedding,
        cache: tuple[Any, ...],
        points: np.ndarray,
        labels: np.ndarray,
        *,
        mask_inputs: np.ndarray | None = None,
        multimask_output: bool | None = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict the masks of P prompts of one image.

        Args:
            embedding: Embedding of one image, from `encode`.
            cache: Output of `decoder_cache` for this embedding.
            points: Points `(1, P, N, 2)`, float32, in the model frame.
            labels: Labels `(1, P, N)`, int32, including those of box corners.
            mask_inputs: Low-res logits `(1, P, L, L, 1)`, float32.
            multimask_output: If True, masks 1 to 3. If False, mask 0. If `None`, all four.

        Returns:
            Low-res logits `(P, M, L, L)` and IoU predictions `(P, M)`, float32.
        """
        if mask_inputs is None:
            outputs = self._decode_points(cache, points, labels, multimask_output)
        else:
            outputs = self._decode_masks(embedding, points, labels, mask_inputs, multimask_output)
        low_res_logits, iou_predictions = (self.to_numpy(output)[0] for output in outputs)
        return low_res_logits, iou_predictions

    def predict_iou(
        self, cache: tuple[Any, ...], points: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, tuple[Any, Any]]:
        """Predict the IoU of the masks of P prompts before any mask is computed.

        Args:
            cache: Output of `decoder_cache`.
            points: See `decode`.
            labels: See `decode`.

        Returns:
            IoU predictions `(P, M)`, float32, of masks 1 and up; and the decoded tokens on the
            device, for `predict_masks`.
        """

        def step(points: Any, labels: Any, *cache: Any) -> tuple[Any, ...]:
            tokens, image_tokens = self.model.run_transformer(
                DecoderImageCache(*cache), points=points, labels=labels
            )
            decoder = self.model.backbone.mask_decoder
            return decoder.predict_iou(tokens, multimask_output=True), tokens, image_tokens

        outputs = self._run(("predict_iou",), step, points, labels, *cache)
        return self.to_numpy(outputs[0]), (outputs[1], outputs[2])

    def predict_masks(
        self, cache: tuple[Any, ...], tokens: tuple[Any, Any], indices: np.ndarray
    ) -> np.ndarray:
        """Compute masks 1 and up of some of the prompts given to `predict_iou`.

        Args:
            cache: Output of `decoder_cache`.
            tokens: Second output of `predict_iou`.
            indices: Indices of the prompts `(K,)`, int32.

        Returns:
            Low-res logits `(K, M, L, L)`, float32.
        """
        hq_features = DecoderImageCache(*cache).hq_features
        extra = () if hq_features is None else (hq_features,)

        def step(indices: Any, tokens: Any, image_tokens: Any, *extra: Any) -> tuple[Any, ...]:
            masks = self.model.backbone.mask_decoder.predict_masks(
                keras.ops.take(tokens, indices, axis=0),
                keras.ops.take(image_tokens, indices, axis=0),
                *extra,
                prompts=indices.shape[0],
                grid_size=self.model.backbone.embedding_size,
                multimask_output=True,
            )
            return (masks,)

        return self.to_numpy(self._run(("predict_masks",), step, indices, *tokens, *extra)[0])

    def cast_embedding(self, embedding: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Convert float32 arrays to the model's dtype, as `encode` returns them."""
        dtype = self.model.backbone.image_encoder.compute_dtype
        return {
            name: array if array.dtype == dtype else keras.ops.cast(array, dtype)
            for name, array in embedding.items()
        }

    def to_numpy(self, array: Any) -> np.ndarray:
        """Copy an array from the device as float32."""
        if not isinstance(array, np.ndarray):
            array = keras.ops.convert_to_numpy(keras.ops.cast(array, "float32"))
        return np.asarray(array, np.float32)

    def _decode_points(
        self,
        cache: tuple[Any, ...],
        points: np.ndarray,
        labels: np.ndarray,
        multimask_output: bool | None,
    ) -> tuple[Any, ...]:
        def step(points: Any, labels: Any, *cache: Any) -> tuple[Any, ...]:
            outputs = self.model.decode(
                cache=DecoderImageCache(*cache),
                points=points,
                labels=labels,
                multimask_output=multimask_output,
            )
            return outputs["masks"], outputs["iou_pred"]

        return self._run(("decode", multimask_output), step, points, labels, *cache)

    def _decode_masks(
        self,
        embedding: Embedding,
        points: np.ndarray,
        labels: np.ndarray,
        mask_inputs: np.ndarray,
        multimask_output: bool | None,
    ) -> tuple[Any, ...]:
        names = tuple(embedding)

        def step(points: Any, labels: Any, masks: Any, *arrays: Any) -> tuple[Any, ...]:
            outputs = self.model.decode(
                dict(zip(names, arrays, strict=True)),
                points=points,
                labels=labels,
                masks=masks,
                multimask_output=multimask_output,
            )
            return outputs["masks"], outputs["iou_pred"]

        key = ("decode", multimask_output, names)
        return self._run(key, step, points, labels, mask_inputs, *embedding.values())

    def _run(self, key: tuple[Any, ...], step: StepFn, *inputs: Any) -> tuple[Any, ...]:
        inputs = tuple(self._to_device(value) for value in inputs)
        signature = key + tuple((tuple(v.shape), str(v.dtype)) for v in inputs)
        if signature not in self._programs:
            self._programs[signature] = self._compile(key[0], step, inputs)
        return self._programs[signature](*inputs)

    def _to_device(self, value: Any) -> Any:
        return keras.ops.convert_to_tensor(value)

    @abstractmethod
    def _compile(self, name: str, step: StepFn, inputs: tuple[Any, ...]) -> StepFn:
        """Compile the step with this name for inputs of these shapes."""
