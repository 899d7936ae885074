"""`SAMPromptEncoder`: from points, boxes and low-res masks to embeddings."""

import math
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_sam.layers.mask_downscaler import MaskDownscaler
from keras_sam.layers.prompts import Prompts, resolve_prompts
from keras_sam.point_labels import BACKGROUND, BOTTOM_RIGHT, NOT_A_POINT, PADDING, TOP_LEFT

EMBEDDINGS = (
    "background_point_embedding",
    "foreground_point_embedding",
    "top_left_corner_embedding",
    "bottom_right_corner_embedding",
    "not_a_point_embedding",
    "no_mask_embedding",
)


class PromptEmbeddings(NamedTuple):
    """Embeddings of P prompts per image, for the mask decoder.

    Attributes:
        sparse_embeddings: Tokens `(B, P, T, D)`, one per point and two per box.
        sparse_mask: Boolean `(B, P, T)`, False for padding.
        dense_embeddings: Mask embeddings `(B, P, G, G, D)`, or `None` without mask prompts.
    """

    sparse_embeddings: Any
    sparse_mask: Any
    dense_embeddings: Any


@keras.saving.register_keras_serializable(package="keras_sam")
class SAMPromptEncoder(keras.layers.Layer):
    """Prompt encoder of the Segment Anything Model (arXiv 2304.02643, section 3).

    A point is the sum of random Fourier features of its position and a learned embedding of its
    label. A box is two such tokens, one per corner. A mask is downscaled to the embedding grid and
    added to the image embedding. Positions are encoded in float32 for every dtype policy.

    Args:
        hidden_size: Width `D` of the embeddings, an even number.
        image_embedding_size: `(height, width)` of the embedding grid.
        input_image_size: `(height, width)` of the model frame in pixels.
        mask_in_channels: Number of channels in the mask downscaler, at least 4.
        activation: Name of a Keras activation, used in the mask downscaler.

    Raises:
        ValueError: If `hidden_size` is odd, or `mask_in_channels` is less than 4.
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
        if mask_in_channels < 4:
            raise ValueError(f"mask_in_channels must be at least 4, got {mask_in_channels}")
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

    def build(
        self,
        points_shape: Any = None,
        labels_shape: Any = None,
        boxes_shape: Any = None,
        masks_shape: Any = None,
    ) -> None:
        """Create the weights. Their shapes depend on the constructor's arguments alone."""
        # Without `autocast=False`, mixed policies would round the weights before they are used.
        self.positional_encoding_gaussian_matrix = self.add_weight(
            name="positional_encoding_gaussian_matrix",
            shape=(2, self.hidden_size // 2),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            trainable=False,
            autocast=False,
        )
        for name in EMBEDDINGS:
            weight = self.add_weight(
                name=name,
                shape=(1, self.hidden_size),
                initializer="random_normal",
                autocast=False,
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
        """Encode prompts. All arguments are optional, and follow `resolve_prompts`.

        Args:
            images: Images or image embeddings `(B, ...)`, of which only the batch size is used.
            points: Points `(B, N, 2)` or `(B, P, N, 2)`, (x, y) in pixels of the model frame.
            labels: Labels `(B, N)` or `(B, P, N)`: 1 foreground, 0 background, -1 not a point (a
                learned token), 2 and 3 top-left and bottom-right corner of a box, -10 padding.
            boxes: Box corners `(B, P, 2, 2)`, (x, y) in pixels of the model frame. NaN for
                prompts without a box.
            masks: Logits `(B, P, 4 G, 4 G, 1)`. NaN for prompts without a mask.

        Returns:
            Dictionary with `prompt_sparse_embeddings` `(B, T, D)`, `prompt_dense_embeddings`
            `(B, G, G, D)` and `prompt_dense_positional_embeddings` `(1, G, G, D)`. With P prompts
            per image, the first two have the axis `P` after `B`, and `prompt_sparse_mask`
            `(B, P, T)` is False for padding. Without the axis `P` there is no such mask, so
            labels must not contain padding.

        Raises:
            ValueError: If the shapes of the prompts are invalid.
        """
        prompts = resolve_prompts(
            images=images, points=points, labels=labels, boxes=boxes, masks=masks
        )
        inputs = [x for x in (images, points, labels, boxes, masks) if x is not None]
        batch_size = ops.shape(inputs[0])[0] if inputs else 1
        sparse, sparse_mask, dense = self.encode(prompts, batch_size=batch_size)
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
        """Encode resolved prompts.

        Args:
            prompts: Output of `resolve_prompts`.
            batch_size: Number B of images, used if there are no points and no boxes.

        Returns:
            Embeddings with an axis `P`.

        Raises:
            ValueError: If masks do not have four times the size of the embedding grid.
        """
        tokens = []
        if prompts.points is not None:
            tokens.append(self._encode_points(prompts.points, prompts.labels))
        if prompts.boxes is not None:
            tokens.append(self._encode_boxes(prompts.boxes))
        if not tokens:
            shape = (batch_size, prompts.count, 0)
            empty = ops.zeros((*shape, self.hidden_size), dtype=self.compute_dtype)
            tokens.append((empty, ops.ones(shape, dtype="bool")))
        sparse, sparse_mask = tokens[0]
        if len(tokens) > 1:
            sparse, sparse_mask = (
                ops.concatenate(parts, axis=2) for parts in zip(*tokens, strict=True)
            )
        dense = None if prompts.masks is None else self._encode_masks(prompts.masks)
        return PromptEmbeddings(sparse, sparse_mask, dense)

    def no_mask(self) -> Any:
        """Return the learned dense embedding `(1, 1, 1, 1, D)` of prompts without a mask."""
        embedding = ops.reshape(self.no_mask_embedding, (1, 1, 1, 1, self.hidden_size))
        return ops.cast(embedding, self.compute_dtype)

    def no_mask_embed(self, indices: Any) -> Any:
        """Look up the embedding of prompts without a mask, like keras-hub's layer of this name.

        Args:
            indices: Integers `(N,)`, all 0.

        Returns:
            Embeddings `(N, D)`.
        """
        return ops.cast(ops.take(self.no_mask_embedding, indices, axis=0), self.compute_dtype)

    def dense_positions(self) -> Any:
        """Encode the center of each cell of the embedding grid: `(1, G, G, D)`."""
        height, width = self.image_embedding_size
        y = (ops.arange(height, dtype="float32") + 0.5) / height
        x = (ops.arange(width, dtype="float32") + 0.5) / width
        grid_x, grid_y = ops.meshgrid(x, y)  # (G, G) each
        encoding = self._encode_positions(ops.stack([grid_x, grid_y], axis=-1))
        return ops.cast(encoding[None], self.compute_dtype)

    def _encode_points(self, points: Any, labels: Any) -> tuple[Any, Any]:
        """Encode points `(B, P, N, 2)` as tokens `(B, P, N, D)` and their mask `(B, P, N)`."""
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
        not_a_point = ops.cast(self.not_a_point_embedding, "float32")
        tokens = ops.where(labels == NOT_A_POINT, not_a_point, tokens)
        mask = labels != PADDING
        tokens = ops.where(mask, tokens, 0.0)
        return ops.cast(tokens, self.compute_dtype), mask[..., 0]

    def _encode_boxes(self, boxes: Any) -> tuple[Any, Any]:
        """Encode boxes `(B, P, 2, 2)` as tokens `(B, P, 2, D)` and their mask `(B, P, 2)`."""
        corners = ops.convert_to_tensor(boxes)
        no_box = ops.any(ops.isnan(ops.cast(corners, "float32")), axis=-1)
        labels = ops.where(no_box, PADDING, ops.array([TOP_LEFT, BOTTOM_RIGHT]))
        corners = ops.where(no_box[..., None], ops.zeros_like(corners), corners)
        return self._encode_points(corners, labels)

    def _encode_masks(self, masks: Any) -> Any:
        """Encode logits `(B, P, 4 G, 4 G, 1)` as dense embeddings `(B, P, G, G, D)`."""
        height, width = self.image_embedding_size
        count = ops.shape(masks)[1]
        expected = (4 * height, 4 * width, 1)
        if tuple(masks.shape[2:]) != expected:
            raise ValueError(
                "`masks` must be logits of four times the embedding grid, with shape "
                f"(B, P, {', '.join(map(str, expected))}); got {tuple(masks.shape)}"
            )
        masks = ops.cast(masks, self.compute_dtype)
        no_mask = ops.any(ops.isnan(masks), axis=(2, 3, 4), keepdims=True)  # (B, P, 1, 1, 1)
        masks = ops.where(no_mask, ops.zeros_like(masks), masks)
        dense = self.mask_downscaler(ops.reshape(masks, (-1, *expected)))
        dense = ops.reshape(dense, (-1, count, height, width, self.hidden_size))
        return ops.where(no_mask, self.no_mask(), dense)

    def _encode_positions(self, positions: Any) -> Any:
        """Random Fourier features `(..., D)` of positions `(..., 2)` in [0, 1], in float32."""
        matrix = ops.cast(self.positional_encoding_gaussian_matrix, "float32")
        angles = 2.0 * math.pi * _matmul_exactly(2.0 * positions - 1.0, matrix)
        return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)


def _matmul_exactly(positions: Any, matrix: Any) -> Any:
    """`positions @ matrix` without a matrix product, which accelerators may round to TF32."""
    return positions[..., :1] * matrix[0] + positions[..., 1:] * matrix[1]
