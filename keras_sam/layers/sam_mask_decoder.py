"""`SAMMaskDecoder`: image and prompt embeddings to masks."""

from typing import Any

import keras
from keras import ops

from keras_sam.layers.high_quality_branch import HighQualityBranch
from keras_sam.layers.mask_upscaler import MaskUpscaler, pixels_to_grid, pixels_to_masks
from keras_sam.layers.mlp import MLP
from keras_sam.layers.two_way_transformer import DecoderImageCache, TwoWayTransformer

# Which masks `multimask_output` asks for: all, those of an ambiguous prompt, or the single one.
MASK_SLICES = {None: slice(None), True: slice(1, None), False: slice(0, 1)}


@keras.saving.register_keras_serializable(package="keras_sam")
class SAMMaskDecoder(keras.layers.Layer):
    """Predicts masks and their quality (arXiv 2304.02643, section 3 and appendix A).

    The work falls into two parts: `decoder_cache`, once for an image, and `decode`, for each
    prompt. Calling the layer does both.

    Args:
        hidden_size: width `D` of the transformer; must equal `embedding_dim`.
        num_layers: blocks of the two-way transformer.
        intermediate_dim: hidden width of its MLPs.
        num_heads: heads of its attentions.
        embedding_dim: width of the learned tokens; a multiple of 8.
        num_multimask_outputs: masks for an ambiguous prompt, at least 1. One more is predicted:
            mask 0, for prompts that are not ambiguous.
        iou_head_depth: dense layers of the head that predicts IoU.
        iou_head_hidden_dim: their hidden width.
        activation: activation of the mask upscaler.
        early_feature_dim: width `E` of the image encoder's early feature, with which the decoder
            is that of SAM-HQ; 0 for SAM's. Image embeddings end in the early feature then:
            `(B, G, G, D + E)`.
        hq_token_only: whether the masks of SAM-HQ are drawn by its own token alone, all alike,
            rather than added to those of SAM.
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
        if hq_token_only and not early_feature_dim:
            raise ValueError("hq_token_only=True needs early_feature_dim, as in SAM-HQ")
        if hidden_size != embedding_dim:
            raise ValueError(
                "the transformer works on the learned tokens, so hidden_size must equal "
                f"embedding_dim; got {hidden_size} and {embedding_dim}"
            )
        if hidden_size % num_heads or embedding_dim % 8:
            raise ValueError(
                f"hidden_size {hidden_size} must be a multiple of num_heads {num_heads} and of 8"
            )
        if num_multimask_outputs < 1:
            raise ValueError(
                "num_multimask_outputs must be 1 or more (mask 0 comes beside them), got "
                f"{num_multimask_outputs}"
            )
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
        self.transformer = TwoWayTransformer(
            num_layers,
            hidden_size,
            num_heads,
            intermediate_dim,
            dtype=self.dtype_policy,
            name="transformer",
        )
        self.upscaler = MaskUpscaler(
            embedding_dim // 4,
            embedding_dim // 8,
            activation=activation,
            dtype=self.dtype_policy,
            name="upscaler",
        )
        self.hypernetworks = [
            MLP(
                embedding_dim,
                embedding_dim // 8,
                num_layers=3,
                dtype=self.dtype_policy,
                name=f"hypernetworks_{index}",
            )
            for index in range(self.num_mask_tokens)
        ]
        self.iou_head = MLP(
            iou_head_hidden_dim,
            self.num_mask_tokens,
            num_layers=iou_head_depth,
            dtype=self.dtype_policy,
            name="iou_head",
        )
        self.high_quality: HighQualityBranch | None = None
        if early_feature_dim:
            self.high_quality = HighQualityBranch(
                embedding_dim,
                early_feature_dim,
                activation=activation,
                dtype=self.dtype_policy,
                name="high_quality",
            )

    @property
    def num_mask_tokens(self) -> int:
        """Number `M` of masks predicted for a prompt."""
        return self.num_multimask_outputs + 1

    def build(self, input_shape: Any = None) -> None:
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
        names = (
            "hidden_size",
            "num_layers",
            "intermediate_dim",
            "num_heads",
            "embedding_dim",
            "num_multimask_outputs",
            "iou_head_depth",
            "iou_head_hidden_dim",
            "activation",
            "early_feature_dim",
            "hq_token_only",
        )
        return super().get_config() | {name: getattr(self, name) for name in names}

    def call(
        self,
        image_embeddings: Any,
        prompt_dense_positional_embeddings: Any,
        prompt_sparse_embeddings: Any,
        prompt_dense_embeddings: Any,
        prompt_sparse_mask: Any = None,
        early_features: Any = None,
    ) -> dict[str, Any]:
        """Decode the outputs of `SAMBackbone`.

        Args:
            image_embeddings: `(B, G, G, D)`.
            prompt_dense_positional_embeddings: `(1, G, G, D)`.
            prompt_sparse_embeddings: `(B, T, D)` or `(B, P, T, D)`.
            prompt_dense_embeddings: `(B, G, G, D)` or `(B, P, G, G, D)`.
            prompt_sparse_mask: boolean `(B, T)` or `(B, P, T)`, false for padding, or `None`.
            early_features: `(B, G, G, E)` of the image encoder, with SAM-HQ.

        Returns:
            `masks`, logits `(B, M, L, L)` or `(B, P, M, L, L)` with `L = 4 G`, and `iou_pred`
            `(B, M)` or `(B, P, M)`.
        """
        sparse, dense = prompt_sparse_embeddings, prompt_dense_embeddings
        has_prompt_axis = len(sparse.shape) == 4
        if not has_prompt_axis:
            sparse, dense = sparse[:, None], dense[:, None]
            if prompt_sparse_mask is not None:
                prompt_sparse_mask = prompt_sparse_mask[:, None]
        outputs = self.decode_with_mask_prompts(
            image_embeddings,
            prompt_dense_positional_embeddings,
            dense,
            sparse,
            prompt_sparse_mask,
            early_features=early_features,
        )
        if not has_prompt_axis:
            outputs = {name: output[:, 0] for name, output in outputs.items()}
        return outputs

    def decode_with_mask_prompts(
        self,
        image_embeddings: Any,
        positions: Any,
        dense: Any,
        sparse: Any,
        sparse_mask: Any = None,
        *,
        early_features: Any = None,
        multimask_output: bool | None = None,
    ) -> dict[str, Any]:
        """`decode` where each prompt has a dense embedding `(B, P, G, G, D)` of its own."""
        # Tokens that are learned come first: without sparse prompts there would be none to count.
        tokens, token_mask = self._with_output_tokens(sparse, sparse_mask)
        _, prompts, length, _ = ops.shape(tokens)
        features = self.decoder_cache(image_embeddings, positions, dense, early_features)
        tokens, keys = self.transformer(
            features,
            ops.reshape(tokens, (-1, 1, length, self.embedding_dim)),
            None if token_mask is None else ops.reshape(token_mask, (-1, 1, length)),
        )
        return self._outputs(
            tokens,
            keys,
            features,
            prompts=prompts,
            grid_size=tuple(image_embeddings.shape[1:3]),
            multimask_output=multimask_output,
        )

    def decoder_cache(
        self, image_embeddings: Any, positions: Any, dense: Any, early_features: Any = None
    ) -> DecoderImageCache:
        """The work that depends on the image and its dense prompt alone.

        Args:
            image_embeddings: `(B, G, G, D)`.
            positions: `(1, G, G, D)`.
            dense: `(1, 1, 1, 1, D)` or `(B, P, G, G, D)`, added to the embedding.
            early_features: `(B, G, G, E)`, with SAM-HQ.

        Returns:
            Features of `B` images, or of `B * P` where each prompt has its own dense embedding;
            `hq_features` is of `B` images always.
        """
        hq_features = None
        if self.high_quality is not None:
            if early_features is None:
                raise ValueError("a SAM-HQ decoder needs early_features of the image encoder")
            hq_features = self.high_quality.hq_features(image_embeddings, early_features)
        keys = image_embeddings[:, None] + dense  # (B, P, G, G, D)
        tokens = image_embeddings.shape[1] * image_embeddings.shape[2]
        keys = ops.reshape(keys, (-1, tokens, self.hidden_size))
        positions = ops.reshape(positions, (1, tokens, self.hidden_size))
        features = self.transformer.blocks[0].decoder_cache(keys, positions)
        return features._replace(hq_features=hq_features)

    def decode(
        self,
        features: DecoderImageCache,
        sparse: Any,
        sparse_mask: Any = None,
        *,
        grid_size: tuple[int, int],
        multimask_output: bool | None = None,
    ) -> dict[str, Any]:
        """Masks of P prompts for each image.

        Args:
            features: of `B` images, each shared by its prompts.
            sparse: `(B, P, T, D)`.
            sparse_mask: boolean `(B, P, T)`, or `None`.
            grid_size: `(height, width)` of the embedding grid.
            multimask_output: `True` for masks 1 and up, `False` for mask 0, `None` for all.

        Returns:
            `masks` `(B, P, M, L, L)` and `iou_pred` `(B, P, M)`.
        """
        tokens, keys = self.run_transformer(features, sparse, sparse_mask)
        return self._outputs(
            tokens,
            keys,
            features,
            prompts=ops.shape(sparse)[1],
            grid_size=grid_size,
            multimask_output=multimask_output,
        )

    def run_transformer(
        self, features: DecoderImageCache, sparse: Any, sparse_mask: Any = None
    ) -> tuple[Any, Any]:
        """The first step of `decode`: prompts and image attend to each other.

        Returns:
            Tokens `(B * P, 1 + M + T, D)`, which `rate` and `draw` take, and image tokens
            `(B * P, G * G, D)`.
        """
        return self.transformer(features, *self._with_output_tokens(sparse, sparse_mask))

    def predict_iou(self, tokens: Any, *, multimask_output: bool | None = None) -> Any:
        """IoU predictions `(B * P, M)` for the tokens of `attend`; no mask is needed."""
        return self.iou_head(tokens[:, 0])[:, MASK_SLICES[multimask_output]]

    def predict_masks(
        self,
        tokens: Any,
        keys: Any,
        hq_features: Any = None,
        *,
        prompts: Any,
        grid_size: tuple[int, int],
        multimask_output: bool | None = None,
    ) -> Any:
        """Masks for the tokens of `attend`, or of some of its prompts.

        Args:
            tokens: `(B * P, 1 + M + T, D)`.
            keys: `(B * P, G * G, D)`.
            hq_features: `(B, L, L, D / 8)` of the image's features, with SAM-HQ.
            prompts: the number P.
            grid_size: as `decode`.
            multimask_output: as `decode`.

        Returns:
            Logits `(B * P, M, L, L)`.
        """
        # Upscale the image tokens, and weigh their channels for each mask.
        pixels = self.upscaler(keys)  # (B * P, T * 16, D / 8)
        indices = range(self.num_mask_tokens)[MASK_SLICES[multimask_output]]
        weights = [self.hypernetworks[index](tokens[:, 1 + index]) for index in indices]
        masks = ops.matmul(ops.stack(weights, axis=1), ops.swapaxes(pixels, 1, 2))
        masks = pixels_to_masks(masks, grid_size)
        if self.high_quality is None:
            return masks
        own = self.high_quality(
            tokens[:, 1 + self.num_mask_tokens],
            pixels_to_grid(pixels, grid_size),
            hq_features,
            prompts=prompts,
        )
        return ops.broadcast_to(own, ops.shape(masks)) if self.hq_token_only else masks + own

    def _outputs(
        self,
        tokens: Any,
        keys: Any,
        features: DecoderImageCache,
        *,
        prompts: Any,
        grid_size: tuple[int, int],
        multimask_output: bool | None,
    ) -> dict[str, Any]:
        masks = self.predict_masks(
            tokens,
            keys,
            features.hq_features,
            prompts=prompts,
            grid_size=grid_size,
            multimask_output=multimask_output,
        )
        ratings = self.predict_iou(tokens, multimask_output=multimask_output)
        return {
            "masks": ops.reshape(masks, (-1, prompts, *masks.shape[1:])),
            "iou_pred": ops.reshape(ratings, (-1, prompts, ratings.shape[1])),
        }

    def _with_output_tokens(self, sparse: Any, sparse_mask: Any) -> tuple[Any, Any]:
        """Puts the learned IoU and mask tokens, and that of SAM-HQ, before those of the prompts."""
        images, prompts = ops.shape(sparse)[:2]
        learned = [self.iou_token, self.mask_tokens]
        if self.high_quality is not None:
            learned.append(self.high_quality.token)
        learned = ops.concatenate(learned, axis=0)
        count = learned.shape[0]
        learned = ops.cast(learned, self.compute_dtype)[None, None]
        shape = (images, prompts, count)
        learned = ops.broadcast_to(learned, (*shape, self.embedding_dim))
        tokens = ops.concatenate([learned, sparse], axis=2)
        if sparse_mask is not None:
            seen = ops.ones(shape, dtype="bool")
            sparse_mask = ops.concatenate([seen, ops.cast(sparse_mask, "bool")], axis=2)
        return tokens, sparse_mask
