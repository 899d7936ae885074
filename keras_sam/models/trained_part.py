"""`set_trained_part`: which weights of a segmenter `fit` trains."""

from typing import Any, Literal, get_args

from keras_sam.models.set_trainable import set_trainable

TrainedPart = Literal["decoder", "lora", "all"]


def check_part(part: str) -> None:
    """Check the name of a part.

    Raises:
        ValueError: If it is unknown.
    """
    if part not in get_args(TrainedPart):
        raise ValueError(f"part must be one of {', '.join(get_args(TrainedPart))}, got {part!r}")


def set_trained_part(backbone: Any, part: TrainedPart, *, lora_rank: int) -> None:
    """Choose the weights of a `SAMBackbone` to train; see `SAMImageSegmenter.set_trained_part`.

    Args:
        backbone: A `SAMBackbone`.
        part: "decoder", "lora" or "all".
        lora_rank: Rank of the adapters, for "lora".

    Raises:
        ValueError: If the part is unknown, or the image encoder has adapters already.
    """
    check_part(part)
    set_trainable(backbone, True)
    if part == "decoder":
        set_trainable(backbone.image_encoder, False)
    elif part == "lora":
        backbone.image_encoder.enable_lora(lora_rank)
