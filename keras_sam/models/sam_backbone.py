"""`SAMBackbone`: image encoder, prompt encoder and mask decoder."""

from typing import Any

import keras

from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from keras_sam.models.backbone import Backbone

PARTS = ("image_encoder", "prompt_encoder", "mask_decoder")
INPUTS = ("images", "points", "labels", "boxes", "masks")


@keras.saving.register_keras_serializable(package="keras_sam")
class SAMBackbone(Backbone):
    """The Segment Anything Model up to its mask decoder (arXiv 2304.02643).

    A call embeds images and prompts. `SAMImageSegmenter` adds the masks.

    Args:
        image_encoder: A `ViTDetBackbone`, or another model from images `(B, H, W, 3)` in [0, 1]
            to image embeddings `(B, G, G, D)`. For SAM-HQ, it returns a dictionary with
            `image_embeddings` and `early_features`.
        prompt_encoder: A `SAMPromptEncoder`.
        mask_decoder: A `SAMMaskDecoder`.
        dtype: Keras dtype policy of the weights. Must be that of the three parts, which is the
            default.
        image_shape: `(height, width, 3)` of the images. Must be that of the image encoder, which
            is the default.

    Raises:
        ValueError: If the parts do not fit each other.
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
    def low_res_size(self) -> tuple[int, int]:
        """`(height, width)` of the predicted masks: four times the embedding grid."""
        height, width = self.embedding_size
        return 4 * height, 4 * width

    @property
    def embedding_shapes(self) -> dict[str, tuple[int, int, int]]:
        """Shapes of the named arrays of an image embedding, without the batch axis."""
        shapes = {"image_embeddings": (*self.embedding_size, self.mask_decoder.hidden_size)}
        if self.mask_decoder.early_feature_dim:
            shapes["early_features"] = (*self.embedding_size, self.mask_decoder.early_feature_dim)
        return shapes

    def build(self, input_shape: Any = None) -> None:
        for part in (self.prompt_encoder, self.mask_decoder):
            if not part.built:
                part.build()
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Embed images and prompts.

        Args:
            inputs: Dictionary with `images` `(B, H, W, 3)` in [0, 1], and any of `points`,
                `labels`, `boxes` and `masks` in the shapes of `SAMPromptEncoder.call`.
            training: If True, the image encoder runs in training mode.

        Returns:
            Image embedding as in `encode_image`, and the outputs of `SAMPromptEncoder.call`.
        """
        inputs = check_inputs(inputs)
        embedding = self.encode_image(inputs["images"], training=training)
        return embedding | self.prompt_encoder(**inputs)

    def encode_image(self, images: Any, *, training: bool | None = None) -> dict[str, Any]:
        """Encode images `(B, H, W, 3)` in [0, 1].

        Returns:
            Named arrays with the shapes of `embedding_shapes` after the batch axis:
            `image_embeddings`, and `early_features` with SAM-HQ.
        """
        embedding = self.image_encoder(images, training=training)
        return embedding if isinstance(embedding, dict) else {"image_embeddings": embedding}

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for part in PARTS:
            config[part] = keras.saving.serialize_keras_object(getattr(self, part))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SAMBackbone":
        config = dict(config)
        for part in PARTS:
            if isinstance(config[part], dict):
                config[part] = keras.saving.deserialize_keras_object(
                    config[part], custom_objects=custom_objects
                )
        return cls(**config)


def check_inputs(inputs: Any) -> dict[str, Any]:
    """Check that model inputs are a dictionary with images and known names, and return it.

    Raises:
        TypeError: If the inputs are not a dictionary.
        ValueError: If `images` is missing or a name is unknown.
    """
    if not isinstance(inputs, dict):
        raise TypeError(f"inputs must be a dictionary with 'images', got {type(inputs).__name__}")
    if "images" not in inputs:
        raise ValueError(f"inputs must contain 'images', got {sorted(inputs)}")
    if unknown := sorted(set(inputs) - set(INPUTS)):
        raise ValueError(f"unknown inputs {unknown}; expected some of {list(INPUTS)}")
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


def check_parts_fit(backbone: SAMBackbone) -> None:
    """Check that the parts of a backbone have the sizes that the whole model needs.

    The backbone accepts other sizes, as in keras-hub, since it does not call the mask decoder.

    Raises:
        ValueError: If a size of the prompt encoder or the mask decoder differs.
    """
    encoder, prompts = backbone.image_encoder, backbone.prompt_encoder
    decoder = backbone.mask_decoder
    pairs = (
        ("image_embedding_size", prompts.image_embedding_size, encoder.embedding_size),
        ("input_image_size", prompts.input_image_size, tuple(encoder.image_shape[:2])),
        ("hidden_size", prompts.hidden_size, encoder.num_output_channels),
    )
    for name, actual, expected in pairs:
        if actual != expected:
            raise ValueError(
                f"the prompt encoder's {name} must be {expected} to fit the image encoder, "
                f"got {actual}"
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
            f"encoder's output_early_feature determines it, got {decoder.early_feature_dim}"
        )
