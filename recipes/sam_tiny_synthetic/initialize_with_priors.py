"""`initialize_with_priors`: initial weights from which training from nothing leaves its plateau sooner."""

import math
from typing import Any

import numpy as np
from keras import ops

MASK_PRIOR = 0.15  # share of an image that a mask takes
IOU_PRIOR = 0.4  # of a mask when its rating begins to learn


def initialize_with_priors(backbone: Any) -> None:
    """Gives a new `SAMBackbone` a sense of place, before the first step.

    Absolute positions start as sines and cosines (arXiv 2010.11929's successors for small data
    do so too). In the decoder's attention between tokens and image, queries and keys start from
    one matrix, so that a click finds its own place in the image, and the image the click, by
    their equal positional encoding.

    Masks start as mostly background, by a constant channel of the upscaled image, and ratings
    start at a plausible value. Otherwise the first hundreds of steps push every logit and every
    rating one way, and most units behind a ReLU die of it: after 1,600 steps 122 of the 128
    first units of the IoU head, and two thirds of those that weigh the channels of a mask.

    Args:
        backbone: a `SAMBackbone` with an image encoder that has absolute positions.
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
    _start_masks(backbone.mask_decoder)
    _start_ratings(backbone.mask_decoder)


def _start_masks(decoder: Any) -> None:
    """Sets channel 0 of the upscaled image to a constant that stands for `MASK_PRIOR`."""
    pixels = decoder.upscaler.conv_transpose2
    kernel, bias = (ops.convert_to_numpy(weight).copy() for weight in pixels.get_weights())
    kernel[:, :, 0], bias[0] = 0.0, 2.0
    pixels.set_weights([kernel, bias])
    constant = float(decoder.upscaler.activate(ops.array(2.0)))
    for hypernetwork in decoder.hypernetworks:
        last = hypernetwork.dense_layers[-1]
        kernel, bias = (ops.convert_to_numpy(weight).copy() for weight in last.get_weights())
        kernel[:, 0], bias[0] = 0.0, math.log(MASK_PRIOR / (1 - MASK_PRIOR)) / constant
        last.set_weights([kernel, bias])


def _start_ratings(decoder: Any) -> None:
    last = decoder.iou_head.dense_layers[-1]
    kernel, bias = (ops.convert_to_numpy(weight) for weight in last.get_weights())
    last.set_weights([0.1 * kernel, np.full_like(bias, IOU_PRIOR)])


def sine_positions(grid_size: tuple[int, int], width: int) -> np.ndarray:
    """Sines and cosines of rows and columns at geometric frequencies, `(H, W, width)`."""
    quarter = width // 4
    frequencies = np.exp(-math.log(100.0) * np.arange(quarter) / quarter)
    rows, columns = (np.arange(side)[:, None] * frequencies for side in grid_size)
    by_row = np.concatenate([np.sin(rows), np.cos(rows)], axis=-1)[:, None]
    by_column = np.concatenate([np.sin(columns), np.cos(columns)], axis=-1)[None]
    shape = (*grid_size, 2 * quarter)
    table = np.concatenate(
        [np.broadcast_to(by_row, shape), np.broadcast_to(by_column, shape)], axis=-1
    )
    return np.pad(table, ((0, 0), (0, 0), (0, width - 4 * quarter))).astype("float32")
