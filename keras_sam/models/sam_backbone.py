"""`SAMBackbone`: image encoder, prompt encoder and mask decoder."""

from typing import Any

import keras

from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from keras_sam.models.backbone import Backbone


@keras.saving.register_keras_serializable(package="keras_sam")
class SAMBackbone(Backbone):
    """The Segment Anything Model up to its mask decoder (arXiv 2304.02643).

    Called on `images` and prompts it embeds both; `SAMImageSegmenter` adds the masks.

    Args:
        image_encoder: a `ViTDetBackbone`, or another model from images `(B, H, W, 3)` in 0..1
            to embeddings `(B, G, G, D)`. For SAM-HQ it outputs its early feature too.
        prompt_encoder: a `SAMPromptEncoder`.
        mask_decoder: a `SAMMaskDecoder`.
        dtype: dtype policy of the weights. It is that of the three parts: given, it is compared
            with theirs.
        image_shape: `(height, width, 3)` of the images. It is the image encoder's: given, it is
            compared with it.

    Raises:
        ValueError: if the parts do not fit each other.
    """

    def __init__(
        self,
        image_encoder: keras.Model,
        prompt_encoder: SAMPromptEncoder,
        mask_decoder: SAMMaskDecoder,
        dtype: Any = None,
        *,
        image_shape: tuple[int, int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype or image_encoder.dtype_policy, **kwargs)
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        _check_parts(self, image_shape)
        self.build()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, 3)` of the images."""
        return self.image_encoder.image_shape

    @property
    def embedding_size(self) -> tuple[int, int]:
        """`(height, width)` of the embedding grid."""
        return self.image_encoder.embedding_size

    @property
    def image_embedding_shape(self) -> tuple[int, int, int]:
        """`(G, G, D)` of the image embedding, the early feature of SAM-HQ included."""
        channels = self.mask_decoder.hidden_size + self.mask_decoder.early_feature_dim
        return *self.embedding_size, channels

    @property
    def low_res_size(self) -> tuple[int, int]:
        """`(height, width)` of the predicted masks: four times the embedding grid."""
        height, width = self.embedding_size
        return 4 * height, 4 * width

    def build(self, input_shape: Any = None) -> None:
        for part in (self.prompt_encoder, self.mask_decoder):
            if not part.built:
                part.build()
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Embeds images and prompts.

        Args:
            inputs: `images` `(B, H, W, 3)` in 0..1 and any of `points`, `labels`, `boxes` and
                `masks`, in the shapes that `SAMPromptEncoder.call` tells.
            training: whether the image encoder is to run as in training.

        Returns:
            `image_embeddings` of `image_embedding_shape`, and what `SAMPromptEncoder.call` returns.
        """
        inputs = check_inputs(inputs)
        image_embeddings = self.image_encoder(inputs["images"], training=training)
        embeddings = {"image_embeddings": image_embeddings}
        return embeddings | self.prompt_encoder(**inputs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for part in ("image_encoder", "prompt_encoder", "mask_decoder"):
            config[part] = keras.saving.serialize_keras_object(getattr(self, part))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SAMBackbone":
        config = dict(config)
        for part in ("image_encoder", "prompt_encoder", "mask_decoder"):
            if isinstance(config[part], dict):
                config[part] = keras.saving.deserialize_keras_object(
                    config[part], custom_objects=custom_objects
                )
        return cls(**config)


def check_inputs(inputs: Any) -> dict[str, Any]:
    """The dictionary of inputs as given, if it holds images and knows every name.

    Raises:
        TypeError: if it is not a dictionary.
        ValueError: if `images` is missing or a name is unknown.
    """
    names = ("images", "points", "labels", "boxes", "masks")
    if not isinstance(inputs, dict):
        raise TypeError(f"inputs must be a dictionary with 'images', got {type(inputs).__name__}")
    if "images" not in inputs:
        raise ValueError(f"inputs lack 'images'; got {sorted(inputs)}")
    if unknown := sorted(set(inputs) - set(names)):
        raise ValueError(f"unknown inputs {unknown}; expected some of {list(names)}")
    return inputs


def _check_parts(backbone: SAMBackbone, image_shape: tuple[int, int, int] | None) -> None:
    encoder, prompts = backbone.image_encoder, backbone.prompt_encoder
    decoder = backbone.mask_decoder
    if image_shape is not None and tuple(image_shape) != tuple(encoder.image_shape):
        raise ValueError(
            f"image_shape {tuple(image_shape)} differs from the image encoder's "
            f"{tuple(encoder.image_shape)}. Build the image encoder with the shape that you "
            "want, or load a preset with from_preset(..., image_shape=...)"
        )
    for part, layer in (
        ("image encoder", encoder),
        ("prompt encoder", prompts),
        ("mask decoder", decoder),
    ):
        if layer.dtype_policy.name != backbone.dtype_policy.name:
            raise ValueError(
                f"the {part}'s dtype must be {backbone.dtype_policy.name}, as the backbone's, got "
                f"{layer.dtype_policy.name}. Build all three parts with one dtype, or load a "
                "preset with from_preset(..., dtype=...)"
            )
    pairs = (
        ("image_embedding_size", prompts.image_embedding_size, encoder.embedding_size),
        ("input_image_size", prompts.input_image_size, tuple(encoder.image_shape[:2])),
        ("hidden_size", prompts.hidden_size, encoder.num_output_channels),
    )
    for name, found, expected in pairs:
        if found != expected:
            raise ValueError(
                f"the prompt encoder's {name} must be {expected} to fit the image encoder, "
                f"got {found}"
            )
    if decoder.hidden_size != prompts.hidden_size:
        raise ValueError(
            f"the mask decoder's hidden_size must be {prompts.hidden_size}, the prompt "
            f"encoder's, got {decoder.hidden_size}"
        )
    early_feature_dim = getattr(encoder, "early_feature_dim", 0)
    if decoder.early_feature_dim != early_feature_dim:
        raise ValueError(
            f"the mask decoder's early_feature_dim must be {early_feature_dim}, as the image "
            f"encoder's output_early_feature sets it, got {decoder.early_feature_dim}"
        )
