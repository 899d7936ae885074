"""Fine-tuning: batches of labeled images, augmentation and learning-rate schedules. No losses."""

from keras_sam.train.augmentation import Augmentation
from keras_sam.train.check_dataset import DatasetProblem, DatasetReport, check_dataset
from keras_sam.train.flush_denormals import flush_denormals
from keras_sam.train.mask_batches import MaskBatches
from keras_sam.train.warmup_cosine import WarmupCosine

__all__ = [
    "Augmentation",
    "DatasetProblem",
    "DatasetReport",
    "MaskBatches",
    "WarmupCosine",
    "check_dataset",
    "flush_denormals",
]
