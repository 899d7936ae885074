"""`warm_start`: initial weights from which training from nothing leaves its plateau sooner."""

import math
from typing import Any

import numpy as np
from keras import ops


def warm_start(backbone: Any) -> None:
    """Gives a new `SAMBackbone` a sense of place, before the first step.

    Absolute positions start as sines and cosines (arXiv 2010.11929's successors for small data
    do so too). In the decoder's attention between tokens and image, queries and keys start from
    one matrix, so that a click finds its own place in the image, and the image the click, by
    their equal positional encoding.

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
