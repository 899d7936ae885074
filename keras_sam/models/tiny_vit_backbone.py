"""`TinyViTBackbone`: the image encoder of MobileSAM."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_sam.layers.convolutional_stem import ConvolutionalStem
from keras_sam.layers.mbconv import MBConv
from keras_sam.layers.neck import Neck
from keras_sam.layers.patch_merging import PatchMerging
from keras_sam.layers.remat import call_with_remat
from keras_sam.layers.tiny_vit_block import TinyViTBlock
from keras_sam.models.backbone import Backbone
from keras_sam.models.normalize_images import check_image_shape, normalize_images

PATCH_SIZE = 16  # pixels: 4 of the stem, 2 of each merging but the last
MERGING_STRIDES = (2, 2, 1)  # where TinyViT as a classifier has 2, 2, 2
EARLY_LAYER = "stages_1_merging"


@keras.saving.register_keras_serializable(package="keras_sam")
class TinyViTBackbone(Backbone):
    """TinyViT (arXiv 2207.10666) with the changes and default sizes of MobileSAM (2306.14289).

    It has four stages. The first consists of convolutions, with a token per 4 x 4 pixels. The
    others have attention in windows, with a token per 8 x 8, 16 x 16 and 16 x 16 pixels. Images
    in [0, 1] are normalized in float32, with the mean and standard deviation of ImageNet. No
    weight depends on the image size.

    Args:
        hidden_sizes: Width of the tokens in each of the four stages.
        depths: Number of blocks in each of the four stages.
        num_heads: Number of attention heads in each of the last three stages. Divides the width.
        window_sizes: Side of an attention window in tokens, in each of the last three stages.
        mlp_ratio: Hidden width of the blocks' MLP, as a multiple of the tokens' width.
        mbconv_expansion: Hidden width of the first stage's blocks, as a multiple of its width.
        image_shape: `(height, width, 3)` of the images; multiples of 16.
        num_output_channels: Width `D` of the image embedding.
        use_batch_norm: If True, batch norms follow the convolutions. If False, the convolutions
            have biases instead, as after folding a trained model.
        output_early_feature: If True, a call also returns the input of the third stage, which
            SAM-HQ needs.
        dtype: Keras dtype policy of all layers.

    Raises:
        ValueError: If a width is not divisible, or the number of stages is wrong.
    """

    def __init__(
        self,
        hidden_sizes: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (4, 5, 10),
        window_sizes: Sequence[int] = (7, 14, 7),
        mlp_ratio: int = 4,
        mbconv_expansion: int = 4,
        image_shape: tuple[int, int, int] = (1024, 1024, 3),
        num_output_channels: int = 256,
        use_batch_norm: bool = True,
        output_early_feature: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_image_shape(image_shape, PATCH_SIZE)
        self.hidden_sizes = list(hidden_sizes)
        self.depths = list(depths)
        self.num_heads = list(num_heads)
        self.window_sizes = list(window_sizes)
        self.mlp_ratio = mlp_ratio
        self.mbconv_expansion = mbconv_expansion
        self.image_shape = tuple(image_shape)
        self.num_output_channels = num_output_channels
        self.use_batch_norm = use_batch_norm
        self.output_early_feature = output_early_feature
        self.remat = False  # see `set_trained_part`; not part of the config
        _check_stages(self)
        self.patch_embedding = ConvolutionalStem(
            self.hidden_sizes[0],
            use_batch_norm=use_batch_norm,
            dtype=self.dtype_policy,
            name="patch_embedding",
        )
        self.blocks = [block for stage in range(4) for block in self._stage(stage)]
        self.neck = Neck(num_output_channels, dtype=self.dtype_policy, name="neck")
        self.build((None, *self.image_shape))

    @property
    def embedding_size(self) -> tuple[int, int]:
        """`(height, width)` of the embedding grid."""
        height, width, _ = self.image_shape
        return height // PATCH_SIZE, width // PATCH_SIZE

    @property
    def early_feature_dim(self) -> int:
        """Channels of the early feature; 0 without `output_early_feature`."""
        return self.hidden_sizes[2] if self.output_early_feature else 0

    def _stage(self, stage: int) -> list[keras.layers.Layer]:
        """Return the blocks of a stage and the merging to the next one."""
        layers = [self._block(stage, index) for index in range(self.depths[stage])]
        if stage < len(MERGING_STRIDES):
            merging = PatchMerging(
                self.hidden_sizes[stage + 1],
                strides=MERGING_STRIDES[stage],
                use_batch_norm=self.use_batch_norm,
                dtype=self.dtype_policy,
                name=f"stages_{stage}_merging",
            )
            layers.append(merging)
        return layers

    def _block(self, stage: int, index: int) -> keras.layers.Layer:
        width = self.hidden_sizes[stage]
        settings = {
            "use_batch_norm": self.use_batch_norm,
            "dtype": self.dtype_policy,
            "name": f"stages_{stage}_blocks_{index}",
        }
        if stage == 0:
            return MBConv(width, expansion=self.mbconv_expansion, **settings)
        return TinyViTBlock(
            self.num_heads[stage - 1],
            width * self.mlp_ratio,
            hidden_size=width,
            window_size=self.window_sizes[stage - 1],
            **settings,
        )

    def build(self, input_shape: Any = None) -> None:
        if self.patch_embedding.built:
            return
        self.patch_embedding.build((None, *self.image_shape))
        sides, channels = [side // 4 for side in self.image_shape[:2]], self.hidden_sizes[0]
        for layer in self.blocks:
            layer.build((None, *sides, channels))
            if isinstance(layer, PatchMerging):
                sides, channels = [side // layer.strides for side in sides], layer.output_dim
        self.neck.build((None, *sides, channels))
        self.built = True

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Encode images.

        Args:
            images: Images `(B, H, W, 3)` in [0, 1].
            training: If True, batch norms use the statistics of the batch and update their own.

        Returns:
            Image embeddings `(B, H / 16, W / 16, D)`. With `output_early_feature`, a dictionary
            with `image_embeddings` and `early_features`.
        """
        images = normalize_images(images, image_shape=self.image_shape, dtype=self.compute_dtype)
        grid = early = self.patch_embedding(images, training=training)
        for layer in self.blocks:
            if self.remat and training:
                grid = call_with_remat(layer, grid, training=training)
            else:
                grid = layer(grid, training=training)
            if layer.name == EARLY_LAYER:
                early = grid
        embeddings = self.neck(grid)
        if self.output_early_feature:
            return {"image_embeddings": embeddings, "early_features": early}
        return embeddings

    def get_config(self) -> dict[str, Any]:
        names = (
            "hidden_sizes",
            "depths",
            "num_heads",
            "window_sizes",
            "mlp_ratio",
            "mbconv_expansion",
            "image_shape",
            "num_output_channels",
            "use_batch_norm",
            "output_early_feature",
        )
        return super().get_config() | {name: getattr(self, name) for name in names}


def _check_stages(backbone: TinyViTBackbone) -> None:
    for name, count in (("hidden_sizes", 4), ("depths", 4), ("num_heads", 3), ("window_sizes", 3)):
        values = getattr(backbone, name)
        if len(values) != count or any(value < 1 for value in values):
            what = "stages" if count == 4 else "last three stages, which have attention"
            raise ValueError(
                f"{name} must be {count} positive numbers for the {what}, got {values}"
            )
    if backbone.hidden_sizes[0] % 2:
        raise ValueError(f"the first of hidden_sizes must be even, got {backbone.hidden_sizes}")
    for heads, width in zip(backbone.num_heads, backbone.hidden_sizes[1:], strict=True):
        if width % heads:
            raise ValueError(f"num_heads must divide hidden_sizes, got {heads} heads for {width}")
