"""`finetune`: trains a preset on labeled images, and writes the best weights as a preset."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_sam.annotations.labeled_dataset import LabeledDataset
from keras_sam.evaluate.evaluate import evaluate_dataset
from keras_sam.files.atomic_file import write_atomically
from keras_sam.losses.interactive_segmentation_loss import InteractiveSegmentationLoss
from keras_sam.models.prompt_trained_model import LEARNING_RATE
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.trained_part import TrainedPart, check_part
from keras_sam.predict.sam_predictor import SAMPredictor
from keras_sam.train.augmentation import Augmentation
from keras_sam.train.embedding_cache import CachedBatches, cache_embeddings
from keras_sam.train.mask_batches import MaskBatches
from keras_sam.train.mask_validation import MaskValidation
from keras_sam.train.refit import fit_iou_calibration, fit_mask_thresholds
from keras_sam.train.training_state import TrainingState
from keras_sam.transforms.mask_refiner import MaskRefiner

METRICS = ("box_iou", "point_iou", "point_oracle_iou", "three_point_iou")
# First prompts of training: the probability of a box, and the metrics that choose the best epoch.
PROMPTS = {"any": (0.5, METRICS), "points": (0.0, METRICS[1:]), "boxes": (1.0, METRICS[:1])}


@dataclass(frozen=True)
class FinetuneConfig:
    """Settings of `finetune`.

    Attributes:
        part: Weights to train, see `SAMImageSegmenter.set_trained_part`.
        prompts: First prompts of training: "any", "points" or "boxes". With only one kind, the
            best epoch is chosen by the metrics of this kind.
        epochs: Maximum number of epochs.
        patience: Training stops after this number of epochs without a better validation.
        learning_rate: Learning rate of AdamW.
        batch_size: Images per step.
        masks_per_image: Masks per image and step.
        views: For the part "decoder", the number of augmented views of each image that are
            encoded before training, including the image itself. Others are augmented anew in
            each epoch.
        lora_rank: Rank of the adapters, for the part "lora".
        val: Share of the images for validation, in (0, 1).
        test: Share of the images for the final test, in (0, 1).
        max_masks: Maximum number of masks per image in validation and test.
        refit_images: Maximum number of validation images to which the preset's mask refiner and
            thresholds are fitted after training. 0 keeps those of the preset.
        seed: Seed of the split, the views, the order and the prompts.

    Raises:
        ValueError: If the part or the kind of prompts is unknown.
    """

    part: TrainedPart = "decoder"
    prompts: str = "any"
    epochs: int = 30
    patience: int = 8
    learning_rate: float = LEARNING_RATE
    batch_size: int = 1
    masks_per_image: int = 16
    views: int = 4
    lora_rank: int = 8
    val: float = 0.15
    test: float = 0.15
    max_masks: int = 32
    refit_images: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        check_part(self.part)
        if self.prompts not in PROMPTS:
            raise ValueError(f"prompts must be one of {', '.join(PROMPTS)}, got {self.prompts!r}")


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
    log: Callable[[str], Any] = print,
) -> FinetuneResult:
    """Train a preset on labeled images.

    Each kind of prompt is measured before training and after each epoch, and the best weights
    are kept. A stopped call resumes after its last epoch if it is repeated.

    Args:
        dataset: Images with their masks.
        preset: Preset to start from, see `SAMImageSegmenter.from_preset`.
        output: Directory of the run. It gets `preset/`, `log.csv` and `result.json`.
        config: Settings.
        log: Function called with messages about the progress.

    Raises:
        ValueError: If the data set is too small for the split, or `output` contains a run with
            other settings.
    """
    config = config or FinetuneConfig()
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    train, val, test = dataset.split(val=config.val, test=config.test, seed=config.seed)
    log(f"{len(train)} images for training, {len(val)} for validation, {len(test)} for the test")
    segmenter = SAMImageSegmenter.from_preset(preset)
    before = _evaluate(SAMPredictor(segmenter), test, config)
    segmenter.set_trained_part(config.part, lora_rank=config.lora_rank)
    model, batches = _prepare(segmenter, train, output, config, log)
    predictor = SAMPredictor(segmenter)  # its programs use the weights of each epoch
    box_probability, metrics = PROMPTS[config.prompts]
    model.compile(
        keras.optimizers.AdamW(config.learning_rate, global_clipnorm=1.0),
        loss=InteractiveSegmentationLoss(
            box_probability=box_probability, center_click_probability=0.5, seed=config.seed
        ),
    )
    validation = MaskValidation(
        lambda: _evaluate(predictor, val, config, metrics), patience=config.patience, warn=log
    )
    settings = {**asdict(config), "epochs": None, "patience": None, "preset": str(preset)}
    images = [image.name for image in train.images]
    state = TrainingState(
        output / "state.safetensors",
        validation,
        seed=config.seed,
        fingerprint={**settings, "images": images},
    )
    if state.restore(model):
        log(f"resuming after epoch {state.epoch}")
    progress = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: _report_epoch(state, output, config, log)
    )
    model.fit(
        batches,
        epochs=config.epochs,
        initial_epoch=state.epoch,
        callbacks=[validation, state, progress],
        verbose=0,
    )
    if config.refit_images:
        _refit_inference_config(predictor, val, config, log)
    segmenter.save_to_preset(output / "preset")
    result = FinetuneResult(
        before=before,
        after=_evaluate(SAMPredictor(segmenter, engine=predictor.engine), test, config),
        logs=state.logs,
        best_epoch=validation.best_epoch,
        inference_config=segmenter.inference_config.to_dict(),
        preset=output / "preset",
    )
    content = {**asdict(result), "config": asdict(config), "preset": str(result.preset)}
    write_atomically(output / "result.json", json.dumps(content, indent=2).encode())
    return result


def _prepare(
    segmenter: SAMImageSegmenter,
    train: LabeledDataset,
    output: Path,
    config: FinetuneConfig,
    log: Callable[[str], Any],
) -> tuple[SAMImageSegmenter, CachedBatches | MaskBatches]:
    """Return the model to fit and its batches."""
    augment = Augmentation()
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


def _evaluate(
    predictor: SAMPredictor,
    dataset: LabeledDataset,
    config: FinetuneConfig,
    metrics: tuple[str, ...] = METRICS,
) -> dict[str, float]:
    evaluation = evaluate_dataset(predictor, dataset, max_masks=config.max_masks)
    return {name: getattr(evaluation, name) for name in metrics}


def _refit_inference_config(
    predictor: SAMPredictor,
    val: LabeledDataset,
    config: FinetuneConfig,
    log: Callable[[str], Any],
) -> None:
    """Fit the settings that depend on the weights to the validation images, and keep the best."""
    model, metrics = predictor.model, PROMPTS[config.prompts][1]
    samples = [
        (image.image(), np.array([mask for mask in image.masks() if mask.any()]))
        for image in val.images[: config.refit_images]
    ]
    present = model.inference_config.mask_refiner
    if present is not None:
        few = [(image, masks[: config.max_masks]) for image, masks in samples]
        calibration = fit_iou_calibration(model, few)
        refiners = [present, None]
        if present.iou_calibration is not None and calibration is not None:
            refiners.append(dataclasses.replace(present, iou_calibration=calibration))

        def score(refiner: MaskRefiner | None) -> float:
            refined = SAMPredictor(model, mask_refiner=refiner, engine=predictor.engine)
            return sum(_evaluate(refined, val, config, metrics).values())

        best = max(refiners, key=score)
        model.inference_config = dataclasses.replace(model.inference_config, mask_refiner=best)
        log(f"mask refiner: {best or 'none, since validation is better without it'}")
    thresholds = fit_mask_thresholds(
        SAMPredictor(model, engine=predictor.engine),
        samples,
        start=model.inference_config.mask_thresholds,
    )
    model.inference_config = dataclasses.replace(model.inference_config, mask_thresholds=thresholds)
    log(f"thresholds of automatic masks: {thresholds}")


def _report_epoch(
    state: TrainingState, output: Path, config: FinetuneConfig, log: Callable[[str], Any]
) -> None:
    latest = state.logs[-1]
    metrics = PROMPTS[config.prompts][1]
    scores = ", ".join(f"{name} {latest[f'val_{name}']:.3f}" for name in metrics)
    log(f"epoch {state.epoch}/{config.epochs}: loss {latest['loss']:.3f}, {scores}")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(latest))
    writer.writeheader()
    writer.writerows(state.logs)
    write_atomically(output / "log.csv", text.getvalue().encode())
