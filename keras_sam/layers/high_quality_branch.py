"""`HighQualityBranch`: the part of the mask decoder that SAM-HQ adds."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.activation import get_activation
from keras_sam.layers.layer_norm import LayerNorm
from keras_sam.layers.mask_upscaler import MaskUpscaler, pixels_to_grid
from keras_sam.layers.mlp import MLP


class HighQualityBranch(keras.layers.Layer):
    """A learned token whose mask is predicted from high-quality features (arXiv 2306.01567).

    The high-quality features are the sum of the upscaled image embedding and of the upscaled early
    features of the image encoder, which contain finer details.

    Args:
        embedding_dim: Width `D` of the mask decoder's tokens.
        early_feature_dim: Width `E` of the early features.
        activation: Name of a Keras activation, used in the encoders and in the refiner.
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
        """Compute the high-quality features of an image, which its prompts share.

        Args:
            image_embeddings: Image embeddings `(B, G, G, D)`.
            early_features: Early features `(B, G, G, E)`.

        Returns:
            High-quality features `(B, L, L, D / 8)` with `L = 4 G`.
        """
        height, width = image_embeddings.shape[1:3]
        pixels = self.embedding_encoder(_as_tokens(image_embeddings))
        pixels = pixels + self.early_encoder(_as_tokens(early_features))
        return pixels_to_grid(pixels, (height, width))

    def call(self, tokens: Any, pixels: Any, hq_features: Any, *, prompts: Any) -> Any:
        """Predict one mask per prompt.

        Args:
            tokens: Decoded high-quality tokens `(B * P, D)`.
            pixels: Upscaled image tokens of the decoder `(B * P, L, L, D / 8)`.
            hq_features: Output `(B, L, L, D / 8)` of the method `hq_features`.
            prompts: Number P of prompts per image.

        Returns:
            Mask logits `(B * P, 1, L, L)`.
        """
        height, width, channels = hq_features.shape[1:]
        weights = self.head(tokens)  # (B * P, C)
        refined = ops.reshape(self.refiner(pixels), (-1, height * width, channels))
        logits = ops.matmul(refined, weights[:, :, None])  # (B * P, L * L, 1)
        # The term of the image is linear too, so its pixels need no copy per prompt.
        weights = ops.reshape(weights, (-1, prompts, channels))
        hq_pixels = ops.reshape(hq_features, (-1, height * width, channels))
        image_logits = ops.matmul(weights, ops.swapaxes(hq_pixels, 1, 2))  # (B, P, L * L)
        shape = (-1, 1, height, width)
        return ops.reshape(logits, shape) + ops.reshape(image_logits, shape)

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
    """Two 3 x 3 convolutions with a layer norm and an activation between them.

    Args:
        hidden_dim: Number of filters of the first convolution.
        output_dim: Number of filters of the second convolution.
        activation: Name of a Keras activation.
    """

    def __init__(
        self, hidden_dim: int, output_dim: int, *, activation: str = "gelu", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.output_dim = output_dim
        self.activation = activation
        self.activate = get_activation(activation)
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
        """Refine pixels `(B, L, L, C)` to `(B, L, L, output_dim)`."""
        return self.conv2(self.activate(self.layer_norm(self.conv1(grid))))


def _as_tokens(grid: Any) -> Any:
    """Flatten a grid `(B, H, W, C)` to tokens `(B, H * W, C)`."""
    _, height, width, channels = grid.shape
    return ops.reshape(grid, (-1, height * width, channels))
