"""`HighQualityBranch`: what SAM-HQ adds to the mask decoder."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.layer_norm import LayerNorm
from keras_sam.layers.mask_upscaler import MaskUpscaler, pixels_to_grid
from keras_sam.layers.mlp import MLP


class HighQualityBranch(keras.layers.Layer):
    """One more token, whose mask is drawn on pixels with details of the image (arXiv 2306.01567).

    The details come from the image embedding and from an early feature of the image encoder,
    which still has them.

    Args:
        embedding_dim: width `D` of the mask decoder's tokens.
        early_feature_dim: width `E` of the early feature.
        activation: activation of the encoders and of the refiner.
    """

    def __init__(
        self,
        embedding_dim: int,
        early_feature_dim: int,
        *,
        activation: str = "gelu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.embedding_dim = embedding_dim
        self.early_feature_dim = early_feature_dim
        self.activation = activation
        self.channels = embedding_dim // 8
        self.head = MLP(
            embedding_dim, self.channels, num_layers=3, dtype=self.dtype_policy, name="head"
        )
        self.early_encoder = self._encoder("early_encoder", embedding_dim)
        self.embedding_encoder = self._encoder("embedding_encoder", embedding_dim // 4)
        self.refiner = PixelRefiner(
            embedding_dim // 4,
            self.channels,
            activation=activation,
            dtype=self.dtype_policy,
            name="refiner",
        )

    def build(self, input_shape: Any = None) -> None:
        self.token = self.add_weight(
            name="token", shape=(1, self.embedding_dim), initializer="random_normal"
        )
        self.head.build((None, self.embedding_dim))
        self.early_encoder.build((None, None, self.early_feature_dim))
        self.embedding_encoder.build((None, None, self.embedding_dim))
        self.refiner.build((None, None, None, self.channels))

    def hq_features(self, image_embeddings: Any, early_features: Any) -> Any:
        """The details of an image, shared by its prompts.

        Args:
            image_embeddings: `(B, G, G, D)`.
            early_features: `(B, G, G, E)`.

        Returns:
            `(B, L, L, D / 8)` with `L = 4 G`.
        """
        height, width = image_embeddings.shape[1:3]
        pixels = self.embedding_encoder(_as_tokens(image_embeddings))
        pixels = pixels + self.early_encoder(_as_tokens(early_features))
        return pixels_to_grid(pixels, (height, width))

    def call(self, tokens: Any, pixels: Any, hq_features: Any, *, prompts: Any) -> Any:
        """One mask for each prompt.

        Args:
            tokens: `(B * P, D)`, what the decoder made of the token.
            pixels: `(B * P, L, L, D / 8)`, the decoder's upscaled image tokens.
            hq_features: `(B, L, L, D / 8)` of `hq_features`.
            prompts: the number P.

        Returns:
            Logits `(B * P, 1, L, L)`.
        """
        height, width, channels = hq_features.shape[1:]
        weights = self.head(tokens)  # (B * P, C)
        refined = ops.reshape(self.refiner(pixels), (-1, height * width, channels))
        logits = ops.matmul(refined, weights[:, :, None])  # (B * P, L * L, 1)
        # The share of the image is linear too: no copy of its pixels for each prompt.
        weights = ops.reshape(weights, (-1, prompts, channels))
        details = ops.reshape(hq_features, (-1, height * width, channels))
        shared = ops.matmul(weights, ops.swapaxes(details, 1, 2))  # (B, P, L * L)
        shape = (-1, 1, height, width)
        return ops.reshape(logits, shape) + ops.reshape(shared, shape)

    def _encoder(self, name: str, hidden_dim: int) -> MaskUpscaler:
        return MaskUpscaler(
            hidden_dim,
            self.channels,
            activation=self.activation,
            activate_output=False,
            dtype=self.dtype_policy,
            name=name,
        )


class PixelRefiner(keras.layers.Layer):
    """Two 3 x 3 convolutions, between them a layer norm and an activation.

    Args:
        hidden_dim: channels between them.
        output_dim: channels of the output.
        activation: name of a Keras activation.
    """

    def __init__(
        self, hidden_dim: int, output_dim: int, *, activation: str = "gelu", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.output_dim = output_dim
        self.activation = activation
        self.activate = keras.activations.get(activation)
        self.conv1 = keras.layers.Conv2D(
            hidden_dim, 3, padding="same", dtype=self.dtype_policy, name="conv1"
        )
        self.layer_norm = LayerNorm(epsilon=1e-6, dtype=self.dtype_policy, name="layer_norm")
        self.conv2 = keras.layers.Conv2D(
            output_dim, 3, padding="same", dtype=self.dtype_policy, name="conv2"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.conv1.build(input_shape)
        hidden_shape = (*input_shape[:-1], self.hidden_dim)
        self.layer_norm.build(hidden_shape)
        self.conv2.build(hidden_shape)

    def call(self, grid: Any) -> Any:
        """`(B, H, W, C)` to `(B, H, W, output_dim)`."""
        return self.conv2(self.activate(self.layer_norm(self.conv1(grid))))


def _as_tokens(grid: Any) -> Any:
    """`(B, H, W, C)` to `(B, H * W, C)`."""
    _, height, width, channels = grid.shape
    return ops.reshape(grid, (-1, height * width, channels))
