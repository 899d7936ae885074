"""`Recipe`: how the built-in tiny preset is made."""

from dataclasses import dataclass
from functools import partial
from typing import Literal


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one image size.

    Attributes:
        image_size: side of the images in pixels.
        steps: number of steps.
        images: images of a step.
        prompts: masks of an image.
        rounds: correction rounds of a prompt.
        correction_share: share of the prompts that have them.
        top_iou_weight: of `InteractiveSegmentationLoss`.
        learning_rate: peak; it rises over 100 steps and falls along a cosine to a twentieth.
        loss: "affinity" trains the image encoder alone, "prompts" the whole model.
        size_exponent: a mask is asked for with a weight of its area to this power: large ones
            teach more at first; at 0 each counts once, as it does for a user.
        center_click_probability: share of clicks deep inside their mask, where people click.
        box_probability: share of first prompts that are boxes; the others are clicks.
        box_noise: standard deviation of the noise on boxes, as a share of their side.
        labeled_share: share of the images that come from `Recipe.labeled`, if that is given.
        closest_crop: the smallest side of a crop, as a share of the scene's.
        closest_labeled_crop: likewise, of a labeled image's cut, which may itself be close.
        is_jittered: whether brightness and colors are changed at random.
        averaging: share of the running average of the weights that a step keeps; the phase ends
            with the average. 0 takes none.
        starts_from_mean: whether it starts from the mean of the phases so far, by their
            `mean_weight`, in place of what the phase before ended with.
        mean_weight: how much what it ends with counts for the preset, which has the weighted mean
            of the ends of all phases that are run, as of the cycles of stochastic weight averaging
            (arXiv 1803.05407). If none counts, it has the end of the last phase.
    """

    image_size: int
    steps: int
    images: int = 8
    prompts: int = 16
    rounds: int = 0
    correction_share: float = 1.0
    top_iou_weight: float = 0.0
    learning_rate: float = 1e-3
    loss: Literal["affinity", "prompts"] = "prompts"
    size_exponent: float = 0.35
    center_click_probability: float = 0.5
    box_probability: float = 0.5
    box_noise: float = 0.1
    labeled_share: float = 0.0
    closest_crop: float = 0.4
    closest_labeled_crop: float = 0.8
    is_jittered: bool = False
    averaging: float = 0.0
    starts_from_mean: bool = False
    mean_weight: float = 0.0


# Each mask counts once, clicks are deep and boxes close, and pictures are of more kinds. A quarter
# of the prompts are corrected twice, and the weights are averaged.
as_people_ask = partial(
    Phase,
    prompts=32,
    rounds=2,
    correction_share=0.25,
    size_exponent=0.0,
    center_click_probability=0.8,
    box_noise=0.01,
    is_jittered=True,
    averaging=0.995,
)

# The size that the preset sees; the mask rated best learns too.
at_full_size = partial(
    as_people_ask,
    image_size=256,
    images=4,
    learning_rate=4e-4,
    labeled_share=0.3,
    top_iou_weight=0.5,
    mean_weight=1.0,
)


@dataclass(frozen=True)
class Recipe:
    """How `sam_tiny_synthetic` is made.

    Attributes:
        phases: stretches of training, small images first.
        image_size: side of the images that the preset sees; position tables are interpolated.
        scenes: number of procedural scenes.
        labeled: folder of labeled images to mix in, `images/` and `annotations.json` (COCO);
            `NUM_VALIDATION` of them are left out, to be measured on. None trains on scenes alone.
        start: preset whose weights the first phase starts from; None starts from random ones.
        first_phase: number of the phase to begin with, from 0; those before are left out.
        pred_iou_thresh: of everything mode, saved with the preset, since ratings of so small a
            model are low; chosen by eye on the photographs of this package.
        stability_score_thresh: likewise.
        box_masks: likewise, of `keras_sam.transforms.preprocessing.Preprocessing`: so small a model sees badly
            where a box ends.
        outlines: likewise: its own outlines are coarse.
        seed: seed of scenes, weights, batches and prompts.
        dtype: policy of training; the preset is saved in float32. "mixed_bfloat16" is faster on
            a GPU and on a CPU with AVX512-BF16, and ten times slower on a CPU without.
        workers: processes that make batches ahead; 0 makes them between the steps. None takes one
            where the processors train, and beside a GPU all processors but one.
        save_every: steps between checkpoints.
    """

    phases: tuple[Phase, ...] = (
        Phase(
            image_size=128, steps=400, images=16, prompts=32, learning_rate=2e-3, loss="affinity"
        ),
        Phase(image_size=128, steps=1200, images=8, prompts=32),
        as_people_ask(image_size=192, steps=1800, images=6, labeled_share=0.2),
        at_full_size(steps=1000),
        as_people_ask(image_size=192, steps=1300, images=6, labeled_share=0.3, top_iou_weight=0.5),
        at_full_size(steps=800),
        at_full_size(steps=500, labeled_share=0.5, box_probability=0.25, mean_weight=0.5),
        at_full_size(
            steps=700,
            starts_from_mean=True,
            labeled_share=0.4,
            box_probability=0.25,
            closest_crop=0.2,
            closest_labeled_crop=0.3,
            mean_weight=0.5,
        ),
    )
    image_size: int = 256
    scenes: int = 8000
    labeled: str | None = None
    start: str | None = None
    first_phase: int = 0
    pred_iou_thresh: float = 0.45
    stability_score_thresh: float = 0.6
    box_masks: str = "fitted"
    outlines: str = "image"
    seed: int = 1
    dtype: str = "float32"
    workers: int | None = None
    save_every: int = 100
