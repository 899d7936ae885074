"""`initialize_with_priors`: initial weights with which training from scratch starts faster."""

import math
from typing import Any

import numpy as np
from keras import ops

MASK_PRIOR = 0.15  # foreground share of an image
IOU_PRIOR = 0.4  # IoU of a mask when the IoU head starts to learn


def initialize_with_priors(backbone: Any) -> None:
    """Set initial weights that contain positions, small masks and plausible IoUs.

    - Position embeddings start as sines and cosines.
    - In the decoder's attention between tokens and image, queries and keys start from the same
      matrix. A point then attends to its own position, and that position to the point, because
      their positional encodings are equal.
    - Masks start as mostly background, by a constant channel of the upscaled image, and the
      predicted IoU starts at `IOU_PRIOR`. Otherwise, the first hundreds of steps push all logits
      and IoUs in one direction, and most ReLU units die. After 1,600 steps these were 122 of the
      128 first units of the IoU head, and two thirds of the first units of the hypernetworks.

    Args:
        backbone: A new `SAMBackbone`.
    """
    encoder = backbone.image_encoder
    if encoder.use_abs_pos:
        table = sine_positions(encoder.embedding_size, encoder.hidden_size)
        encoder.position_embedding.assign(0.3 * table[None])
    transformer = backbone.mask_decoder.transformer
    attentions = [transformer.final_attention]
    for block in transformer.blocks:
        attentions += [block.token_to_image_attention, block.image_to_token_attention]
    for attention in attentions:
        kernel = 1.5 * ops.convert_to_numpy(attention.query.kernel)
        attention.query.kernel.assign(kernel)
        attention.key.kernel.assign(kernel)
    _initialize_masks(backbone.mask_decoder)
    _initialize_predicted_iou(backbone.mask_decoder)


def _initialize_masks(decoder: Any) -> None:
    """Set channel 0 of the upscaled image to a constant that gives `MASK_PRIOR`."""
    convolution = decoder.upscaler.conv_transpose2
    kernel, bias = (ops.convert_to_numpy(weight).copy() for weight in convolution.get_weights())
    kernel[:, :, 0], bias[0] = 0.0, 2.0
    convolution.set_weights([kernel, bias])
    constant = float(decoder.upscaler.activate(ops.array(2.0)))
    for hypernetwork in decoder.hypernetworks:
        last = hypernetwork.dense_layers[-1]
        kernel, bias = (ops.convert_to_numpy(weight).copy() for weight in last.get_weights())
        kernel[:, 0], bias[0] = 0.0, math.log(MASK_PRIOR / (1 - MASK_PRIOR)) / constant
        last.set_weights([kernel, bias])


def _initialize_predicted_iou(decoder: Any) -> None:
    last = decoder.iou_head.dense_layers[-1]
    kernel, bias = (ops.convert_to_numpy(weight) for weight in last.get_weights())
    last.set_weights([0.1 * kernel, np.full_like(bias, IOU_PRIOR)])


def sine_positions(grid_size: tuple[int, int], width: int) -> np.ndarray:
    """Encode grid positions by sines and cosines at geometric frequencies (arXiv 1706.03762).

    Args:
        grid_size: `(height, width)` of the grid.
        width: Number of channels. The first half encodes the row, the second half the column;
            channels beyond a multiple of 4 are zero.

    Returns:
        Table `(*grid_size, width)`, float32, in [-1, 1].
    """
    quarter = width // 4
    frequencies = np.exp(-math.log(100.0) * np.arange(quarter) / quarter)
    rows, columns = (np.arange(side)[:, None] * frequencies for side in grid_size)
    by_row = np.concatenate([np.sin(rows), np.cos(rows)], axis=-1)[:, None]
    by_column = np.concatenate([np.sin(columns), np.cos(columns)], axis=-1)[None]
    shape = (*grid_size, 2 * quarter)
    halves = [np.broadcast_to(by_row, shape), np.broadcast_to(by_column, shape)]
    table = np.concatenate(halves, axis=-1)
    return np.pad(table, ((0, 0), (0, 0), (0, width - 4 * quarter))).astype("float32")
