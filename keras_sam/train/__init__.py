"""Training: simulated prompts, losses, learning rates."""

from keras_sam.train.flush_denormals import flush_denormals
from keras_sam.train.interactive_loss import InteractiveSegmentationLoss
from keras_sam.train.warmup_cosine import WarmupCosine

__all__ = ["InteractiveSegmentationLoss", "WarmupCosine", "flush_denormals"]
