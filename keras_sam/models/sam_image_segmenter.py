"""`SAMImageSegmenter`: the task of segmenting images by prompts."""

import dataclasses
from pathlib import Path
from typing import Any

import keras
from keras import ops

from keras_sam.checkpoints.resize_position_embeddings import resize_position_embeddings
from keras_sam.layers.prompts import Prompts, resolve_prompts
from keras_sam.layers.two_way_transformer import DecoderImageCache
from keras_sam.models.export_with_keras import export_with_keras
from keras_sam.models.preset_loading import checkpoint_to_backbone, model_to_checkpoint
from keras_sam.models.prompt_trained_model import PromptTrainedModel
from keras_sam.models.sam_backbone import SAMBackbone, check_inputs, check_parts_fit
from keras_sam.models.sam_image_converter import SAMImageConverter
from keras_sam.models.sam_image_segmenter_preprocessor import SAMImageSegmenterPreprocessor
from keras_sam.models.weights_hash import weights_hash
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.inference_config import InferenceConfig, parse_inference_config
from keras_sam.types import Size

FINGERPRINT_SAMPLES = 256  # values per weight


@keras.saving.register_keras_serializable(package="keras_sam")
class SAMImageSegmenter(PromptTrainedModel):
    """The whole Segment Anything Model, for prediction and training.

    With a preprocessor, `predict`, `fit` and `evaluate` take raw images and prompts in pixels of
    the original:

        segmenter = SAMImageSegmenter.from_preset("sam_tiny_synthetic")
        outputs = segmenter.predict({"images": image, "boxes": [[[40, 20], [200, 180]]]})
        outputs["masks"]  # bool (M, H, W): the single mask, then three for ambiguous prompts

        segmenter.compile("auto")
        segmenter.fit({"images": images}, {"masks": masks})

    With `preprocessor=None`, they take prepared inputs and return low-res logits.

    Args:
        backbone: A `SAMBackbone`.
        preprocessor: A `SAMImageSegmenterPreprocessor`, or `None` for prepared inputs.

    Raises:
        ValueError: If the parts of the backbone do not fit together.
    """

    def __init__(
        self,
        backbone: SAMBackbone,
        preprocessor: SAMImageSegmenterPreprocessor | None = None,
        **kwargs: Any,
    ) -> None:
        check_parts_fit(backbone)
        kwargs.setdefault("dtype", backbone.dtype_policy)
        super().__init__(**kwargs)
        self.backbone = backbone
        self.preprocessor = preprocessor
        if preprocessor is not None:
            preprocessing = preprocessor.image_converter.preprocessing
            config = dataclasses.replace(backbone.inference_config, preprocessing=preprocessing)
            backbone.inference_config = config
        self.built = True

    @classmethod
    def from_backbone(cls, backbone: SAMBackbone, **kwargs: Any) -> "SAMImageSegmenter":
        """Build a segmenter with the preprocessor that fits a backbone.

        Args:
            backbone: A `SAMBackbone`. Its `inference_config` determines the preprocessor.
            **kwargs: `preprocessor` to use another one, or `None` for prepared inputs; and other
                arguments of the class.
        """
        if "preprocessor" not in kwargs:
            kwargs["preprocessor"] = _preprocessor_of(backbone, backbone.inference_config)
        return cls(backbone, **kwargs)

    @property
    def inference_config(self) -> InferenceConfig:
        """Settings that belong to the weights, see `PresetModel.inference_config`."""
        return self.backbone.inference_config

    @inference_config.setter
    def inference_config(self, value: Any) -> None:
        config = parse_inference_config(value)
        old = self.preprocessor
        if old is not None and old.image_converter.preprocessing != config.preprocessing:
            self._set_layer("preprocessor", _preprocessor_of(self.backbone, config))
        self.backbone.inference_config = config

    @property
    def embedding_names(self) -> tuple[str, ...]:
        """Names of the arrays of an image embedding."""
        return tuple(self.backbone.embedding_shapes)

    def image_transform(self, original_size: Size) -> ImageTransform:
        """Return the transform between images of this `(height, width)` and the model frame."""
        height, width = self.backbone.image_shape[:2]
        config = self.inference_config
        return ImageTransform(
            original_size, (height, width), config.preprocessing, config.postprocessing
        )

    def encoder_fingerprint(self) -> str:
        """Return a hash of the image encoder: its image size and samples of its weights."""
        encoder = self.backbone.image_encoder
        height, width = encoder.image_shape[:2]
        content = weights_hash(encoder, samples_per_weight=FINGERPRINT_SAMPLES)
        return f"{content}-{height}x{width}"

    def with_image_shape(
        self, image_shape: tuple[int, int, int], *, dtype: Any = None
    ) -> "SAMImageSegmenter":
        """Return a copy for another image size, with interpolated position embeddings.

        Args:
            image_shape: `(height, width, 3)`; multiples of the patch size.
            dtype: Keras dtype policy of the copy. Defaults to the model's own.
        """
        checkpoint = resize_position_embeddings(model_to_checkpoint(self), image_shape)
        backbone = checkpoint_to_backbone(checkpoint, dtype=dtype or self.dtype_policy)
        kwargs = {"preprocessor": None} if self.preprocessor is None else {}
        return type(self).from_backbone(backbone, **kwargs)

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Predict all masks of all prompts.

        Args:
            inputs: Dictionary with `images` `(B, H, W, 3)` in [0, 1], and any of `points`,
                `labels`, `boxes` and `masks` in the shapes of `SAMPromptEncoder.call`. Or the
                arrays of an image embedding, to train the decoder alone.
            training: Set by `fit`.

        Returns:
            `masks`, low-res logits `(B, M, L, L)`, and `iou_pred` `(B, M)`. With P prompts per
            image `(B, P, M, L, L)` and `(B, P, M)`. In training, the image embedding is added;
            without prompts it is the only output, since the loss simulates prompts. For the
            arrays of an embedding, these arrays.
        """
        if isinstance(inputs, dict) and set(inputs) == set(self.embedding_names):
            return {name: ops.cast(array, self.compute_dtype) for name, array in inputs.items()}
        inputs = check_inputs(inputs)
        prompts = resolve_prompts(**inputs)
        embedding = self.encode_image(inputs["images"], training=training)
        if training and len(inputs) == 1:
            return embedding
        outputs = self._decode_prompts(prompts, embedding=embedding)
        if not prompts.has_prompt_axis:
            outputs = {name: output[:, 0] for name, output in outputs.items()}
        return outputs | embedding if training else outputs

    def encode_image(self, images: Any, *, training: bool | None = None) -> dict[str, Any]:
        """Encode images; see `SAMBackbone.encode_image`."""
        return self.backbone.encode_image(images, training=training)

    def decoder_cache(self, embedding: dict[str, Any]) -> DecoderImageCache:
        """Compute the decoder's work that depends on the image alone, for all its prompts."""
        encoder = self.backbone.prompt_encoder
        return self.backbone.mask_decoder.decoder_cache(
            embedding["image_embeddings"],
            encoder.dense_positions(),
            encoder.no_mask(),
            embedding.get("early_features"),
        )

    def decode(
        self,
        embedding: dict[str, Any] | None = None,
        *,
        points: Any = None,
        labels: Any = None,
        boxes: Any = None,
        masks: Any = None,
        multimask_output: bool | None = None,
        cache: DecoderImageCache | None = None,
    ) -> dict[str, Any]:
        """Predict the masks of P prompts for each encoded image.

        Args:
            embedding: Output of `encode_image`. May be omitted if `cache` is given and there are
                no mask prompts.
            points: Points `(B, P, N, 2)` (x, y) in the model frame.
            labels: Labels `(B, P, N)`, see `SAMPromptEncoder.call`.
            boxes: Boxes `(B, P, 2, 2)`, NaN where a prompt has none.
            masks: Low-res logits `(B, P, L, L, 1)`, NaN where a prompt has none.
            multimask_output: If True, the masks for ambiguous prompts. If False, the single
                mask. If `None`, all masks.
            cache: Output of `decoder_cache` for this embedding. Prompts with masks cannot use it.

        Returns:
            `masks`, low-res logits `(B, P, M, L, L)`, and `iou_pred` `(B, P, M)`.
        """
        images = _batch_axis(embedding, cache)
        prompts = resolve_prompts(
            images=images, points=points, labels=labels, boxes=boxes, masks=masks
        )
        return self._decode_prompts(
            prompts, embedding=embedding, cache=cache, multimask_output=multimask_output
        )

    def run_transformer(
        self, cache: DecoderImageCache, *, points: Any, labels: Any
    ) -> tuple[Any, Any]:
        """Run the first step of `decode`, after which the decoder can predict IoUs.

        Args:
            cache: Output of `decoder_cache`.
            points: See `decode`.
            labels: See `decode`. Box corners are labels, too.

        Returns:
            Output of `SAMMaskDecoder.run_transformer`.
        """
        prompts = resolve_prompts(images=cache.keys, points=points, labels=labels)
        sparse, sparse_mask, _ = self.backbone.prompt_encoder.encode(
            prompts, batch_size=ops.shape(cache.keys)[0]
        )
        return self.backbone.mask_decoder.run_transformer(cache, sparse, sparse_mask)

    def _decode_prompts(
        self,
        prompts: Prompts,
        *,
        embedding: dict[str, Any] | None = None,
        cache: DecoderImageCache | None = None,
        multimask_output: bool | None = None,
    ) -> dict[str, Any]:
        encoder, decoder = self.backbone.prompt_encoder, self.backbone.mask_decoder
        batch_size = ops.shape(_batch_axis(embedding, cache))[0]
        sparse, sparse_mask, dense = encoder.encode(prompts, batch_size=batch_size)
        if dense is not None:
            if embedding is None:
                raise ValueError("prompts with masks need an embedding, got a cache alone")
            return decoder.decode_with_mask_prompts(
                embedding["image_embeddings"],
                encoder.dense_positions(),
                dense,
                sparse,
                sparse_mask,
                early_features=embedding.get("early_features"),
                multimask_output=multimask_output,
            )
        return decoder.decode(
            cache or self.decoder_cache(embedding or {}),
            sparse,
            sparse_mask,
            grid_size=self.backbone.embedding_size,
            multimask_output=multimask_output,
        )

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Export the whole model with Keras, see `keras.Model.export`.

        `keras_sam.export.export_model` writes an image encoder and a mask decoder instead, checks
        them, and has the layouts of other programs.

        Args:
            filepath: Path of the file or directory.
            format: Format of Keras.
            verbose: See `keras.Model.export`.
            input_signature: See `keras.Model.export`. Defaults to the named inputs `images`,
                `points` and `labels` of `call`.
            **kwargs: Other arguments of `keras.Model.export`.
        """
        export_with_keras(
            self,
            filepath,
            self.backbone.image_shape,
            format=format,
            verbose=verbose,
            input_signature=input_signature,
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        preprocessor = None if self.preprocessor is None else serialize(self.preprocessor)
        return super().get_config() | {
            "backbone": serialize(self.backbone),
            "preprocessor": preprocessor,
            "inference_config": self.inference_config.to_dict(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SAMImageSegmenter":
        config = dict(config)
        inference_config = config.pop("inference_config", None)
        for part in ("backbone", "preprocessor"):
            if isinstance(config[part], dict):
                config[part] = keras.saving.deserialize_keras_object(
                    config[part], custom_objects=custom_objects
                )
        segmenter = cls(**config)
        if inference_config is not None:
            segmenter.inference_config = inference_config
        return segmenter


def _preprocessor_of(
    backbone: SAMBackbone, config: InferenceConfig
) -> SAMImageSegmenterPreprocessor:
    height, width = backbone.image_shape[:2]
    converter = SAMImageConverter((height, width), **dataclasses.asdict(config.preprocessing))
    return SAMImageSegmenterPreprocessor(converter)


def _batch_axis(embedding: dict[str, Any] | None, cache: DecoderImageCache | None) -> Any:
    """Return an array whose first axis is that of the images."""
    if embedding is not None:
        return embedding["image_embeddings"]
    if cache is None:
        raise ValueError("decode needs an embedding or a cache")
    return cache.keys
