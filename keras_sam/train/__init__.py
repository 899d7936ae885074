"""Fine-tuning: learning-rate schedules and settings of the process. No losses, no data."""

from keras_sam.train.flush_denormals import flush_denormals
from keras_sam.train.warmup_cosine import WarmupCosine

__all__ = ["WarmupCosine", "flush_denormals"]
