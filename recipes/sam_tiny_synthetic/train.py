"""`train`: train the preset `sam_tiny_synthetic`."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_sam.layers.device import backend_is_on_cpu
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.set_trainable import set_trainable
from keras_sam.train.refit import fit_iou_calibration
from keras_sam.transforms.inference_config import InferenceConfig, MaskThresholds
from keras_sam.transforms.mask_refiner import MaskRefiner
from recipes.sam_tiny_synthetic.annotated_crops import (
    build_annotated_crops,
    is_complete,
    read_training_images,
)
from recipes.sam_tiny_synthetic.batches import BatchOptions, DatasetOptions, stream_batches
from recipes.sam_tiny_synthetic.build_segmenter import build_segmenter
from recipes.sam_tiny_synthetic.compile_phase import compile_phase
from recipes.sam_tiny_synthetic.initialize_with_priors import initialize_with_priors
from recipes.sam_tiny_synthetic.run_directory import RunDirectory
from recipes.sam_tiny_synthetic.scene_dataset import SEEDS_PER_DATASET, build_scene_dataset
from recipes.sam_tiny_synthetic.scenes.scene import draw_scene
from recipes.sam_tiny_synthetic.training_config import TrainingConfig

MAX_CALIBRATION_SCENES = 200
MAX_CALIBRATION_MASKS = 16  # of a scene
MIN_MASK_AREA, MAX_MASK_AREA = 0.004, 0.9  # of a calibration mask, as a share of the scene
STEPS_PER_LOG_LINE = 20

Progress = Callable[[dict[str, Any]], None]


def train(
    config: TrainingConfig,
    output: str | Path,
    *,
    progress: Progress | None = None,
    scene_progress: Callable[[int], None] | None = None,
) -> SAMImageSegmenter:
    """Train from random weights or a preset, or resume a run.

    Args:
        config: Settings of the run.
        output: Directory of the run; see `RunDirectory`. A run that was stopped resumes from its
            last checkpoint.
        progress: Function that is called with each line of the log.
        scene_progress: Function that is called with the number of scenes drawn so far.

    Returns:
        The trained segmenter, in float32, which is also saved as a preset.

    Raises:
        FileNotFoundError: If the dataset has no annotations.
        ValueError: If the directory contains a run with other settings, or if there is no phase
            to run, the dtype is unknown, or the dataset or the preset cannot be used. Nothing is
            written then.
    """
    run = RunDirectory(output)
    segmenter = _check_and_build(config, run)
    run.create(config)
    build_scene_dataset(
        run.scenes,
        count=config.num_scenes,
        seed=config.seed,
        num_workers=os.cpu_count() or 1,
        progress=scene_progress,
    )
    if config.dataset is not None:
        build_annotated_crops(run.annotated_crops, config.dataset, seed=config.seed)
    final = _train_phases(config, segmenter, run, progress)
    set_trainable(final, True)
    _attach_inference_settings(final, config)
    final.save_to_preset(run.preset)
    return final


def _check_and_build(config: TrainingConfig, run: RunDirectory) -> SAMImageSegmenter:
    """Check the settings before anything is written, and build the first segmenter."""
    if not 0 <= config.start_phase < len(config.phases):
        raise ValueError(
            f"expected at least one phase from start_phase={config.start_phase} on, got "
            f"{len(config.phases)} phases"
        )
    keras.dtype_policies.get(config.dtype)
    if config.dataset is not None and not is_complete(run.annotated_crops):
        read_training_images(config.dataset)
    keras.utils.set_random_seed(config.seed)
    if config.init_from is not None:
        return SAMImageSegmenter.from_preset(config.init_from, preprocessor=None)
    image_size = config.phases[config.start_phase].image_size
    segmenter = build_segmenter(image_size, dtype=config.dtype)
    initialize_with_priors(segmenter.backbone)
    return segmenter


def _train_phases(
    config: TrainingConfig,
    segmenter: SAMImageSegmenter,
    run: RunDirectory,
    progress: Progress | None,
) -> SAMImageSegmenter:
    """Run all phases, and average their weights."""
    shape = (config.image_size, config.image_size, 3)
    weights = {index: config.phases[index].swa_weight for index in config.phase_indices}
    if not any(weights.values()):
        weights[config.phase_indices[-1]] = 1.0
    members: list[tuple[SAMImageSegmenter, float]] = []
    for index, weight in weights.items():
        if config.phases[index].init_from_swa and members:
            segmenter = _average(members)
        segmenter = _train_phase(config, index, segmenter, run, progress)
        if weight:
            members.append((segmenter.with_image_shape(shape, dtype="float32"), weight))
    return _average(members)


def _train_phase(
    config: TrainingConfig,
    index: int,
    previous: SAMImageSegmenter,
    run: RunDirectory,
    progress: Progress | None,
) -> SAMImageSegmenter:
    """Run one phase from the weights of another segmenter, or from its own checkpoint."""
    phase = config.phases[index]
    shape = (phase.image_size, phase.image_size, 3)
    segmenter = previous.with_image_shape(shape, dtype=config.dtype)
    compile_phase(segmenter, phase, seed=config.seed + index)
    variables = [*segmenter.variables, *segmenter.optimizer.variables]
    start = run.load_checkpoint(index, variables)
    run.truncate_log(index, start)
    options = build_batch_options(config, index, run, segmenter.backbone.low_res_size[0])
    num_workers = config.num_workers
    num_workers = default_num_workers(segmenter) if num_workers is None else num_workers
    batches = stream_batches(options, start=start, stop=phase.steps, num_workers=num_workers)
    start_time = time.monotonic()
    for step, (x, y) in enumerate(batches, start=start + 1):
        logs = segmenter.train_on_batch(x, y, return_dict=True)
        is_last = step == phase.steps
        if step % STEPS_PER_LOG_LINE == 0 or is_last:
            seconds = (time.monotonic() - start_time) / (step - start)
            line: dict[str, Any] = {"phase": index, "step": step, "steps": phase.steps}
            line |= {name: round(float(value), 4) for name, value in logs.items()}
            line |= {"seconds": round(seconds, 3)}
            run.append_log(line)
            if progress is not None:
                progress(line)
            segmenter.reset_metrics()
        if step % config.save_every == 0 or is_last:
            run.save_checkpoint(index, variables, step)
    segmenter.optimizer.finalize_variable_values(segmenter.trainable_variables)
    return segmenter


def _average(members: list[tuple[SAMImageSegmenter, float]]) -> SAMImageSegmenter:
    """Build a segmenter with the weighted mean of the weights of segmenters of one shape."""
    segmenters, shares = zip(*members, strict=True)
    average = segmenters[0].with_image_shape(segmenters[0].backbone.image_shape)
    all_weights = (segmenter.weights for segmenter in segmenters)
    for target, *sources in zip(average.weights, *all_weights, strict=True):
        arrays = [keras.ops.convert_to_numpy(source) for source in sources]
        target.assign(np.average(arrays, axis=0, weights=shares))
    return average


def _attach_inference_settings(segmenter: SAMImageSegmenter, config: TrainingConfig) -> None:
    """Set what the preset stores besides its weights."""
    first = config.seed * SEEDS_PER_DATASET + config.num_scenes  # those before are trained on
    seeds = range(first, first + min(MAX_CALIBRATION_SCENES, config.num_scenes))
    calibration = None
    if config.boundary_refinement != "none":
        calibration = fit_iou_calibration(segmenter, map(_calibration_sample, seeds))
    segmenter.inference_config = InferenceConfig(
        mask_thresholds=MaskThresholds(config.pred_iou_thresh, config.stability_score_thresh),
        mask_refiner=MaskRefiner(config.boundary_refinement, config.box_constraint, calibration),
    )


def _calibration_sample(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the image `(H, W, 3)` and masks `(P, H, W)` of a scene."""
    scene = draw_scene(seed)
    masks = [mask for mask in scene.masks() if MIN_MASK_AREA < mask.mean() < MAX_MASK_AREA]
    return scene.image, np.array(masks[:MAX_CALIBRATION_MASKS])


