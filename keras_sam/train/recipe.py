"""`Recipe` and `train`: the built-in tiny preset from nothing."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from keras_sam.layers import SAMMaskDecoder, SAMPromptEncoder
from keras_sam.models import SAMBackbone, SAMImageSegmenter, ViTDetBackbone
from keras_sam.models.set_trainable import set_trainable
from keras_sam.train.affinity_loss import AffinityLoss
from keras_sam.train.batches import BatchOptions, stream_batches
from keras_sam.train.interactive_loss import InteractiveLoss
from keras_sam.train.labelled_store import build_labelled_store
from keras_sam.train.scene_store import build_store
from keras_sam.train.warm_start import warm_start
from keras_sam.train.warmup_cosine import WarmupCosine


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one image size.

    Attributes:
        image_size: side of the images in pixels.
        steps: number of steps.
        images: images of a step.
        prompts: masks of an image.
        rounds: correction rounds of a prompt.
        learning_rate: peak; it rises over 100 steps and falls along a cosine to a twentieth.
        loss: "affinity" trains the image encoder alone, "prompts" the whole model.
        size_exponent: a mask is asked for with a weight of its area to this power: large ones
            teach more at first; at 0 each counts once, as it does for a user.
        deep_click_probability: share of clicks deep inside their mask, where people click.
        box_noise: standard deviation of the noise on boxes, as a share of their side.
        labelled_share: share of the images that come from `Recipe.labelled`, if that is given.
        is_jittered: whether brightness and colours are changed at random.
    """

    image_size: int
    steps: int
    images: int = 8
    prompts: int = 16
    rounds: int = 0
    learning_rate: float = 1e-3
    loss: Literal["affinity", "prompts"] = "prompts"
    size_exponent: float = 0.35
    deep_click_probability: float = 0.5
    box_noise: float = 0.1
    labelled_share: float = 0.0
    is_jittered: bool = False


# What the last phases have in common.
LATE = Phase(
    image_size=256,
    steps=0,
    images=4,
    prompts=32,
    learning_rate=6e-4,
    size_exponent=0.0,
    deep_click_probability=0.8,
    box_noise=0.03,
    labelled_share=0.12,
    is_jittered=True,
)


@dataclass(frozen=True)
class Recipe:
    """How `sam_tiny_synthetic` is made.

    Attributes:
        phases: stretches of training, small images first.
        scenes: number of procedural scenes.
        labelled: folder of labelled images to mix in, `images/` and `annotations.json` (COCO);
            `HELD_OUT` of them are left out, to be measured on. None trains on scenes alone.
        start: preset whose weights the first phase starts from; None starts from random ones.
        first_phase: number of the phase to begin with, from 0; those before are left out.
        seed: seed of scenes, weights, batches and prompts.
        dtype: policy of training; the preset is saved in float32. "mixed_bfloat16" is faster on
            a GPU and on a CPU with AVX512-BF16, and ten times slower on a CPU without.
        workers: processes that make batches ahead; 0 makes them between the steps.
        save_every: steps between checkpoints.
    """

    phases: tuple[Phase, ...] = (
        Phase(image_size=128, steps=500, images=16, prompts=32, loss="affinity"),
        Phase(image_size=128, steps=1300),
        Phase(image_size=256, steps=200, images=4, rounds=1, learning_rate=4e-4),
        Phase(
            image_size=256,
            steps=400,
            images=4,
            learning_rate=6e-4,
            size_exponent=0.0,
            deep_click_probability=0.9,
        ),
        Phase(
            image_size=256,
            steps=60,
            images=4,
            rounds=1,
            learning_rate=1e-4,
            size_exponent=0.0,
            deep_click_probability=0.9,
        ),
        replace(LATE, image_size=192, steps=760),
        replace(LATE, steps=200, learning_rate=4e-4),
        replace(LATE, steps=130, prompts=16, rounds=1, learning_rate=2e-4),
    )
    scenes: int = 4000
    labelled: str | None = None
    start: str | None = None
    first_phase: int = 0
    seed: int = 1
    dtype: str = "float32"
    workers: int = 1
    save_every: int = 100


