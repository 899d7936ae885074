"""`SAMImageSegmenter`: images and prompts to masks."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sam.checkpoints.resize_position_embeddings import resize_position_embeddings
from keras_sam.layers.prompts import PADDING, Prompts, resolve_prompts
from keras_sam.layers.two_way_transformer import DecoderImageCache
from keras_sam.models.backbone import Backbone
from keras_sam.models.preset_loading import checkpoint_to_backbone, model_to_checkpoint
from keras_sam.models.sam_backbone import SAMBackbone, check_inputs


@keras.saving.register_keras_serializable(package="keras_sam")
class SAMImageSegmenter(Backbone):
    """The whole Segment Anything Model: predict masks, or train.

    `predict` takes a dictionary of `images` and prompts. To train, compile with a loss of
    `keras_sam.train` and `fit` on images and ground-truth masks:

        segmenter.compile("adamw", loss=keras_sam.train.interactive_loss.InteractiveSegmentationLoss())
        segmenter.fit({"images": images}, {"masks": masks})

    Args:
        backbone: a `SAMBackbone`.
        preprocessor: how images are prepared, in any form that `Backbone.preprocessing` takes;
            what the backbone has if `None`.
        thresholds: which masks of everything mode are kept, as `Backbone.thresholds` takes them;
            what the backbone has if `None`.
    """

    def __init__(
        self,
        backbone: SAMBackbone,
        preprocessor: Any = None,
        thresholds: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", backbone.dtype_policy)
        super().__init__(**kwargs)
        self.backbone = backbone
        if preprocessor is not None:
            self.preprocessing = preprocessor
        if thresholds is not None:
            self.thresholds = thresholds
        self._objective: Any = None
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Predicts all masks of all prompts.

        Args:
            inputs: `images` `(B, H, W, 3)` in 0..1 and any of `points`, `labels`, `boxes` and
                `masks`, in the shapes that `SAMPromptEncoder.call` tells.
            training: set by `fit`.

        Returns:
            `masks`, logits of the low-res grid `(B, M, L, L)`, and `iou_pred` `(B, M)`. With P
            prompts for each image `(B, P, M, L, L)` and `(B, P, M)`. In training also
            `image_embeddings`; alone, where no prompt was given, since the loss makes some.
        """
        inputs = check_inputs(inputs)
        resolved = resolve_prompts(**inputs)
        image_embeddings = self.encode_image(inputs["images"], training=training)
        if training and len(inputs) == 1:
            return {"image_embeddings": image_embeddings}
        outputs = self._decode_prompts(image_embeddings, resolved)
        if not resolved.has_prompt_axis:
            outputs = {name: output[:, 0] for name, output in outputs.items()}
        return outputs | {"image_embeddings": image_embeddings} if training else outputs

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.predict`; prompts of length zero are taken out before it compiles."""
        return super().predict(without_empty_prompts(x), *args, **kwargs)

    def with_image_shape(
        self, image_shape: tuple[int, int, int], *, dtype: Any = None
    ) -> "SAMImageSegmenter":
        """A copy of the model for another image size, its position tables interpolated.

        Args:
            image_shape: `(height, width, 3)`; multiples of the patch size.
            dtype: dtype policy of the copy; the model's own if `None`.
        """
        checkpoint = resize_position_embeddings(model_to_checkpoint(self), image_shape)
        backbone = checkpoint_to_backbone(checkpoint, dtype=dtype or self.dtype_policy)
        return type(self)(backbone)

    def encode_image(self, images: Any, *, training: bool | None = None) -> Any:
        """Images `(B, H, W, 3)` in 0..1 to image embeddings `(B, G, G, D)`."""
        return self.backbone.image_encoder(images, training=training)

    def decoder_cache(self, image_embeddings: Any) -> DecoderImageCache:
        """The mask decoder's work that depends on the image alone, to be shared by prompts."""
        encoder = self.backbone.prompt_encoder
        return self.backbone.mask_decoder.decoder_cache(
            image_embeddings, encoder.dense_positions(), encoder.no_mask()
        )

    def decode(
        self,
        image_embeddings: Any,
        *,
        points: Any = None,
        labels: Any = None,
        boxes: Any = None,
        masks: Any = None,
        multimask_output: bool | None = None,
        features: DecoderImageCache | None = None,
    ) -> dict[str, Any]:
        """Masks of P prompts for each encoded image.

        Args:
            image_embeddings: `(B, G, G, D)`.
            points: `(B, P, N, 2)`, pixels (x, y) of the model frame.
            labels: `(B, P, N)`, as `SAMPromptEncoder.call` tells.
            boxes: `(B, P, 2, 2)`; NaN where a prompt has none.
            masks: `(B, P, L, L, 1)` logits; NaN where a prompt has none.
            multimask_output: `True` for the masks of an ambiguous prompt, `False` for the single
                one, `None` for all.
            features: what `decoder_cache` gave for these embeddings, if at hand. Prompts with
                masks cannot use it.

        Returns:
            `masks`, logits `(B, P, M, L, L)`, and `iou_pred` `(B, P, M)`.
        """
        prompts = resolve_prompts(
            images=image_embeddings, points=points, labels=labels, boxes=boxes, masks=masks
        )
        return self._decode_prompts(
            image_embeddings, prompts, multimask_output=multimask_output, features=features
        )

    def attend(self, features: DecoderImageCache, *, points: Any, labels: Any) -> tuple[Any, Any]:
        """The first step of `decode`, which its mask decoder can rate before it draws.

        Args:
            features: of `decoder_cache`.
            points: as `decode`.
            labels: as `decode`; corners of boxes are labels too.

        Returns:
            What `SAMMaskDecoder.attend` returns.
        """
        prompts = resolve_prompts(images=features.keys, points=points, labels=labels)
        sparse, sparse_mask, _ = self.backbone.prompt_encoder.encode(
            prompts, batch_size=ops.shape(features.keys)[0]
        )
        return self.backbone.mask_decoder.attend(features, sparse, sparse_mask)

    def _decode_prompts(
        self,
        image_embeddings: Any,
        prompts: Prompts,
        *,
        multimask_output: bool | None = None,
        features: DecoderImageCache | None = None,
    ) -> dict[str, Any]:
        encoder, decoder = self.backbone.prompt_encoder, self.backbone.mask_decoder
        sparse, sparse_mask, dense = encoder.encode(
            prompts, batch_size=ops.shape(image_embeddings)[0]
        )
        if dense is not None:
            return decoder.decode_with_mask_prompts(
                image_embeddings,
                encoder.dense_positions(),
                dense,
                sparse,
                sparse_mask,
                multimask_output=multimask_output,
            )
        return decoder.decode(
            features or self.decoder_cache(image_embeddings),
            sparse,
            sparse_mask,
            grid_size=self.backbone.embedding_size,
            multimask_output=multimask_output,
        )

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **kwargs: Any) -> None:
        """Prepares `fit` and `evaluate`.

        Args:
            optimizer: as `keras.Model.compile`.
            loss: a layer called with the segmenter, the inputs, the targets and the outputs of
                `call`, which returns the loss: `keras_sam.train.interactive_loss.InteractiveSegmentationLoss`.
            **kwargs: other arguments of `keras.Model.compile`.
        """
        if loss is not None and not isinstance(loss, keras.layers.Layer):
            raise TypeError(
                "SAM is trained with prompts simulated from ground-truth masks: pass "
                f"loss=keras_sam.train.interactive_loss.InteractiveSegmentationLoss(), got {loss!r}"
            )
        self._tracker.unlock()  # a layer may come after the model was built
        self._objective = loss
        self._tracker.lock()
        super().compile(optimizer=optimizer, loss=None, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss of a batch: what the layer given to `compile` returns."""
        if self._objective is None:
            raise ValueError(
                "to train or evaluate, compile with loss=keras_sam.train.interactive_loss.InteractiveSegmentationLoss()"
            )
        if sample_weight is not None:
            raise ValueError("sample_weight is not supported; leave masks out instead")
        return self._objective.compute(self, x, y, y_pred, training=training)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "preprocessor": self.preprocessing,
            "thresholds": self.thresholds,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SAMImageSegmenter":
        config = dict(config)
        if isinstance(config["backbone"], dict):
            config["backbone"] = keras.saving.deserialize_keras_object(
                config["backbone"], custom_objects=custom_objects
            )
        return cls(**config)


def without_empty_prompts(inputs: Any) -> Any:
    """The inputs without prompts of length zero, which are checked first.

    A program compiled for any length could not tell them from others. Points `(B, 0, 2)` and
    `(B, P, 0, 2)` become one point of padding, since they also tell the form of the results.

    Raises:
        ValueError: for prompts that `resolve_prompts` refuses.
    """
    if not isinstance(inputs, dict):
        return inputs
    inputs = {name: x for name, x in check_inputs(inputs).items() if x is not None}
    if not all(hasattr(x, "shape") for x in inputs.values()):
        return inputs
    resolve_prompts(**inputs)
    kept = {name: x for name, x in inputs.items() if name == "images" or 0 not in x.shape[1:]}
    points = inputs.get("points")
    if points is not None and points.shape[-2] == 0 and 0 not in points.shape[:-2]:
        shape = (*points.shape[:-2], 1)
        kept["points"] = np.zeros((*shape, 2), "float32")
        kept["labels"] = np.full(shape, PADDING, "int32")
    return kept
