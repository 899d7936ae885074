"""`TrainingConfig`: the settings with which `sam_tiny_synthetic` is trained."""

import dataclasses
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal


@dataclass(frozen=True)
class Phase:
    """One phase of training, at one image size.

    Attributes:
        image_size: Side of the images in pixels.
        steps: Number of steps.
        batch_size: Number of images of a step.
        masks_per_image: Number of target masks of an image.
        correction_rounds: Number of correction rounds of a prompt.
        correction_share: Share of the masks that get correction rounds.
        top_iou_weight: Option of `InteractiveSegmentationLoss`.
        learning_rate: Peak of the `WarmupCosine` schedule.
        loss: If "affinity", `AffinityLoss` trains only the image encoder. If "interactive",
            `InteractiveSegmentationLoss` trains the whole model.
        area_sampling_exponent: Exponent of a mask's area in its sampling weight. Large masks
            are easier to learn first. With 0, all masks are equally likely, as for a user.
        center_click_probability: Probability that a first point is near the center of its mask,
            where people click.
        box_probability: Probability that a first prompt is a box instead of a point.
        box_noise: Standard deviation of the noise on boxes, as a share of their side.
        annotated_share: Share of the images that come from `TrainingConfig.dataset`, if given.
        min_crop_scale: Smallest longest side of a crop, as a share of the scene's side.
        min_annotated_crop_scale: `min_crop_scale` of scenes from the dataset, which are crops
            already.
        color_jitter: If True, brightness and colors change at random.
        ema_decay: Decay of the moving average of the weights, with which the phase ends. 0 turns
            averaging off.
        init_from_swa: If True, the phase starts from the weighted mean of the earlier phases
            (see `swa_weight`) instead of the end of the last one.
        swa_weight: Weight of the phase's final weights in the preset, which is the weighted mean
            over all phases that run: stochastic weight averaging (arXiv 1803.05407). If all are
            0, the preset is the end of the last phase.
    """

    image_size: int
    steps: int
    batch_size: int = 8
    masks_per_image: int = 16
    correction_rounds: int = 0
    correction_share: float = 1.0
    top_iou_weight: float = 0.0
    learning_rate: float = 1e-3
    loss: Literal["affinity", "interactive"] = "interactive"
    area_sampling_exponent: float = 0.35
    center_click_probability: float = 0.5
    box_probability: float = 0.5
    box_noise: float = 0.1
    annotated_share: float = 0.0
    min_crop_scale: float = 0.4
    min_annotated_crop_scale: float = 0.8
    color_jitter: bool = False
    ema_decay: float = 0.0
    init_from_swa: bool = False
    swa_weight: float = 0.0


# Prompts like those of users: all masks equally likely, central clicks, tight boxes.
interactive_stage = partial(
    Phase,
    masks_per_image=32,
    correction_rounds=2,
    correction_share=0.25,  # for all masks, corrections would cost far more
    area_sampling_exponent=0.0,
    center_click_probability=0.8,
    box_noise=0.01,
    color_jitter=True,
    ema_decay=0.995,
)

# The image size of the preset. These phases make up its weights.
full_resolution_stage = partial(
    interactive_stage,
    image_size=256,
    batch_size=4,
    learning_rate=4e-4,
    annotated_share=0.3,
    top_iou_weight=0.5,
    swa_weight=1.0,
)


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training run. The defaults are those of `sam_tiny_synthetic`.

    Attributes:
        phases: Phases of training, small images first.
        image_size: Side of the preset's images. Position embeddings are resized to it.
        num_scenes: Number of procedural scenes.
        dataset: Folder of annotated images to mix in, with `images/` and `annotations.json`
            (COCO). `NUM_VALIDATION` of them are not used. `None` trains on scenes alone.
        init_from: Preset whose weights the first phase starts from. `None` starts from random
            weights.
        start_phase: Index of the first phase to run, from 0.
        pred_iou_thresh: Threshold of automatic mask generation, stored with the preset. Low,
            because so small a model predicts low IoUs. Chosen by eye on four photographs.
        stability_score_thresh: Threshold of the stability score, chosen in the same way.
        box_constraint: Setting of the preset's `MaskRefiner`.
        boundary_refinement: Setting of the preset's `MaskRefiner`.
        seed: Seed of scenes, weights, batches and prompts.
        dtype: Dtype policy of training; the preset is saved in float32. "mixed_bfloat16" is
            faster on GPUs and on CPUs with AVX512-BF16, and ten times slower on other CPUs.
        num_workers: Number of processes that make batches in advance. 0 makes them between the
            steps. `None` takes one on a CPU, and all cores but one with a GPU.
        save_every: Number of steps between checkpoints.
    """

    phases: tuple[Phase, ...] = (
        Phase(
            image_size=128,
            steps=400,
            batch_size=16,
            masks_per_image=32,
            learning_rate=2e-3,
            loss="affinity",
        ),
        Phase(image_size=128, steps=1200, masks_per_image=32),
        interactive_stage(image_size=192, steps=1800, batch_size=6, annotated_share=0.2),
        full_resolution_stage(steps=1000),
        interactive_stage(
            image_size=192, steps=1300, batch_size=6, annotated_share=0.3, top_iou_weight=0.5
        ),
        full_resolution_stage(steps=800),
        full_resolution_stage(steps=500, annotated_share=0.5, box_probability=0.25, swa_weight=0.5),
        full_resolution_stage(
            steps=700,
            init_from_swa=True,
            annotated_share=0.4,
            box_probability=0.25,
            min_crop_scale=0.2,
            min_annotated_crop_scale=0.3,
            swa_weight=0.5,
        ),
    )
    image_size: int = 256
    num_scenes: int = 8000
    dataset: str | None = None
    init_from: str | None = None
    start_phase: int = 0
    pred_iou_thresh: float = 0.45
    stability_score_thresh: float = 0.6
    box_constraint: str = "expand"
    boundary_refinement: str = "guided_filter"
    seed: int = 1
    dtype: str = "float32"
    num_workers: int | None = None
    save_every: int = 100

    @property
    def phase_indices(self) -> range:
        """Indices of the phases that run."""
        return range(self.start_phase, len(self.phases))


def build_training_config(*, steps: int | None = None, **overrides: Any) -> TrainingConfig:
    """Change some settings of the shipped preset.

    Args:
        steps: Total number of steps, distributed over all phases in proportion to their own.
        **overrides: Fields of `TrainingConfig`. `None` keeps the default.

    Raises:
        ValueError: If there are fewer steps than phases.
    """
    config = TrainingConfig()
    changes = {name: value for name, value in overrides.items() if value is not None}
    if steps is not None:
        shares = apportion(steps, [phase.steps for phase in config.phases])
        changes["phases"] = tuple(
            dataclasses.replace(phase, steps=share)
            for phase, share in zip(config.phases, shares, strict=True)
        )
    return dataclasses.replace(config, **changes)


def apportion(total: int, weights: list[int]) -> list[int]:
    """Split a total into integers of at least 1, about in proportion to weights.

    Raises:
        ValueError: If the total is below the number of weights.
    """
    remaining = total - len(weights)  # each part has 1 already
    if remaining < 0:
        raise ValueError(f"expected at least {len(weights)} steps, one per phase, got {total}")
    bounds = [
        round(remaining * sum(weights[:end]) / sum(weights)) for end in range(len(weights) + 1)
    ]
    return [1 + end - start for start, end in pairwise(bounds)]