def tiny_segmenter(image_size: int, *, dtype: Any = None) -> SAMImageSegmenter:
    """The architecture of `sam_tiny_synthetic`: 4.7 million parameters, patches of 8 pixels."""
    width = 128
    encoder = ViTDetBackbone(
        hidden_size=192,
        num_layers=8,
        intermediate_dim=768,
        num_heads=6,
        global_attention_layer_indices=[2, 5, 7],
        image_shape=(image_size, image_size, 3),
        patch_size=8,
        num_output_channels=width,
        window_size=8,
        dtype=dtype,
        name="image_encoder",
    )
    prompt_encoder = SAMPromptEncoder(
        hidden_size=width,
        image_embedding_size=encoder.embedding_size,
        input_image_size=(image_size, image_size),
        dtype=dtype,
        name="prompt_encoder",
    )
    mask_decoder = SAMMaskDecoder(
        hidden_size=width,
        num_layers=2,
        intermediate_dim=4 * width,
        num_heads=4,
        embedding_dim=width,
        iou_head_hidden_dim=width,
        dtype=dtype,
        name="mask_decoder",
    )
    return SAMImageSegmenter(SAMBackbone(encoder, prompt_encoder, mask_decoder, dtype=dtype))


def train(
    recipe: Recipe,
    output: str | Path,
    *,
    progress: Callable[[dict[str, Any]], None] | None = None,
    scene_progress: Callable[[int], None] | None = None,
) -> SAMImageSegmenter:
    """Trains from nothing, or goes on where a run in `output` was stopped.

    Args:
        recipe: what to do.
        output: directory of scenes, checkpoints, the log `log.jsonl` and the preset `preset/`.
        progress: called every 20 steps with the line of the log.
        scene_progress: called with the number of scenes drawn so far.

    Returns:
        The trained segmenter, in float32; it is saved as a preset in `output/preset`.

    Raises:
        ValueError: if `output` holds a run of another recipe, or the recipe has no phase or an
            unknown dtype; nothing is written then.
    """
    if not 0 <= recipe.first_phase < len(recipe.phases):
        raise ValueError(
            f"a recipe needs at least one phase from first_phase={recipe.first_phase} on, "
            f"got {len(recipe.phases)}"
        )
    keras.dtype_policies.get(recipe.dtype)  # an unknown one is an error before a file is written
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    _check_same_recipe(recipe, output / "recipe.json")
    build_store(
        output / "scenes",
        count=recipe.scenes,
        seed=recipe.seed,
        workers=os.cpu_count() or 1,
        progress=scene_progress,
    )
    if recipe.labelled is not None:
        build_labelled_store(output / "labelled", recipe.labelled, seed=recipe.seed)
    keras.utils.set_random_seed(recipe.seed)
    segmenter = _first_segmenter(recipe)
    for number, phase in enumerate(recipe.phases[recipe.first_phase :], start=recipe.first_phase):
        segmenter = _run_phase(recipe, number, phase, segmenter, output, progress)
    set_trainable(segmenter, True)
    final = segmenter.with_image_shape(segmenter.backbone.image_shape, dtype="float32")
    final.save_to_preset(output / "preset")
    return final


def _first_segmenter(recipe: Recipe) -> SAMImageSegmenter:
    if recipe.start is not None:
        return SAMImageSegmenter.from_preset(recipe.start)
    size = recipe.phases[recipe.first_phase].image_size
    segmenter = tiny_segmenter(size, dtype=recipe.dtype)
    warm_start(segmenter.backbone)
    return segmenter


