"""`plan_memory`: the largest training step that fits into a memory budget."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.trained_part import TrainedPart, check_part
from keras_sam.models.vit_det_backbone import ViTDetBackbone
from keras_sam.models.weight_names import layers_by_prefix

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
RUNTIME_BYTES = 700 * 10**6  # Python, Keras and PyTorch without a model

# Numbers of arrays that PyTorch keeps for the gradients, counted with `saved_tensors_hooks`.
GRID_ARRAYS, ATTENTION_ARRAYS, MLP_ARRAYS = 5, 8, 2
FIRST_ROUND_ARRAYS, ROUND_ARRAYS, LOSS_ARRAYS = 17.5, 22, 9
OPTIMIZER_ARRAYS = 5  # gradient, clipped gradient, and three intermediate results of AdamW


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of a training step in bytes.

    Attributes:
        weights: Weights, and the two moments of the trained ones.
        encoder: Activations of a trained image encoder.
        decoder: Activations of the prompts and rounds.
        gradients: Gradients of the activations of one round.
        update: Gradients and intermediate results of the optimizer. An update needs no
            activations.
    """

    weights: int
    encoder: int
    decoder: int
    gradients: int
    update: int

    @property
    def total_bytes(self) -> int:
        """Peak of the process."""
        activations = self.encoder + self.decoder + self.gradients
        return RUNTIME_BYTES + self.weights + max(activations, self.update)


@dataclass(frozen=True)
class MemoryPlan:
    """Settings of a training step that fits into a memory budget.

    Attributes:
        batch_size: Images per step.
        masks_per_image: Masks per image and step.
        remat: If True, activations are rematerialized. Pass it to
            `SAMImageSegmenter.set_trained_part` and `InteractiveSegmentationLoss`.
        estimated_bytes: Estimated peak.
        budget_bytes: Memory budget.
    """

    batch_size: int
    masks_per_image: int
    remat: bool
    estimated_bytes: int
    budget_bytes: int

    def __str__(self) -> str:
        remat = "with" if self.remat else "without"
        return (
            f"memory plan: {self.batch_size} x {self.masks_per_image} masks per step, {remat} "
            f"rematerialization, about {format_memory(self.estimated_bytes)} of "
            f"{format_memory(self.budget_bytes)}"
        )


def plan_memory(
    segmenter: SAMImageSegmenter,
    part: TrainedPart,
    budget_bytes: int,
    *,
    batch_size: int = 1,
    masks_per_image: int = 16,
    lora_rank: int = 8,
    correction_rounds: int = 2,
) -> MemoryPlan:
    """Find the largest training step that fits into a memory budget.

    If the desired step does not fit, it is rematerialized. If it still does not fit, the batch
    size is halved down to 1, and then the number of masks. See `estimate_memory` for the
    arithmetic.

    Args:
        segmenter: Model to train.
        part: See `SAMImageSegmenter.set_trained_part`.
        budget_bytes: Memory budget in bytes, see `parse_memory`.
        batch_size: Desired images per step.
        masks_per_image: Desired masks per image and step.
        lora_rank: Rank of the adapters, for the part "lora".
        correction_rounds: See `InteractiveSegmentationLoss`.

    Raises:
        ValueError: If even the smallest step does not fit.
    """
    for images, masks, remat in _steps(batch_size, masks_per_image):
        estimate = estimate_memory(
            segmenter,
            part,
            batch_size=images,
            masks_per_image=masks,
            remat=remat,
            lora_rank=lora_rank,
            correction_rounds=correction_rounds,
        )
        if estimate.total_bytes <= budget_bytes:
            return MemoryPlan(images, masks, remat, estimate.total_bytes, budget_bytes)
    raise ValueError(
        f"training the part {part!r} needs at least {format_memory(estimate.total_bytes)}, with 1 "
        f"mask per step and rematerialization; the budget is {format_memory(budget_bytes)}"
    )


def estimate_memory(
    segmenter: SAMImageSegmenter,
    part: TrainedPart,
    *,
    batch_size: int,
    masks_per_image: int,
    remat: bool = False,
    lora_rank: int = 8,
    correction_rounds: int = 2,
) -> MemoryEstimate:
    """Estimate the peak memory of a training step with AdamW.

    The part "decoder" is trained on image embeddings. With `t` tokens of width `E`, `t'` tokens
    padded to windows, `S` keys per query, `K` heads and an MLP of width `F`, the numbers are:

        block = 5 t E + 8 t' E + K t' S + 2 t F
        encoder = sum(block)
        round = 22 G² D + 9 M L²            for each prompt; 17.5 G² D in the first round
        decoder = sum(round)
        gradients = round
        update = 5 x trained weights
        peak = runtime + weights + 2 x trained weights
               + max(encoder + decoder + gradients, update)

    With `remat`, the encoder keeps `t E` per block and one whole block, and the decoder keeps the
    masks `M L²` of each round and one whole round. The factors are those of PyTorch on a CPU for
    the part "all"; for "lora", PyTorch keeps a little less.

    Args:
        segmenter: Model to train.
        part: See `SAMImageSegmenter.set_trained_part`.
        batch_size: Images per step.
        masks_per_image: Masks per image and step.
        remat: If True, activations are rematerialized.
        lora_rank: Rank of the adapters, for the part "lora".
        correction_rounds: See `InteractiveSegmentationLoss`.

    Raises:
        ValueError: If the part is unknown, or needs the activations of an image encoder that is
            not a `ViTDetBackbone`.
    """
    check_part(part)
    adapters = _adapter_bytes(segmenter, lora_rank) if part == "lora" else 0
    trained = _trained_bytes(segmenter, part) + adapters
    encoder = 0 if part == "decoder" else _encoder_bytes(segmenter, remat=remat)
    decoder, gradients = _decoder_bytes(segmenter, correction_rounds, remat=remat)
    masks = batch_size * masks_per_image
    return MemoryEstimate(
        weights=_weight_bytes(segmenter) + adapters + 2 * trained,
        encoder=batch_size * encoder,
        decoder=masks * decoder,
        gradients=masks * gradients,
        update=OPTIMIZER_ARRAYS * trained,
    )


