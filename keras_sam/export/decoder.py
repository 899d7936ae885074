"""`decode_prompts`, `select_best_mask`: the mask decoder of exported files."""

from typing import Any

from keras import ops

from keras_sam.export.frame import Frame
from keras_sam.layers.prompts import Prompts
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.point_labels import PADDING

# Meta's rule for one mask per prompt: from three points on, mask 0, else the best of the others.
AMBIGUOUS_POINTS, PENALTY = 2.5, 1000.0


def decode_prompts(
    model: SAMImageSegmenter,
    frame: Frame,
    *,
    image_embeddings: Any,
    point_coords: Any,
    point_labels: Any,
    interm_embeddings: Any = None,
    positions: Any = None,
    mask_input: Any = None,
    has_mask_input: Any = None,
    multimask_output: bool | None = None,
) -> tuple[Any, Any]:
    """Predict the masks of P prompts per image.

    Args:
        model: Model to export.
        frame: Frame of the points and masks.
        image_embeddings: Image embeddings `(B, D, G, G)`.
        point_coords: Points `(B, P, N, 2)` (x, y) in the frame.
        point_labels: Labels `(B, P, N)`, see `SAMPromptEncoder.call`.
        interm_embeddings: Early features `(1, B, G, G, E)`, for SAM-HQ.
        positions: Positional encoding of the grid `(1, D, G, G)`. Defaults to the model's.
        mask_input: Low-res logits `(1, 1, L, L)` of one mask for all prompts, or `None`.
        has_mask_input: Weight `(1,)` of `mask_input` in [0, 1]. Values beyond are clipped, since
            osam uses -1 for no mask.
        multimask_output: See `SAMImageSegmenter.decode`.

    Returns:
        Low-res logits `(B, P, M, L, L)` and predicted IoU `(B, P, M)`.
    """
    encoder, decoder = model.backbone.prompt_encoder, model.backbone.mask_decoder
    points = frame.shrink_points(point_coords)
    prompts = Prompts(points, point_labels, None, None, ops.shape(points)[1], True)
    sparse, sparse_mask, _ = encoder.encode(prompts, batch_size=ops.shape(points)[0])
    dense = encoder.no_mask()
    if mask_input is not None:
        masks = frame.shrink_masks(ops.transpose(mask_input, (0, 2, 3, 1)))
        weight = ops.clip(has_mask_input, 0.0, 1.0)[0]
        dense = weight * encoder.mask_downscaler(masks)[:, None] + (1.0 - weight) * dense
    if positions is None:
        positions = encoder.dense_positions()
    else:
        positions = ops.transpose(positions, (0, 2, 3, 1))
    cache = decoder.decoder_cache(
        ops.transpose(image_embeddings, (0, 2, 3, 1)),
        positions,
        dense,
        None if interm_embeddings is None else interm_embeddings[0],
    )
    outputs = decoder.decode(
        cache,
        sparse,
        sparse_mask,
        grid_size=model.backbone.embedding_size,
        multimask_output=multimask_output,
    )
    return frame.grow_masks(outputs["masks"]), outputs["iou_pred"]


def select_best_mask(masks: Any, iou_predictions: Any, point_labels: Any) -> tuple[Any, Any]:
    """Select one mask per prompt by Meta's rule (segment_anything/utils/onnx.py).

    Args:
        masks: Logits `(P, M, L, L)`, mask 0 first.
        iou_predictions: Predicted IoU `(P, M)`.
        point_labels: Labels `(P, N)`. Meta counts all points, including the one that replaces a
            missing box; padding is not counted.

    Returns:
        Logits `(P, 1, L, L)` and predicted IoU `(P, 1)`.
    """
    num_masks = iou_predictions.shape[1]
    is_point = ops.cast(ops.cast(point_labels, "int32") != PADDING, "float32")
    num_points = ops.sum(is_point, axis=1, keepdims=True)  # (P, 1)
    is_first = ops.array([1.0] + [0.0] * (num_masks - 1), "float32")
    scores = iou_predictions + (num_points - AMBIGUOUS_POINTS) * PENALTY * is_first
    best = ops.argmax(scores, axis=1)[:, None]  # (P, 1)
    is_best = ops.cast(best, "int32") == ops.arange(num_masks, dtype="int32")  # (P, M)
    iou_predictions = ops.sum(ops.where(is_best, iou_predictions, 0.0), axis=1, keepdims=True)
    masks = ops.sum(ops.where(is_best[:, :, None, None], masks, 0.0), axis=1, keepdims=True)
    return masks, iou_predictions
