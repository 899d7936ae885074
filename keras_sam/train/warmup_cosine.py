"""`WarmupCosine`: a learning rate that rises, then falls."""

import math
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_sam")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly over `warmup` steps, then falls along a cosine to a twentieth.

    Args:
        peak: the highest rate.
        steps: number of steps.
        warmup: steps of the rise.
    """

    def __init__(self, peak: float, steps: int, warmup: int = 100) -> None:
        self.peak = peak
        self.steps = steps
        self.warmup = min(warmup, max(1, steps // 2))

    def __call__(self, step: Any) -> Any:
        """The rate of a step."""
        step = keras.ops.cast(step, "float32")
        rise = (step + 1.0) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        fall = 0.05 + 0.475 * (1.0 + keras.ops.cos(math.pi * keras.ops.clip(share, 0.0, 1.0)))
        return self.peak * keras.ops.minimum(rise, fall)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup}
