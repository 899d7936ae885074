"""Fine-tuning: batches, cached embeddings, validation, runs and their reports. No losses."""

from keras_sam.train.augmentation import Augmentation
from keras_sam.train.check_dataset import DatasetProblem, DatasetReport, check_dataset
from keras_sam.train.embedding_cache import (
    CachedBatches,
    CachedEmbedding,
    cache_embeddings,
    load_embedding,
)
from keras_sam.train.finetune import FinetuneResult, finetune
from keras_sam.train.finetune_config import FinetuneConfig
from keras_sam.train.fit_on_devices import check_devices, fit_on_devices
from keras_sam.train.flush_denormals import flush_denormals
from keras_sam.train.mask_batches import MaskBatches
from keras_sam.train.mask_validation import MaskValidation
from keras_sam.train.report import FinetuneReport, library_versions, write_report
from keras_sam.train.report_gallery import (
    GalleryRow,
    GalleryTarget,
    MaskCrop,
    choose_targets,
    predict_crops,
)
from keras_sam.train.tensorboard_logs import TensorBoardLogs, require_tensorboardx
from keras_sam.train.training_state import TrainingState
from keras_sam.train.warmup_cosine import WarmupCosine

__all__ = [
    "Augmentation",
    "CachedBatches",
    "CachedEmbedding",
    "DatasetProblem",
    "DatasetReport",
    "FinetuneConfig",
    "FinetuneReport",
    "FinetuneResult",
    "GalleryRow",
    "GalleryTarget",
    "MaskBatches",
    "MaskCrop",
    "MaskValidation",
    "TensorBoardLogs",
    "TrainingState",
    "WarmupCosine",
    "cache_embeddings",
    "check_dataset",
    "check_devices",
    "choose_targets",
    "finetune",
    "fit_on_devices",
    "flush_denormals",
    "library_versions",
    "load_embedding",
    "predict_crops",
    "require_tensorboardx",
    "write_report",
]
