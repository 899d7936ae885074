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
from keras_sam.train.layer_decay import LayerDecayAdamW, layer_rates
from keras_sam.train.mask_batches import MaskBatches
from keras_sam.train.mask_validation import MaskValidation
from keras_sam.train.memory_plan import MemoryPlan, estimate_memory, parse_memory, plan_memory
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
    "LayerDecayAdamW",
    "MaskBatches",
    "MaskCrop",
    "MaskValidation",
    "MemoryPlan",
    "TensorBoardLogs",
    "TrainingState",
    "WarmupCosine",
    "cache_embeddings",
    "check_dataset",
    "check_devices",
    "choose_targets",
    "estimate_memory",
    "finetune",
    "fit_on_devices",
    "flush_denormals",
    "layer_rates",
    "library_versions",
    "load_embedding",
    "parse_memory",
    "plan_memory",
    "predict_crops",
    "require_tensorboardx",
    "write_report",
]
