"""`SAMPromptEncoder`: clicks, boxes and rough masks to embeddings."""

import math
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_sam.layers.mask_downscaler import MaskDownscaler
from keras_sam.layers.prompts import (
    BACKGROUND,
    BOTTOM_RIGHT,
    NOT_A_POINT,
    PADDING,
    TOP_LEFT,
    Prompts,
    resolve_prompts,
)


class PromptEmbeddings(NamedTuple):
    """What the mask decoder takes of the prompts.

    Attributes:
        sparse: `(B, P, T, D)`, a token for each point and two for each box.
        sparse_mask: `(B, P, T)` boolean, false where a token only pads.
        dense: `(B, P, G, G, D)`, or `None` when no prompt has a mask.
    """

    sparse: Any
    sparse_mask: Any
    dense: Any


@keras.saving.register_keras_serializable(package="keras_sam")
class SAMPromptEncoder(keras.layers.Layer):
    """Encodes the prompts of the Segment Anything Model (arXiv 2304.02643, section 3).

    A point is the sum of the random Fourier features of its place and a learned embedding of
    its label; a box is two such tokens, one for each corner; a mask is downscaled to the
    embedding grid and added to the image embedding. Positions are encoded in float32 under any
    dtype policy.

    Args:
        hidden_size: width `D` of the embeddings; an even number.
        image_embedding_size: `(height, width)` of the embedding grid.
        input_image_size: `(height, width)` of the model frame in pixels.
        mask_in_channels: channels of the downscaled mask; a multiple of 4.
        activation: activation of the mask downscaler.
    """

    def __init__(
        self,
        *,
        hidden_size: int = 256,
        image_embedding_size: tuple[int, int] = (64, 64),
        input_image_size: tuple[int, int] = (1024, 1024),
        mask_in_channels: int = 16,
        activation: str = "gelu",
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if hidden_size % 2:
            raise ValueError(f"hidden_size must be even, got {hidden_size}")
        if mask_in_channels % 4:
            raise ValueError(f"mask_in_channels must be a multiple of 4, got {mask_in_channels}")
        self.hidden_size = hidden_size
        self.image_embedding_size = tuple(image_embedding_size)
        self.input_image_size = tuple(input_image_size)
        self.mask_in_channels = mask_in_channels
        self.activation = activation
        self.mask_downscaler = MaskDownscaler(
            hidden_size,
            mask_in_channels=mask_in_channels,
            activation=activation,
            dtype=self.dtype_policy,
            name="mask_downscaler",
        )

    def build(self, input_shape: Any = None) -> None:
        self.positional_encoding_gaussian_matrix = self.add_weight(
            name="positional_encoding_gaussian_matrix",
            shape=(2, self.hidden_size // 2),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            trainable=False,
        )
        for name in (
            "background_point_embedding",
            "foreground_point_embedding",
            "top_left_corner_embedding",
            "bottom_right_corner_embedding",
            "not_a_point_embedding",
            "no_mask_embedding",
        ):
            weight = self.add_weight(
                name=name, shape=(1, self.hidden_size), initializer="random_normal"
            )
            setattr(self, name, weight)
        height, width = self.image_embedding_size
        self.mask_downscaler.build((None, 4 * height, 4 * width, 1))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        names = ("hidden_size", "image_embedding_size", "input_image_size", "mask_in_channels")
        return config | {name: getattr(self, name) for name in (*names, "activation")}

    def call(
        self,
        images: Any = None,
        points: Any = None,
        labels: Any = None,
        boxes: Any = None,
        masks: Any = None,
    ) -> dict[str, Any]:
        """Encodes prompts given in either form of `resolve_prompts`; any may be left out.

        Args:
            images: tensor `(B, ...)` of which only the batch size is read, or `None`.
            points: `(B, N, 2)` or `(B, P, N, 2)`, pixels (x, y) of the model frame.
            labels: `(B, N)` or `(B, P, N)`: 1 foreground, 0 background, -1 not a point (a
                learned token), 2 and 3 the corners of a box, -10 padding.
            boxes: `(B, P, 2, 2)`, corners (x, y); NaN where a prompt has no box.
            masks: `(B, P, H, W, 1)`, logits of four times the embedding grid; NaN where a
                prompt has no mask.

        Returns:
            `prompt_sparse_embeddings` `(B, T, D)`, `prompt_dense_embeddings` `(B, G, G, D)` and
            `prompt_dense_positional_embeddings` `(1, G, G, D)`. With P prompts for each image
            the first two have the axis `P` behind `B`, and `prompt_sparse_mask` `(B, P, T)`
            tells tokens from padding.
        """
        prompts = resolve_prompts(
            images=images, points=points, labels=labels, boxes=boxes, masks=masks
        )
        given = [x for x in (images, points, labels, boxes, masks) if x is not None]
        embeddings = self.encode(prompts, batch_size=ops.shape(given[0])[0] if given else 1)
        sparse, sparse_mask, dense = embeddings
        if dense is None:
            shape = (*ops.shape(sparse)[:2], *self.image_embedding_size)
            dense = ops.broadcast_to(self.no_mask(), (*shape, self.hidden_size))
        if not prompts.has_prompt_axis:
            sparse, dense = sparse[:, 0], dense[:, 0]
        outputs = {
            "prompt_sparse_embeddings": sparse,
            "prompt_dense_embeddings": dense,
            "prompt_dense_positional_embeddings": self.dense_positions(),
        }
        if prompts.has_prompt_axis:
            outputs["prompt_sparse_mask"] = sparse_mask
        return outputs

    def encode(self, prompts: Prompts, *, batch_size: Any) -> PromptEmbeddings:
        """Encodes resolved prompts; `batch_size` is used where there is no point and no box."""
        tokens, masks = [], []
        if prompts.points is not None:
            token, mask = self._encode_points(prompts.points, prompts.labels)
            tokens.append(token)
            masks.append(mask)
        if prompts.boxes is not None:
            corners = ops.convert_to_tensor(prompts.boxes)
            no_box = ops.any(ops.isnan(ops.cast(corners, "float32")), axis=-1)
            corner_labels = ops.where(no_box, PADDING, ops.array([TOP_LEFT, BOTTOM_RIGHT]))
            corners = ops.where(no_box[..., None], ops.zeros_like(corners), corners)
            token, mask = self._encode_points(corners, corner_labels)
            tokens.append(token)
            masks.append(mask)
        if not tokens:
            shape = (batch_size, prompts.count, 0)
            tokens = [ops.zeros((*shape, self.hidden_size), dtype=self.compute_dtype)]
            masks = [ops.ones(shape, dtype="bool")]
        if len(tokens) == 1:
            sparse, sparse_mask = tokens[0], masks[0]
        else:
            sparse = ops.concatenate(tokens, axis=2)
            sparse_mask = ops.concatenate(masks, axis=2)
        dense = None if prompts.masks is None else self._encode_masks(prompts.masks)
        return PromptEmbeddings(sparse, sparse_mask, dense)

    def no_mask(self) -> Any:
        """The embedding `(1, 1, 1, 1, D)` that stands for a mask where there is none."""
        embedding = ops.reshape(self.no_mask_embedding, (1, 1, 1, 1, self.hidden_size))
        return ops.cast(embedding, self.compute_dtype)

    def dense_positions(self) -> Any:
        """The encoding `(1, G, G, D)` of the center of each cell of the embedding grid."""
        height, width = self.image_embedding_size
        y = (ops.arange(height, dtype="float32") + 0.5) / height
        x = (ops.arange(width, dtype="float32") + 0.5) / width
        grid_x, grid_y = ops.meshgrid(x, y)  # (G, G) each
        encoding = self._encode_positions(ops.stack([grid_x, grid_y], axis=-1))
        return ops.cast(encoding[None], self.compute_dtype)

    def _encode_points(self, points: Any, labels: Any) -> tuple[Any, Any]:
        """`(B, P, N, 2)` and `(B, P, N)` to tokens `(B, P, N, D)` and their mask."""
        height, width = self.input_image_size
        size = ops.array([width, height], dtype="float32")
        pixels = ops.cast(points, "float32") + 0.5  # shift to pixel center
        encoding = self._encode_positions(pixels / size)
        labels = ops.cast(labels, "int32")[..., None]
        embedding = ops.cast(self.foreground_point_embedding, "float32")
        for label, weight in (
            (BACKGROUND, self.background_point_embedding),
            (TOP_LEFT, self.top_left_corner_embedding),
            (BOTTOM_RIGHT, self.bottom_right_corner_embedding),
        ):
            embedding = ops.where(labels == label, ops.cast(weight, "float32"), embedding)
        tokens = encoding + embedding
        no_place = ops.cast(self.not_a_point_embedding, "float32")
        tokens = ops.where(labels == NOT_A_POINT, no_place, tokens)
        mask = labels != PADDING
        tokens = ops.where(mask, tokens, 0.0)
        return ops.cast(tokens, self.compute_dtype), mask[..., 0]

    def _encode_masks(self, masks: Any) -> Any:
        """`(B, P, H, W, 1)` logits to `(B, P, G, G, D)`."""
        height, width = self.image_embedding_size
        count = ops.shape(masks)[1]
        expected = (4 * height, 4 * width, 1)
        if tuple(masks.shape[2:]) != expected:
            raise ValueError(
                "`masks` are logits of four times the embedding grid: expected shape "
                f"{('B', 'P', *expected)}, got {tuple(masks.shape)}"
            )
        masks = ops.cast(masks, self.compute_dtype)
        no_mask = ops.any(ops.isnan(masks), axis=(2, 3, 4), keepdims=True)  # (B, P, 1, 1, 1)
        masks = ops.where(no_mask, ops.zeros_like(masks), masks)
        dense = self.mask_downscaler(ops.reshape(masks, (-1, *expected)))
        dense = ops.reshape(dense, (-1, count, height, width, self.hidden_size))
        return ops.where(no_mask, self.no_mask(), dense)

    def _encode_positions(self, positions: Any) -> Any:
        """Random Fourier features `(..., D)` of places `(..., 2)` in 0..1, in float32."""
        matrix = ops.cast(self.positional_encoding_gaussian_matrix, "float32")
        angles = 2.0 * math.pi * _matmul_exactly(2.0 * positions - 1.0, matrix)
        return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)


def _matmul_exactly(positions: Any, matrix: Any) -> Any:
    """`positions @ matrix` as two products: an accelerator's matrix unit would round to TF32."""
    return positions[..., :1] * matrix[0] + positions[..., 1:] * matrix[1]
