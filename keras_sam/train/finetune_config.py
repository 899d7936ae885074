"""`FinetuneConfig`: the settings of `finetune`."""

from dataclasses import dataclass

from keras_sam.models.prompt_trained_model import LEARNING_RATE
from keras_sam.models.trained_part import TrainedPart, check_part
from keras_sam.train.batch_part import BatchPart
from keras_sam.train.memory_plan import parse_memory

METRICS = ("box_iou", "point_iou", "point_oracle_iou", "three_point_iou")


@dataclass(frozen=True)
class PromptKind:
    """First prompts of training.

    Attributes:
        box_probability: Probability that a first prompt is a box instead of a point.
        metrics: Metrics that choose the best epoch.
    """

    box_probability: float
    metrics: tuple[str, ...]


PROMPTS = {
    "any": PromptKind(0.5, METRICS),
    "points": PromptKind(0.0, METRICS[1:]),
    "boxes": PromptKind(1.0, METRICS[:1]),
}


@dataclass(frozen=True)
class FinetuneConfig:
    """Settings of `finetune`.

    Attributes:
        part: Weights to train, see `SAMImageSegmenter.set_trained_part`.
        prompts: First prompts of training: "any", "points" or "boxes". With only one kind, the
            best epoch is chosen by the metrics of this kind.
        image_size: Side of the model frame in pixels, for training and for the new preset, or
            `None` for that of the preset. A larger frame shows small objects better; time and
            memory grow with its area.
        epochs: Maximum number of epochs.
        patience: Training stops after this number of epochs without a better validation.
        learning_rate: Learning rate of AdamW.
        batch_size: Images per step.
        masks_per_image: Masks per image and step.
        views: For the part "decoder", the number of augmented views of each image that are
            encoded before training, including the image itself. Others are augmented anew in
            each epoch.
        lora_rank: Rank of the adapters, for the part "lora".
        layer_decay: For the part "all", the factor from the learning rate of each encoder block to
            that of the block before it, in (0, 1].
        remat: If True, activations are computed again for the gradients, which saves memory and
            takes a third more time.
        memory: Memory budget of each device such as "8GB", or `None` for no limit. If a step does
            not fit, it is made smaller, see `plan_memory`.
        val: Share of the images for validation, in (0, 1).
        test: Share of the images for the final test, in (0, 1).
        max_masks: Maximum number of masks per image in validation and test.
        any_orientation: If True, augmentation also flips upside down and turns by quarters, for
            images without an upright direction, such as from a microscope or a satellite.
        refit_images: Maximum number of validation images to which the preset's mask refiner and
            thresholds are fitted after training. 0 keeps those of the preset.
        clicks: If True, the number of clicks is measured on the test images.
        tensorboard: If True, logs for TensorBoard are written.
        seed: Seed of the split, the views, the order and the prompts.
        devices: Number of devices to train on, see `fit_on_devices`. The batch size must be a
            multiple of it.

    Raises:
        ValueError: If the part or the kind of prompts is unknown, or `memory` is malformed.
    """

    part: TrainedPart = "decoder"
    prompts: str = "any"
    image_size: int | None = None
    epochs: int = 30
    patience: int = 8
    learning_rate: float = LEARNING_RATE
    batch_size: int = 1
    masks_per_image: int = 16
    views: int = 4
    lora_rank: int = 8
    layer_decay: float = 0.8
    remat: bool = False
    memory: str | None = None
    val: float = 0.15
    test: float = 0.15
    max_masks: int = 32
    any_orientation: bool = False
    refit_images: int = 4
    clicks: bool = False
    tensorboard: bool = False
    seed: int = 0
    devices: int = 1

    def __post_init__(self) -> None:
        check_part(self.part)
        BatchPart(self.devices).check(self.batch_size)
        if self.prompts not in PROMPTS:
            raise ValueError(f"prompts must be one of {', '.join(PROMPTS)}, got {self.prompts!r}")
        if self.memory is not None:
            parse_memory(self.memory)
