"""`plan_memory`: the largest training step that fits into a memory budget."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.trained_part import TrainedPart, check_part
from keras_sam.models.vit_det_backbone import ViTDetBackbone

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
RUNTIME_BYTES = 700 * 10**6  # of Python, Keras and PyTorch without a model
# Arrays that PyTorch keeps for the gradients, counted with `saved_tensors_hooks`.
GRID_ARRAYS, ATTENTION_ARRAYS, MLP_ARRAYS = 5, 8, 2  # of a block
FIRST_ROUND_ARRAYS, ROUND_ARRAYS = 17.5, 22  # of the size of the embedding, for each prompt
LOSS_ARRAYS = 9  # of the size of the mask logits, for each prompt and round
OPTIMIZER_ARRAYS = 5  # of a trained weight: gradient, clipped gradient, three intermediate results


@dataclass(frozen=True)
class MemoryEstimate:
    """Estimated memory of a training step in bytes.

    Attributes:
        weights: Weights and the moments of the trained ones.
        encoder: Activations of a trained image encoder.
        decoder: Activations of the rounds.
        optimizer: Gradients and intermediate results of an update. They are not needed while
            there are activations.
        total_bytes: Peak.
    """

    weights: int
    encoder: int
    decoder: int
    optimizer: int
    total_bytes: int