def parse_memory(text: str) -> int:
    """Convert an amount of memory such as "8GB", "500 MB" or "7.5GiB" to bytes.

    Raises:
        ValueError: If the amount is malformed or not positive.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    units = {name.lower(): size for name, size in UNITS.items()}
    size = units.get(match[2].lower()) if match else None
    if match is None or size is None:
        raise ValueError(
            f"memory must be a number and one of {', '.join(UNITS)}, such as 8GB; got {text!r}"
        )
    if not float(match[1]):
        raise ValueError(f"memory must be more than 0, got {text!r}")
    return int(float(match[1]) * size)


def format_memory(size: int) -> str:
    """Format a number of bytes in GB or MB."""
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{size / 1e6:.0f} MB"


def _steps(batch_size: int, masks_per_image: int) -> Iterator[tuple[int, int, bool]]:
    """Yield batch sizes, masks per image and remat, the desired ones first."""
    yield batch_size, masks_per_image, False
    while True:
        yield batch_size, masks_per_image, True
        if batch_size == masks_per_image == 1:
            return
        if batch_size > 1:
            batch_size //= 2
        else:
            masks_per_image //= 2


def _weight_bytes(layer: keras.layers.Layer) -> int:
    return sum(_bytes(weight) for weight in layer.weights)


def _bytes(weight: Any) -> int:
    size = 1
    for side in weight.shape:
        size *= side
    return size * _item_size(weight.dtype)


def _item_size(dtype: str) -> int:
    return 4 if dtype == "float32" else 2


def _trained_bytes(segmenter: SAMImageSegmenter, part: TrainedPart) -> int:
    """Trained weights of the model, without adapters."""
    if part == "all":
        return _weight_bytes(segmenter)
    return _weight_bytes(segmenter) - _weight_bytes(segmenter.backbone.image_encoder)


def _adapter_bytes(segmenter: SAMImageSegmenter, rank: int) -> int:
    encoder = segmenter.backbone.image_encoder
    names = encoder.default_lora_layer_names()
    layers: list[Any] = [x for x in layers_by_prefix(encoder).values() if x.name in names]
    return sum(rank * sum(x.kernel.shape) * _item_size(x.kernel.dtype) for x in layers)


def _encoder_bytes(segmenter: SAMImageSegmenter, *, remat: bool) -> int:
    """Activations of one image."""
    encoder = segmenter.backbone.image_encoder
    if not isinstance(encoder, ViTDetBackbone):
        raise ValueError(
            "the memory of the parts 'lora' and 'all' is known for a ViTDetBackbone, got a "
            f"{type(encoder).__name__}; use the part 'decoder'"
        )
    height, width = encoder.embedding_size
    grid, item_size = height * width * encoder.hidden_size, _item_size(encoder.compute_dtype)
    blocks = [_block_numbers(encoder, block.window_size) for block in encoder.blocks]
    numbers = len(blocks) * grid + max(blocks) if remat else sum(blocks)
    return item_size * numbers


def _block_numbers(encoder: ViTDetBackbone, window_size: int) -> int:
    """Numbers that a block keeps for one image."""
    height, width = encoder.embedding_size
    tokens = padded = keys = height * width
    if window_size:
        keys = window_size**2
        padded = -(-height // window_size) * -(-width // window_size) * keys
    return (
        (GRID_ARRAYS * tokens + ATTENTION_ARRAYS * padded) * encoder.hidden_size
        + encoder.num_heads * padded * keys
        + MLP_ARRAYS * tokens * encoder.intermediate_dim
    )


def _decoder_bytes(
    segmenter: SAMImageSegmenter, correction_rounds: int, *, remat: bool
) -> tuple[int, int]:
    """Activations of one prompt, and the gradients of those of one round."""
    backbone, decoder = segmenter.backbone, segmenter.backbone.mask_decoder
    height, width = backbone.embedding_size
    embedding = height * width * decoder.hidden_size * _item_size(decoder.compute_dtype)
    masks = 4 * decoder.num_mask_tokens * backbone.low_res_size[0] * backbone.low_res_size[1]
    first = int(FIRST_ROUND_ARRAYS * embedding + LOSS_ARRAYS * masks)
    corrected = ROUND_ARRAYS * embedding + LOSS_ARRAYS * masks
    largest = corrected if correction_rounds else first
    if remat:
        return (1 + correction_rounds) * masks + largest, largest
    return first + correction_rounds * corrected, largest
