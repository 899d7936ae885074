"""`finetune`: trains a preset on labeled images, and writes the best weights as a preset."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_sam.annotations.labeled_dataset import LabeledDataset
from keras_sam.evaluate.calibration import expected_calibration_error
from keras_sam.evaluate.evaluate import Evaluation, evaluate_dataset
from keras_sam.files.atomic_file import write_atomically
from keras_sam.losses.interactive_segmentation_loss import InteractiveSegmentationLoss
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.sam_predictor import SAMPredictor
from keras_sam.train.augmentation import Augmentation
from keras_sam.train.check_dataset import DatasetReport
from keras_sam.train.embedding_cache import CachedBatches, cache_embeddings
from keras_sam.train.finetune_config import METRICS, PROMPTS, FinetuneConfig
from keras_sam.train.fit_on_devices import check_devices, fit_on_devices
from keras_sam.train.layer_decay import LayerDecayAdamW, layer_rates
from keras_sam.train.mask_batches import MaskBatches
from keras_sam.train.mask_validation import MaskValidation
from keras_sam.train.memory_plan import parse_memory, plan_memory
from keras_sam.train.refit import refit_inference_config
from keras_sam.train.report import FinetuneReport, library_versions, write_report
from keras_sam.train.report_gallery import GalleryRow, Prompt, choose_targets, predict_crops
from keras_sam.train.stop_on_nan import StopOnNaN
from keras_sam.train.tensorboard_logs import TensorBoardLogs, require_tensorboardx
from keras_sam.train.training_state import TrainingState

# Settings that a resumed run may change.
FREE_SETTINGS = ("epochs", "patience", "refit_images", "clicks", "tensorboard", "devices")
VALIDATION_METRICS = (
    *METRICS,
    "box_boundary_iou",
    "point_boundary_iou",
    "three_point_boundary_iou",
)
GALLERY_PROMPTS: tuple[Prompt, ...] = ("box", "point")


@dataclass(frozen=True)
class FinetuneResult:
    """Mean IoU before and after training, by the names of `Evaluation`.

    Attributes:
        before: On the test images, with the preset.
        after: On the test images, with the trained model.
        logs: Metrics of each epoch.
        best_epoch: Epoch whose weights were kept; 0 if none was better than the preset.
        inference_config: Settings of the new preset.
        preset: Directory of the new preset.
    """

    before: Mapping[str, float]
    after: Mapping[str, float]
    logs: list[dict[str, float]]
    best_epoch: int
    inference_config: Mapping[str, Any]
    preset: Path


def finetune(
    dataset: LabeledDataset,
    preset: str | Path,
    output: str | Path,
    config: FinetuneConfig | None = None,
    *,
    report: DatasetReport | None = None,
    command: str = "",
    log: Callable[[str], Any] = print,
) -> FinetuneResult:
    """Train a preset on labeled images.

    Each kind of prompt is measured before training and after each epoch, and the best weights
    are kept. A stopped call resumes after its last epoch if it is repeated.

    Args:
        dataset: Images with their masks.
        preset: Preset to start from, see `SAMImageSegmenter.from_preset`.
        output: Directory of the run. It gets `preset/`, `report.html`, `log.csv` and
            `result.json`.
        config: Settings.
        report: Output of `check_dataset`, for the report.
        command: Command of the run, for the report.
        log: Function called with messages about the progress.

    Raises:
        ImportError: If `config.tensorboard` is set and tensorboardX is not installed.
        ValueError: If the data set is too small for the split, `output` contains a run with
            other settings, or the loss is not finite.
    """
    config = config or FinetuneConfig()
    check_devices(config.devices)
    if config.tensorboard:
        require_tensorboardx()
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    train, val, test = dataset.split(val=config.val, test=config.test, seed=config.seed)
    log(f"{len(train)} images for training, {len(val)} for validation, {len(test)} for the test")
    segmenter = SAMImageSegmenter.from_preset(preset)
    predictor = SAMPredictor(segmenter)
    if config.image_size is not None:
        segmenter = segmenter.with_image_shape((config.image_size, config.image_size, 3))
    config = _fit_to_memory(segmenter, config, log)
    before = _evaluate_test(predictor, test, config)
    predictor, validation, state = _train(segmenter, preset, train, val, output, config, log)
    if config.refit_images:
        _refit(predictor, val, config, log)
    segmenter.save_to_preset(output / "preset")
    trained = SAMPredictor(segmenter, engine=predictor.engine)
    after = _evaluate_test(trained, test, config)
    result = FinetuneResult(
        before=_mean_iou(before, METRICS),
        after=_mean_iou(after, METRICS),
        logs=state.logs,
        best_epoch=validation.best_epoch,
        inference_config=segmenter.inference_config.to_dict(),
        preset=output / "preset",
    )
    content = {**asdict(result), "config": asdict(config), "preset": str(result.preset)}
    write_atomically(output / "result.json", json.dumps(content, indent=2).encode())
    targets = [
        target
        for prompt in GALLERY_PROMPTS
        for target in choose_targets(after.scores, prompt=prompt)
    ]
    start = SAMPredictor(SAMImageSegmenter.from_preset(preset))
    crops = [predict_crops(one, test, targets) for one in (start, trained)]
    write_report(
        output / "report.html",
        FinetuneReport(
            before=before,
            after=after,
            logs=state.logs,
            baseline=validation.baseline,
            best_epoch=validation.best_epoch,
            gallery=[GalleryRow(*row) for row in zip(targets, *crops, strict=True)],
            dataset=report,
            settings={"preset": str(preset), **asdict(config)},
            command=command,
            versions=library_versions(),
        ),
    )
    return result


def _train(
    segmenter: SAMImageSegmenter,
    preset: str | Path,
    train: LabeledDataset,
    val: LabeledDataset,
    output: Path,
    config: FinetuneConfig,
    log: Callable[[str], Any],
) -> tuple[SAMPredictor, MaskValidation, TrainingState]:
    """Train until the last epoch or the end of progress. The segmenter gets the best weights."""
    segmenter.set_trained_part(config.part, lora_rank=config.lora_rank, remat=config.remat)
    model, batches = _prepare(segmenter, train, output, config, log)
    predictor = SAMPredictor(segmenter)  # its programs use the weights of each epoch
    prompts = PROMPTS[config.prompts]
    model.compile(
        _build_optimizer(segmenter, config),
        loss=InteractiveSegmentationLoss(
            box_probability=prompts.box_probability,
            center_click_probability=0.5,
            remat=config.remat,
            seed=config.seed,
        ),
    )
    validation = MaskValidation(
        lambda: _validate(predictor, val, config),
        kinds=prompts.metrics,
        patience=config.patience,
        warn=log,
    )
    settings = {name: value for name, value in asdict(config).items() if name not in FREE_SETTINGS}
    state = TrainingState(
        output / "state.safetensors",
        validation,
        seed=config.seed,
        fingerprint={
            **settings,
            "preset": str(preset),
            "images": [image.name for image in train.images],
        },
    )
    if state.restore(model):
        log(f"resuming after epoch {state.epoch}")
    callbacks = [
        StopOnNaN(batches.image_names),
        validation,
        state,
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: _report_epoch(state, output, config, log)
        ),
    ]
    if config.tensorboard:
        callbacks.append(TensorBoardLogs(output / "tensorboard", state))
    fit_on_devices(
        model,
        batches,
        devices=config.devices,
        epochs=config.epochs,
        initial_epoch=state.epoch,
        callbacks=callbacks,
        verbose=0,
    )
    return predictor, validation, state


def _fit_to_memory(
    segmenter: SAMImageSegmenter, config: FinetuneConfig, log: Callable[[str], Any]
) -> FinetuneConfig:
    """Return settings whose training step fits into the memory budget of each device."""
    if config.memory is None:
        return config
    plan = plan_memory(
        segmenter,
        config.part,
        parse_memory(config.memory),
        batch_size=config.batch_size // config.devices,
        masks_per_image=config.masks_per_image,
        lora_rank=config.lora_rank,
    )
    log(str(plan))
    return dataclasses.replace(
        config,
        batch_size=plan.batch_size * config.devices,
        masks_per_image=plan.masks_per_image,
        remat=plan.remat or config.remat,
    )


def _build_optimizer(
    segmenter: SAMImageSegmenter, config: FinetuneConfig
) -> keras.optimizers.Optimizer:
    if config.part != "all":
        return keras.optimizers.AdamW(config.learning_rate, global_clipnorm=1.0)
    rates = layer_rates(segmenter.backbone.image_encoder, config.layer_decay)
    return LayerDecayAdamW(config.learning_rate, layer_rates=rates, global_clipnorm=1.0)


def _prepare(
    segmenter: SAMImageSegmenter,
    train: LabeledDataset,
    output: Path,
    config: FinetuneConfig,
    log: Callable[[str], Any],
) -> tuple[SAMImageSegmenter, CachedBatches | MaskBatches]:
    """Return the model to fit and its batches."""
    augment = Augmentation()
    if config.any_orientation:
        augment = Augmentation(vertical_flip=0.5, quarter_turns=True)
    if config.part != "decoder":
        return segmenter, MaskBatches(
            train,
            batch_size=config.batch_size,
            masks_per_image=config.masks_per_image,
            augment=augment,
            seed=config.seed,
        )
    log(f"encoding {len(train) * config.views} views")
    files = cache_embeddings(
        segmenter,
        train,
        output / "embeddings",
        views=config.views,
        augment=augment,
        seed=config.seed,
    )
    batches = CachedBatches(
        files,
        batch_size=config.batch_size,
        masks_per_image=config.masks_per_image,
        seed=config.seed,
    )
    return SAMImageSegmenter(segmenter.backbone, preprocessor=None), batches


def _evaluate_test(
    predictor: SAMPredictor, test: LabeledDataset, config: FinetuneConfig
) -> Evaluation:
    return evaluate_dataset(predictor, test, max_masks=config.max_masks, clicks=config.clicks)


def _validate(
    predictor: SAMPredictor, val: LabeledDataset, config: FinetuneConfig
) -> dict[str, float]:
    evaluation = evaluate_dataset(predictor, val, max_masks=config.max_masks)
    error = expected_calibration_error(evaluation.calibration)
    return {**_mean_iou(evaluation, VALIDATION_METRICS), "calibration_error": error}


def _mean_iou(evaluation: Evaluation, metrics: Sequence[str]) -> dict[str, float]:
    return {name: getattr(evaluation, name) for name in metrics}


def _refit(
    predictor: SAMPredictor, val: LabeledDataset, config: FinetuneConfig, log: Callable[[str], Any]
) -> None:
    """Fit the settings that depend on the weights to the validation images."""
    metrics = PROMPTS[config.prompts].metrics
    samples = [
        (image.image(), np.array([mask for mask in image.masks() if mask.any()]))
        for image in val.images[: config.refit_images]
    ]
    refit = refit_inference_config(
        predictor,
        samples,
        score=lambda refined: sum(_validate(refined, val, config)[name] for name in metrics),
        max_masks=config.max_masks,
    )
    predictor.model.inference_config = refit
    log(f"mask refiner: {refit.mask_refiner}; thresholds: {refit.mask_thresholds}")


def _report_epoch(
    state: TrainingState, output: Path, config: FinetuneConfig, log: Callable[[str], Any]
) -> None:
    latest = state.logs[-1]
    metrics = PROMPTS[config.prompts].metrics
    scores = ", ".join(f"{name} {latest[f'val_{name}']:.3f}" for name in metrics)
    log(f"epoch {state.epoch}/{config.epochs}: loss {latest['loss']:.3f}, {scores}")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(latest))
    writer.writeheader()
    writer.writerows(state.logs)
    write_atomically(output / "log.csv", text.getvalue().encode())
