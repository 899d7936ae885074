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


def set_trained_part(
    backbone: Any, part: TrainedPart, *, lora_rank: int, remat: bool = False
) -> None:
    """Choose the weights of a `SAMBackbone` to train; see `SAMImageSegmenter.set_trained_part`.

    Args:
        backbone: A `SAMBackbone`.
        part: "decoder", "lora" or "all".
        lora_rank: Rank of the adapters, for "lora".
        remat: If True, the blocks of a trained image encoder are rematerialized.

    Raises:
        ValueError: If the part is unknown, the image encoder has adapters already, or it cannot
            be rematerialized.
    """
    check_part(part)
    is_rematerialized = remat and part != "decoder"
    if is_rematerialized:
        _check_remat(backbone.image_encoder)
    if hasattr(backbone.image_encoder, "remat"):
        backbone.image_encoder.remat = is_rematerialized
    set_trainable(backbone, True)
    if part == "decoder":
        set_trainable(backbone.image_encoder, False)
    elif part == "lora":
        backbone.image_encoder.enable_lora(lora_rank)


def _check_remat(image_encoder: Any) -> None:
    if not hasattr(image_encoder, "remat"):
        name = type(image_encoder).__name__
        raise ValueError(f"remat needs a ViTDetBackbone or a TinyViTBackbone, got a {name}")
    # A second forward pass would update the statistics twice.
    if getattr(image_encoder, "use_batch_norm", False):
        raise ValueError(
            "remat does not work with batch norms; use an image encoder with use_batch_norm=False"
        )