def build_batch_options(
    config: TrainingConfig, index: int, run: RunDirectory, low_res_size: int
) -> BatchOptions:
    """Build the options of a phase's batches."""
    phase = config.phases[index]
    annotated_share = 0.0 if config.dataset is None else phase.annotated_share
    datasets = [
        DatasetOptions(
            directory=str(run.scenes),
            weight=1.0 - annotated_share,
            min_mask_area=0.004,
            min_crop_scale=phase.min_crop_scale,
        )
    ]
    if annotated_share:
        datasets.append(
            DatasetOptions(
                directory=str(run.annotated_crops),
                weight=annotated_share,
                min_mask_area=0.0004,  # annotated objects may be small, such as nuclei
                min_crop_scale=phase.min_annotated_crop_scale,
            )
        )
    return BatchOptions(
        datasets=tuple(datasets),
        image_size=phase.image_size,
        low_res_size=low_res_size,
        batch_size=phase.batch_size,
        masks_per_image=phase.masks_per_image,
        area_sampling_exponent=phase.area_sampling_exponent,
        color_jitter=phase.color_jitter,
        seed=config.seed + 1000 * index,
    )


def default_num_workers(segmenter: SAMImageSegmenter) -> int:
    """Return the number of workers that make batches as fast as the device uses them."""
    if keras.backend.backend() == "torch":
        is_on_cpu = segmenter.variables[0].value.device.type == "cpu"
    else:
        is_on_cpu = backend_is_on_cpu()
    return 1 if is_on_cpu else max(1, (os.cpu_count() or 1) - 1)
