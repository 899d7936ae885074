"""`WarmupCosine`: a learning-rate schedule with linear warmup and cosine decay."""

import math
from typing import Any

import keras

END_SHARE = 0.05  # of the peak


@keras.saving.register_keras_serializable(package="keras_sam")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate that rises linearly, then falls along a cosine to a twentieth of its peak.

    Unlike `keras.optimizers.schedules.CosineDecay`, it does not waste its first step on a rate
    of zero.

    Args:
        peak: Highest learning rate.
        steps: Total number of steps.
        warmup: Number of steps of the rise. Limited to half of `steps`.
    """

    def __init__(self, peak: float, steps: int, warmup: int = 100) -> None:
        self.peak = peak
        self.steps = steps
        self.warmup = min(warmup, max(1, steps // 2))

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, counted from 0."""
        step = keras.ops.cast(step, "float32")
        rise = (step + 1.0) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        cosine = 0.5 * (1.0 + keras.ops.cos(math.pi * keras.ops.clip(progress, 0.0, 1.0)))
        fall = END_SHARE + (1.0 - END_SHARE) * cosine
        return self.peak * keras.ops.minimum(rise, fall)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup}
