"""`ViTDetBackbone`: the image encoder of SAM."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_sam.layers.neck import Neck
from keras_sam.layers.patch_embedding import PatchEmbedding
from keras_sam.layers.remat import call_with_remat
from keras_sam.layers.vit_block import ViTBlock
from keras_sam.models.backbone import Backbone
from keras_sam.models.normalize_images import check_image_shape, normalize_images


@keras.saving.register_keras_serializable(package="keras_sam")
class ViTDetBackbone(Backbone):
    """A vision transformer with windowed and global attention (arXiv 2203.16527).

    Takes images in [0, 1] and normalizes them in float32, with the mean and standard deviation
    of ImageNet.

    Args:
        hidden_size: Width `E` of the tokens.
        num_layers: Number of blocks.
        intermediate_dim: Hidden width of the blocks' MLP.
        num_heads: Number of attention heads. Divides `hidden_size`.
        global_attention_layer_indices: Indices of the blocks that attend to the whole grid.
            Indices beyond `num_layers` are ignored.
        image_shape: `(height, width, 3)` of the images; multiples of `patch_size`.
        patch_size: Side of a patch in pixels.
        num_output_channels: Width `D` of the image embedding.
        use_bias: If True, query, key and value are projected with a bias.
        use_abs_pos: If True, learned absolute position embeddings are added.
        use_rel_pos: If True, attention has the decomposed relative position bias.
        window_size: Side of an attention window in tokens. 0 makes every block global.
        layer_norm_epsilon: Epsilon of the blocks' layer norms.
        output_early_feature: If True, a call also returns the output of the first global block,
            which SAM-HQ needs.
        dtype: Keras dtype policy of all layers.

    Raises:
        ValueError: If a size is not divisible as described above.
    """

    def __init__(
        self,
        hidden_size: int,
        num_layers: int,
        intermediate_dim: int,
        num_heads: int,
        global_attention_layer_indices: Sequence[int],
        image_shape: tuple[int, int, int] = (1024, 1024, 3),
        patch_size: int = 16,
        num_output_channels: int = 256,
        use_bias: bool = True,
        use_abs_pos: bool = True,
        use_rel_pos: bool = True,
        window_size: int = 14,
        layer_norm_epsilon: float = 1e-6,
        output_early_feature: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_image_shape(image_shape, patch_size)
        if hidden_size % num_heads:
            raise ValueError(
                f"num_heads must divide hidden_size, got {num_heads} heads for {hidden_size}"
            )
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.intermediate_dim = intermediate_dim
        self.num_heads = num_heads
        self.global_attention_layer_indices = list(global_attention_layer_indices)
        self.image_shape = tuple(image_shape)
        self.patch_size = patch_size
        self.num_output_channels = num_output_channels
        self.use_bias = use_bias
        self.use_abs_pos = use_abs_pos
        self.use_rel_pos = use_rel_pos
        self.window_size = window_size
        self.layer_norm_epsilon = layer_norm_epsilon
        self.output_early_feature = output_early_feature
        self.remat = False  # see `set_trained_part`; not part of the config
        self.patch_embedding = PatchEmbedding(
            hidden_size, patch_size=patch_size, dtype=self.dtype_policy, name="patch_embedding"
        )
        self.blocks = [
            ViTBlock(
                num_heads,
                intermediate_dim,
                grid_size=self.embedding_size,
                hidden_size=hidden_size,
                window_size=0 if index in self.global_attention_layer_indices else window_size,
                use_bias=use_bias,
                use_rel_pos=use_rel_pos,
                layer_norm_epsilon=layer_norm_epsilon,
                dtype=self.dtype_policy,
                name=f"blocks_{index}",
            )
            for index in range(num_layers)
        ]
        self.first_global_block = self._find_first_global_block()
        self.neck = Neck(num_output_channels, dtype=self.dtype_policy, name="neck")
        self.build((None, *self.image_shape))

    @property
    def embedding_size(self) -> tuple[int, int]:
        """`(height, width)` of the embedding grid."""
        height, width, _ = self.image_shape
        return height // self.patch_size, width // self.patch_size

    @property
    def early_feature_dim(self) -> int:
        """Channels of the early feature; 0 without `output_early_feature`."""
        return self.hidden_size if self.output_early_feature else 0

    def build(self, input_shape: Any = None) -> None:
        if self.patch_embedding.built:
            return
        grid_shape = (None, *self.embedding_size, self.hidden_size)
        self.patch_embedding.build((None, *self.image_shape))
        if self.use_abs_pos:
            self.position_embedding = self.add_weight(
                name="position_embedding",
                shape=(1, *grid_shape[1:]),
                initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            )
        for block in self.blocks:
            block.build(grid_shape)
        self.neck.build(grid_shape)
        self.built = True

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Encode images.

        Args:
            images: Images `(B, H, W, 3)` in [0, 1].
            training: If True, `remat` has an effect.

        Returns:
            Image embeddings `(B, G, G, D)`. With `output_early_feature`, a dictionary with
            `image_embeddings` and `early_features` `(B, G, G, E)`.
        """
        images = normalize_images(images, image_shape=self.image_shape, dtype=self.compute_dtype)
        grid = self.patch_embedding(images)
        if self.use_abs_pos:
            grid = grid + ops.cast(self.position_embedding, self.compute_dtype)
        early_feature = None
        for index, block in enumerate(self.blocks):
            grid = call_with_remat(block, grid) if self.remat and training else block(grid)
            if index == self.first_global_block:
                early_feature = grid
        embeddings = self.neck(grid)
        if not self.output_early_feature:
            return embeddings
        return {"image_embeddings": embeddings, "early_features": early_feature}

    def _find_first_global_block(self) -> int | None:
        is_global = (block.window_size == 0 for block in self.blocks)
        first = next((index for index, found in enumerate(is_global) if found), None)
        if first is None and self.output_early_feature:
            raise ValueError(
                "output_early_feature needs a global block, got global_attention_layer_indices "
                f"{self.global_attention_layer_indices} of {self.num_layers} layers"
            )
        return first

    def get_config(self) -> dict[str, Any]:
        names = (
            "hidden_size",
            "num_layers",
            "intermediate_dim",
            "num_heads",
            "global_attention_layer_indices",
            "image_shape",
            "patch_size",
            "num_output_channels",
            "use_bias",
            "use_abs_pos",
            "use_rel_pos",
            "window_size",
            "layer_norm_epsilon",
            "output_early_feature",
        )
        return super().get_config() | {name: getattr(self, name) for name in names}
