"""`SAMMaskDecoder`: from image and prompt embeddings to masks."""

import inspect
from typing import Any

import keras
from keras import ops

from keras_sam.layers.high_quality_branch import HighQualityBranch
from keras_sam.layers.mask_upscaler import MaskUpscaler, pixels_to_grid, pixels_to_masks
from keras_sam.layers.mlp import MLP
from keras_sam.layers.prepend_tokens import prepend_tokens
from keras_sam.layers.two_way_transformer import DecoderImageCache, TwoWayTransformer

# Masks of each value of `multimask_output`: all, those for an ambiguous prompt, or the single one.
MASK_SLICES = {None: slice(None), True: slice(1, None), False: slice(0, 1)}


@keras.saving.register_keras_serializable(package="keras_sam")
class SAMMaskDecoder(keras.layers.Layer):
    """Mask decoder of the Segment Anything Model (arXiv 2304.02643, section 3 and appendix A).

    The work has two parts: `decoder_cache` runs once per image, and `decode` once per batch of
    prompts. A call of the layer does both.

    Args:
        hidden_size: Width `D` of the transformer, a multiple of `num_heads`.
        num_layers: Number of blocks of the two-way transformer.
        intermediate_dim: Hidden width of the blocks' MLP.
        num_heads: Number of attention heads.
        embedding_dim: Width of the learned tokens, at least 8. Masks can be predicted only if it
            equals `hidden_size`.
        num_multimask_outputs: Number of masks for an ambiguous prompt, at least 1. The decoder
            also predicts mask 0, for prompts that are not ambiguous.
        iou_head_depth: Number of dense layers in the head that predicts IoU.
        iou_head_hidden_dim: Hidden width of that head.
        activation: Name of a Keras activation, used in the mask upscaler.
        early_feature_dim: Width `E` of the image encoder's early features. If greater than 0, the
            decoder is that of SAM-HQ (arXiv 2306.01567). If 0, it is that of SAM.
        hq_token_only: If True, SAM-HQ's own mask replaces all masks of SAM. If False, it is added
            to them.

    Raises:
        ValueError: If an argument is out of the range above, or if `hq_token_only` is set without
            `early_feature_dim`.
    """

    def __init__(
        self,
        *,
        hidden_size: int = 256,
        num_layers: int = 2,
        intermediate_dim: int = 2048,
        num_heads: int = 8,
        embedding_dim: int = 256,
        num_multimask_outputs: int = 3,
        iou_head_depth: int = 3,
        iou_head_hidden_dim: int = 256,
        activation: str = "gelu",
        early_feature_dim: int = 0,
        hq_token_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.intermediate_dim = intermediate_dim
        self.num_heads = num_heads
        self.embedding_dim = embedding_dim
        self.num_multimask_outputs = num_multimask_outputs
        self.iou_head_depth = iou_head_depth
        self.iou_head_hidden_dim = iou_head_hidden_dim
        self.activation = activation
        self.early_feature_dim = early_feature_dim
        self.hq_token_only = hq_token_only
        _check_arguments(self)
        self.transformer = TwoWayTransformer(
            num_layers,
            hidden_size,
            num_heads,
            intermediate_dim,
            dtype=self.dtype_policy,
            name="transformer",
        )
        settings = {"activation": activation, "dtype": self.dtype_policy}
        self.upscaler = MaskUpscaler(
            embedding_dim // 4, embedding_dim // 8, name="upscaler", **settings
        )
        self.hypernetworks = [
            self._mlp(f"hypernetworks_{index}", embedding_dim, embedding_dim // 8, 3)
            for index in range(self.num_mask_tokens)
        ]
        self.iou_head = self._mlp(
            "iou_head", iou_head_hidden_dim, self.num_mask_tokens, iou_head_depth
        )
        self.high_quality: HighQualityBranch | None = None
        if early_feature_dim:
            self.high_quality = HighQualityBranch(
                embedding_dim, early_feature_dim, name="high_quality", **settings
            )

    @property
    def num_mask_tokens(self) -> int:
        """Number `M` of masks per prompt, including mask 0."""
        return self.num_multimask_outputs + 1

    def build(
        self,
        image_embeddings_shape: Any = None,
        prompt_dense_positional_embeddings_shape: Any = None,
        prompt_sparse_embeddings_shape: Any = None,
        prompt_dense_embeddings_shape: Any = None,
        prompt_sparse_mask_shape: Any = None,
        early_features_shape: Any = None,
    ) -> None:
        """Create the weights. Their shapes depend on the constructor's arguments alone."""
        self.transformer.build()
        shape = (None, None, self.embedding_dim)
        self.iou_token = self.add_weight(
            name="iou_token", shape=(1, self.embedding_dim), initializer="random_normal"
        )
        self.mask_tokens = self.add_weight(
            name="mask_tokens",
            shape=(self.num_mask_tokens, self.embedding_dim),
            initializer="random_normal",
        )
        self.upscaler.build(shape)
        for mlp in self.hypernetworks:
            mlp.build(shape)
        self.iou_head.build(shape)
        if self.high_quality is not None:
            self.high_quality.build()

    def get_config(self) -> dict[str, Any]:
        names = set(inspect.signature(SAMMaskDecoder.__init__).parameters) - {"self", "kwargs"}
        return super().get_config() | {name: getattr(self, name) for name in sorted(names)}

    def call(
        self,
        image_embeddings: Any,
        prompt_dense_positional_embeddings: Any,
        prompt_sparse_embeddings: Any,
        prompt_dense_embeddings: Any,
        prompt_sparse_mask: Any = None,
        early_features: Any = None,
    ) -> dict[str, Any]:
        """Predict masks from the outputs of `SAMBackbone`.

        Args:
            image_embeddings: Image embeddings `(B, G, G, D)`. `B` may be 1 for several prompts
                of one image.
            prompt_dense_positional_embeddings: Positional encoding of the grid `(1, G, G, D)`.
            prompt_sparse_embeddings: Prompt tokens `(B, T, D)` or `(B, P, T, D)`.
            prompt_dense_embeddings: Mask embeddings `(B, G, G, D)` or `(B, P, G, G, D)`.
            prompt_sparse_mask: Boolean `(B, T)` or `(B, P, T)`, False for padding.
            early_features: Early features of the image encoder `(B, G, G, E)`, for SAM-HQ.

        Returns:
            Dictionary with the logits `masks` `(B, M, L, L)`, where `L = 4 G`, and the predicted
            IoU `iou_pred` `(B, M)`. With P prompts per image, both have the axis `P` after `B`.

        Raises:
            ValueError: If `embedding_dim` is not `hidden_size`, or `early_features` are missing.
        """
        dense, sparse = prompt_dense_embeddings, prompt_sparse_embeddings
        mask, has_prompt_axis = prompt_sparse_mask, len(sparse.shape) == 4
        if not has_prompt_axis:
            dense, sparse = dense[:, None], sparse[:, None]
            mask = None if mask is None else mask[:, None]
            if dense.shape[0] == 1:  # one image and one mask embedding for several prompts
                dense = ops.broadcast_to(dense, (ops.shape(sparse)[0], *dense.shape[1:]))
        outputs = self.decode_with_mask_prompts(
            image_embeddings,
            prompt_dense_positional_embeddings,
            dense,
            sparse,
            mask,
            early_features=early_features,
        )
        if not has_prompt_axis:
            outputs = {name: output[:, 0] for name, output in outputs.items()}
        return outputs

    def decode_with_mask_prompts(
        self,
        image_embeddings: Any,
        positions: Any,
        dense_embeddings: Any,
        sparse_embeddings: Any,
        sparse_mask: Any = None,
        *,
        early_features: Any = None,
        multimask_output: bool | None = None,
    ) -> dict[str, Any]:
        """Predict the masks of P prompts per image, each with its own mask embedding.

        The arguments are those of `decoder_cache` and of `decode`. So is the result.
        """
        # With no prompt tokens, a reshape before the learned tokens could not infer the batch size.
        tokens, token_mask = self._with_learned_tokens(sparse_embeddings, sparse_mask)
        _, prompts, length, _ = ops.shape(tokens)
        keys, positions, hq_features = self._image_tokens(
            image_embeddings, positions, dense_embeddings, early_features
        )
        # Each prompt has its own image tokens, like one prompt of one of B * P images.
        tokens = ops.reshape(tokens, (-1, 1, length, self.embedding_dim))
        token_mask = None if token_mask is None else ops.reshape(token_mask, (-1, 1, length))
        cache = DecoderImageCache(keys, positions)
        tokens, image_tokens = self.transformer(cache, tokens, token_mask)
        options = {"grid_size": image_embeddings.shape[1:3], "multimask_output": multimask_output}
        return self._outputs(tokens, image_tokens, hq_features, prompts=prompts, **options)

    def decoder_cache(
        self,
        image_embeddings: Any,
        positions: Any,
        dense_embeddings: Any,
        early_features: Any = None,
    ) -> DecoderImageCache:
        """Compute the intermediate results that depend on the image and its mask embedding alone.

        Args:
            image_embeddings: Image embeddings `(B, G, G, D)`.
            positions: Positional encoding of the grid `(1, G, G, D)`.
            dense_embeddings: Mask embeddings `(B, P, G, G, D)`, or one for all `(1, 1, 1, 1, D)`.
            early_features: Early features of the image encoder `(B, G, G, E)`, for SAM-HQ.

        Returns:
            Cache of `B * P` images, or of `B` images if all prompts have the same mask embedding.
            Its `hq_features` are always of `B` images.

        Raises:
            ValueError: If `embedding_dim` is not `hidden_size`, or `early_features` are missing.
        """
        keys, positions, hq_features = self._image_tokens(
            image_embeddings, positions, dense_embeddings, early_features
        )
        cache = self.transformer.blocks[0].decoder_cache(keys, positions)
        return cache._replace(hq_features=hq_features)

    def decode(
        self,
        cache: DecoderImageCache,
        sparse_embeddings: Any,
        sparse_mask: Any = None,
        *,
        grid_size: tuple[int, int],
        multimask_output: bool | None = None,
    ) -> dict[str, Any]:
        """Predict the masks of P prompts per image, which share one mask embedding.

        Args:
            cache: Cache of `B` images, each shared by its prompts.
            sparse_embeddings: Prompt tokens `(B, P, T, D)`.
            sparse_mask: Boolean `(B, P, T)`, False for padding. If `None`, there is no padding.
            grid_size: `(height, width)` of the embedding grid.
            multimask_output: If True, masks 1 and up. If False, mask 0. If `None`, all masks.

        Returns:
            Dictionary with the logits `masks` `(B, P, M, L, L)` and the predicted IoU `iou_pred`
            `(B, P, M)`.
        """
        tokens, image_tokens = self.run_transformer(cache, sparse_embeddings, sparse_mask)
        return self._outputs(
            tokens,
            image_tokens,
            cache.hq_features,
            prompts=ops.shape(sparse_embeddings)[1],
            grid_size=grid_size,
            multimask_output=multimask_output,
        )

    def run_transformer(
        self, cache: DecoderImageCache, sparse_embeddings: Any, sparse_mask: Any = None
    ) -> tuple[Any, Any]:
        """Run the two-way transformer, the first step of `decode`, with the same arguments.

        Returns:
            Tokens for `predict_iou` and `predict_masks`: `(B * P, 1 + M + T, D)`, or
            `(B * P, 2 + M + T, D)` with SAM-HQ. And image tokens `(B * P, G * G, D)`.
        """
        return self.transformer(cache, *self._with_learned_tokens(sparse_embeddings, sparse_mask))

    def predict_iou(self, tokens: Any, *, multimask_output: bool | None = None) -> Any:
        """Predict the IoU of masks without computing them.

        Args:
            tokens: Tokens `(B * P, 1 + M + T, D)` of `run_transformer`.
            multimask_output: If True, masks 1 and up. If False, mask 0. If `None`, all masks.

        Returns:
            IoU predictions `(B * P, M)`.
        """
        return self.iou_head(tokens[:, 0])[:, MASK_SLICES[multimask_output]]

    def predict_masks(
        self,
        tokens: Any,
        image_tokens: Any,
        hq_features: Any = None,
        *,
        prompts: Any,
        grid_size: tuple[int, int],
        multimask_output: bool | None = None,
    ) -> Any:
        """Predict masks for all prompts of `run_transformer`, or for some of them.

        Args:
            tokens: Tokens `(B * P, 1 + M + T, D)`.
            image_tokens: Image tokens `(B * P, G * G, D)`.
            hq_features: High-quality features `(B, L, L, D / 8)` of the cache, for SAM-HQ.
            prompts: Number P of prompts per image.
            grid_size: `(height, width)` of the embedding grid.
            multimask_output: If True, masks 1 and up. If False, mask 0. If `None`, all masks.

        Returns:
            Mask logits `(B * P, M, L, L)`.
        """
        # Each mask is a weighted sum of the channels of the upscaled image tokens.
        pixels = self.upscaler(image_tokens)  # (B * P, G * G * 16, D / 8)
        indices = range(self.num_mask_tokens)[MASK_SLICES[multimask_output]]
        weights = [self.hypernetworks[index](tokens[:, 1 + index]) for index in indices]
        masks = ops.matmul(ops.stack(weights, axis=1), ops.swapaxes(pixels, 1, 2))
        masks = pixels_to_masks(masks, grid_size)
        if self.high_quality is None:
            return masks
        hq_mask = self.high_quality(
            tokens[:, 1 + self.num_mask_tokens],
            pixels_to_grid(pixels, grid_size),
            hq_features,
            prompts=prompts,
        )
        if self.hq_token_only:
            return ops.broadcast_to(hq_mask, ops.shape(masks))
        return masks + hq_mask

    def _image_tokens(
        self, image_embeddings: Any, positions: Any, dense_embeddings: Any, early_features: Any
    ) -> tuple[Any, Any, Any]:
        """Return tokens `(B * P, S, D)`, positions `(1, S, D)` and `hq_features` of the cache."""
        if self.embedding_dim != self.hidden_size:
            raise ValueError(
                f"embedding_dim {self.embedding_dim} must equal hidden_size {self.hidden_size} to "
                "predict masks: the learned tokens and the image tokens enter the same transformer"
            )
        if (early_features is None) != (self.high_quality is None):
            raise ValueError(
                "early_features must be given if early_feature_dim is greater than 0 (SAM-HQ), and "
                f"only then; early_feature_dim is {self.early_feature_dim}"
            )
        length = image_embeddings.shape[1] * image_embeddings.shape[2]
        keys = image_embeddings[:, None] + dense_embeddings  # (B, P, G, G, D)
        keys = ops.reshape(keys, (-1, length, self.hidden_size))
        positions = ops.reshape(positions, (1, length, self.hidden_size))
        if self.high_quality is None:
            return keys, positions, None
        return keys, positions, self.high_quality.hq_features(image_embeddings, early_features)

    def _outputs(
        self, tokens: Any, image_tokens: Any, hq_features: Any, *, prompts: Any, **options: Any
    ) -> dict[str, Any]:
        """Predict masks and IoU, with the axis `P`."""
        masks = self.predict_masks(tokens, image_tokens, hq_features, prompts=prompts, **options)
        iou_predictions = self.predict_iou(tokens, multimask_output=options["multimask_output"])
        return {
            "masks": ops.reshape(masks, (-1, prompts, *masks.shape[1:])),
            "iou_pred": ops.reshape(iou_predictions, (-1, prompts, iou_predictions.shape[1])),
        }

    def _with_learned_tokens(self, sparse_embeddings: Any, sparse_mask: Any) -> tuple[Any, Any]:
        """Prepend the tokens for IoU, for masks, and for SAM-HQ's mask to the prompt tokens."""
        learned = [self.iou_token, self.mask_tokens]
        if self.high_quality is not None:
            learned.append(self.high_quality.token)
        learned = ops.cast(ops.concatenate(learned, axis=0), self.compute_dtype)
        return prepend_tokens(learned, sparse_embeddings, sparse_mask)

    def _mlp(self, name: str, hidden_dim: int, output_dim: int, num_layers: int) -> MLP:
        return MLP(
            hidden_dim, output_dim, num_layers=num_layers, dtype=self.dtype_policy, name=name
        )


def _check_arguments(decoder: SAMMaskDecoder) -> None:
    if decoder.hq_token_only and not decoder.early_feature_dim:
        raise ValueError("hq_token_only=True requires early_feature_dim > 0, as in SAM-HQ")
    if decoder.hidden_size % decoder.num_heads:
        raise ValueError(
            f"hidden_size must be a multiple of num_heads, got {decoder.hidden_size} and "
            f"{decoder.num_heads}"
        )
    if decoder.embedding_dim < 8:
        raise ValueError(f"embedding_dim must be at least 8, got {decoder.embedding_dim}")
    if decoder.num_multimask_outputs < 1:
        raise ValueError(
            "num_multimask_outputs must be at least 1, not counting mask 0; got "
            f"{decoder.num_multimask_outputs}"
        )