def _run_phase(
    recipe: Recipe,
    number: int,
    phase: Phase,
    before: SAMImageSegmenter,
    output: Path,
    progress: Callable[[dict[str, Any]], None] | None,
) -> SAMImageSegmenter:
    """One phase, from the weights of the one before or from its own checkpoint."""
    # Build.
    shape = (phase.image_size, phase.image_size, 3)
    segmenter = before.with_image_shape(shape, dtype=recipe.dtype)
    _train_what_learns(segmenter, phase)
    schedule = WarmupCosine(phase.learning_rate, phase.steps)
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=0.05, beta_2=0.98, global_clipnorm=1.0
    )
    segmenter.compile(optimizer, loss=_loss(phase, seed=recipe.seed + number))
    optimizer.build(segmenter.trainable_variables)
    # Go on from a checkpoint.
    checkpoint = output / f"phase{number}.npz"
    state = [*segmenter.variables, *optimizer.variables]
    start = _load_state(checkpoint, state)
    # Train.
    options = _batch_options(recipe, number, output, segmenter.backbone.low_res_size[0])
    began = time.monotonic()
    batches = stream_batches(options, start=start, stop=phase.steps, workers=recipe.workers)
    for step, (x, y) in enumerate(batches, start=start + 1):
        logs = segmenter.train_on_batch(x, y, return_dict=True)
        if step % 20 == 0 or step == phase.steps:
            line = {"phase": number, "step": step, "steps": phase.steps} | {
                name: round(float(value), 4) for name, value in logs.items()
            }
            line["seconds"] = round((time.monotonic() - began) / (step - start), 3)
            _log(output / "log.jsonl", line, progress)
            segmenter.reset_metrics()
        if step % recipe.save_every == 0 or step == phase.steps:
            _save_state(checkpoint, state, step)
    return segmenter


def _batch_options(recipe: Recipe, number: int, output: Path, low_res_size: int) -> BatchOptions:
    phase = recipe.phases[number]
    # A labelled image may show many small things, such as nuclei.
    stores = [(output / "scenes", 1.0, 0.004)]
    if recipe.labelled is not None and phase.labelled_share:
        stores[0] = (output / "scenes", 1.0 - phase.labelled_share, 0.004)
        stores.append((output / "labelled", phase.labelled_share, 0.001))
    paths, weights, min_shares = zip(*stores, strict=True)
    return BatchOptions(
        stores=tuple(map(str, paths)),
        weights=weights,
        min_shares=min_shares,
        image_size=phase.image_size,
        low_res_size=low_res_size,
        images=phase.images,
        prompts=phase.prompts,
        size_exponent=phase.size_exponent,
        is_jittered=phase.is_jittered,
        seed=recipe.seed + 1000 * number,
    )


def _train_what_learns(segmenter: SAMImageSegmenter, phase: Phase) -> None:
    """Freezes what a phase's loss does not reach; Keras would warn of its missing gradients."""
    prompt_encoder = segmenter.backbone.prompt_encoder
    for layer, learns in (
        (prompt_encoder, phase.loss == "prompts"),
        (prompt_encoder.mask_downscaler, phase.loss == "prompts" and phase.rounds > 0),
        (segmenter.backbone.mask_decoder, phase.loss == "prompts"),
    ):
        set_trainable(layer, learns)


def _loss(phase: Phase, *, seed: int) -> keras.layers.Layer:
    if phase.loss == "affinity":
        return AffinityLoss()
    return InteractiveLoss(
        rounds=phase.rounds,
        deep_click_probability=phase.deep_click_probability,
        box_noise=phase.box_noise,
        focal_gamma=0.0,  # the focal loss collapses to empty masks from random weights
        focal_alpha=None,
        pixel_weight=1.0,
        iou_weight=5.0,  # with 1 the ratings hardly tell good masks from bad ones
        seed=seed,
    )


def _check_same_recipe(recipe: Recipe, path: Path) -> None:
    described = json.loads(json.dumps(asdict(recipe)))
    if not path.exists():
        path.write_text(json.dumps(described, indent=2))
    elif json.loads(path.read_text()) != described:
        raise ValueError(
            f"{path.parent} holds a run of another recipe; give the same settings to go on, or "
            "another output directory"
        )


def _save_state(path: Path, variables: list[keras.Variable], step: int) -> None:
    arrays = {str(i): keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)}
    beside = path.with_suffix(".part.npz")
    np.savez(beside, step=step, **arrays)
    os.replace(beside, path)


def _load_state(path: Path, variables: list[keras.Variable]) -> int:
    """Restores a phase and tells its step; 0 where there is no checkpoint."""
    if not path.exists():
        return 0
    with np.load(path) as saved:
        for index, variable in enumerate(variables):
            variable.assign(saved[str(index)])
        return int(saved["step"])


def _log(
    path: Path, line: dict[str, Any], progress: Callable[[dict[str, Any]], None] | None
) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    if progress is not None:
        progress(line)
