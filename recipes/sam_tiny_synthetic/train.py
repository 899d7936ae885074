"""`train`: from a recipe to a preset."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_sam.files.atomic_file import write_atomically
from keras_sam.layers.device import backend_is_on_cpu
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.set_trainable import set_trainable
from keras_sam.train.interactive_loss import InteractiveSegmentationLoss
from keras_sam.train.warmup_cosine import WarmupCosine
from recipes.sam_tiny_synthetic.affinity_loss import AffinityLoss
from recipes.sam_tiny_synthetic.annotated_crops import (
    build_annotated_crops,
    is_complete,
    read_annotated,
)
from recipes.sam_tiny_synthetic.batches import BatchOptions, stream_batches
from recipes.sam_tiny_synthetic.build_segmenter import tiny_segmenter
from recipes.sam_tiny_synthetic.calibrate_iou import calibrate_iou
from recipes.sam_tiny_synthetic.initialize_with_priors import initialize_with_priors
from recipes.sam_tiny_synthetic.scene_store import SEEDS, build_store
from recipes.sam_tiny_synthetic.training_config import Phase, Recipe

RATED_SCENES = 200  # for `calibrate_iou`, at most


def train(
    recipe: Recipe,
    output: str | Path,
    *,
    progress: Callable[[dict[str, Any]], None] | None = None,
    scene_progress: Callable[[int], None] | None = None,
) -> SAMImageSegmenter:
    """Trains from nothing or a preset, or goes on where a run in `output` was stopped.

    Args:
        recipe: what to do.
        output: directory of scenes, checkpoints, the log `log.jsonl` and the preset `preset/`.
        progress: called every 20 steps with the line of the log.
        scene_progress: called with the number of scenes drawn so far.

    Returns:
        The trained segmenter, in float32; it is saved as a preset in `output/preset`.

    Raises:
        ValueError: if `output` holds a run of another recipe, or the recipe has no phase, an
            unknown dtype, or labeled images or a preset that cannot be used; nothing is written
            then.
        FileNotFoundError: if the labeled images have no annotations; likewise.
    """
    if not 0 <= recipe.first_phase < len(recipe.phases):
        raise ValueError(
            f"a recipe needs at least one phase from first_phase={recipe.first_phase} on, "
            f"got {len(recipe.phases)}"
        )
    # What cannot be used is an error before a file is written.
    keras.dtype_policies.get(recipe.dtype)
    output, labeled = Path(output), Path(output) / "labeled"
    if recipe.labeled is not None and not is_complete(labeled):
        read_annotated(recipe.labeled)
    keras.utils.set_random_seed(recipe.seed)
    segmenter = _first_segmenter(recipe)
    # Make what is seen.
    output.mkdir(parents=True, exist_ok=True)
    _check_same_recipe(recipe, output / "recipe.json")
    build_store(
        output / "scenes",
        count=recipe.scenes,
        seed=recipe.seed,
        workers=os.cpu_count() or 1,
        progress=scene_progress,
    )
    if recipe.labeled is not None:
        build_annotated_crops(labeled, recipe.labeled, seed=recipe.seed)
    # Train.
    shape = (recipe.image_size, recipe.image_size, 3)
    numbers = range(recipe.first_phase, len(recipe.phases))
    shares = {number: recipe.phases[number].mean_weight for number in numbers}
    if not any(shares.values()):
        shares[numbers[-1]] = 1.0
    ends: list[tuple[SAMImageSegmenter, float]] = []
    for number in numbers:
        if recipe.phases[number].starts_from_mean and ends:
            segmenter = _mean(ends)
        segmenter = _run_phase(recipe, number, segmenter, output, progress)
        if shares[number]:
            ends.append((segmenter.with_image_shape(shape, dtype="float32"), shares[number]))
    final = _mean(ends)
    set_trainable(final, True)
    final.thresholds = {
        "pred_iou_thresh": recipe.pred_iou_thresh,
        "stability_score_thresh": recipe.stability_score_thresh,
    }
    final.preprocessing = {"box_masks": recipe.box_masks, "outlines": recipe.outlines}
    first = recipe.seed * SEEDS + recipe.scenes  # those before are of the store
    new_scenes = range(first, first + min(RATED_SCENES, recipe.scenes))
    final.preprocessing |= {"ratings": calibrate_iou(final, new_scenes)}
    final.save_to_preset(output / "preset")
    return final


def _first_segmenter(recipe: Recipe) -> SAMImageSegmenter:
    if recipe.start is not None:
        return SAMImageSegmenter.from_preset(recipe.start)
    size = recipe.phases[recipe.first_phase].image_size
    segmenter = tiny_segmenter(size, dtype=recipe.dtype)
    initialize_with_priors(segmenter.backbone)
    return segmenter


def _run_phase(
    recipe: Recipe,
    number: int,
    before: SAMImageSegmenter,
    output: Path,
    progress: Callable[[dict[str, Any]], None] | None,
) -> SAMImageSegmenter:
    """One phase, from the weights of the one before or from its own checkpoint."""
    # Build.
    phase = recipe.phases[number]
    shape = (phase.image_size, phase.image_size, 3)
    segmenter = before.with_image_shape(shape, dtype=recipe.dtype)
    _train_what_learns(segmenter, phase)
    optimizer = _optimizer(phase)
    segmenter.compile(optimizer, loss=_loss(phase, seed=recipe.seed + number))
    optimizer.build(segmenter.trainable_variables)
    # Go on from a checkpoint.
    checkpoint = output / f"phase{number}.npz"
    state = [*segmenter.variables, *optimizer.variables]
    start = _load_state(checkpoint, state)
    _forget_later_lines(output / "log.jsonl", number, start)
    # Train.
    options = _batch_options(recipe, number, output, segmenter.backbone.low_res_size[0])
    began = time.monotonic()
    workers = default_num_workers(segmenter) if recipe.workers is None else recipe.workers
    batches = stream_batches(options, start=start, stop=phase.steps, workers=workers)
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
    optimizer.finalize_variable_values(segmenter.trainable_variables)
    return segmenter


def _mean(ends: list[tuple[SAMImageSegmenter, float]]) -> SAMImageSegmenter:
    """A model with the weighted mean of the weights of some models of one shape."""
    segmenters, shares = zip(*ends, strict=True)
    mean = segmenters[0].with_image_shape(segmenters[0].backbone.image_shape)
    for weight, *weights in zip(mean.weights, *(one.weights for one in segmenters), strict=True):
        arrays = [keras.ops.convert_to_numpy(one) for one in weights]
        weight.assign(np.average(arrays, axis=0, weights=shares))
    return mean


def _optimizer(phase: Phase) -> keras.optimizers.Optimizer:
    """Muon for the matrices of blocks, AdamW for all else, at one rate (arXiv 2502.16982)."""
    return keras.optimizers.Muon(
        WarmupCosine(phase.learning_rate, phase.steps),
        exclude_layers=["rel_pos", "tokens?$", "hypernetworks", "iou_head"],
        weight_decay=0.05,
        adam_weight_decay=0.05,
        adam_beta_2=0.98,
        global_clipnorm=1.0,
        use_ema=phase.averaging > 0,
        ema_momentum=phase.averaging,
    )


def default_num_workers(segmenter: SAMImageSegmenter) -> int:
    """Processes that make batches as fast as what the segmenter is on takes them."""
    if keras.backend.backend() == "torch":
        is_on_cpu = segmenter.variables[0].value.device.type == "cpu"
    else:
        is_on_cpu = backend_is_on_cpu()
    return 1 if is_on_cpu else max(1, (os.cpu_count() or 1) - 1)


def _batch_options(recipe: Recipe, number: int, output: Path, low_res_size: int) -> BatchOptions:
    phase = recipe.phases[number]
    # A labeled image may show many small things, such as nuclei, and its cuts differ in scale.
    share = 0.0 if recipe.labeled is None else phase.labeled_share
    stores = [(output / "scenes", 1.0 - share, 0.004, phase.closest_crop)]
    if share:
        stores.append((output / "labeled", share, 0.0004, phase.closest_labeled_crop))
    paths, weights, min_shares, min_crops = zip(*stores, strict=True)
    return BatchOptions(
        stores=tuple(map(str, paths)),
        weights=weights,
        min_shares=min_shares,
        min_crops=min_crops,
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
    return InteractiveSegmentationLoss(
        rounds=phase.rounds,
        correction_share=phase.correction_share,
        top_iou_weight=phase.top_iou_weight,
        center_click_probability=phase.center_click_probability,
        box_probability=phase.box_probability,
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


def _forget_later_lines(path: Path, number: int, step: int) -> None:
    """Takes out of the log what a phase did after its checkpoint: it will be done again."""

    def is_known(line: dict[str, Any]) -> bool:
        return bool(line["phase"] != number or line["step"] <= step)

    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and is_known(json.loads(line))]
    if len(kept) < len(lines):
        write_atomically(path, "".join(kept).encode())


def _log(
    path: Path, line: dict[str, Any], progress: Callable[[dict[str, Any]], None] | None
) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    if progress is not None:
        progress(line)
