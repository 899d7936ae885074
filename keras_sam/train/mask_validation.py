"""`MaskValidation`: evaluates masks after each epoch, and keeps the best weights."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops


class MaskValidation(keras.callbacks.Callback):
    """Evaluates a segmenter with fixed prompts, and keeps the weights of the best epoch.

    The loss of `fit` has random prompts of one kind or another, which hide that one kind gets
    worse. This callback measures each kind. The best epoch is that with the highest mean over the
    kinds; the weights before training count as an epoch, so that training cannot make a model
    worse. The metrics are added to the logs with the prefix `val_`.

    Args:
        evaluate: Function that returns metrics by name.
        kinds: Names of the metrics that are compared, one for each kind of prompt; higher is
            better. `None` for all.
        patience: Training stops after this number of epochs without a better mean. `None` never
            stops it.
        warn: Function called with a message if a kind is below its value before training.

    Attributes:
        baseline: Metrics before training.
        best: Metrics of the best epoch.
        best_epoch: Number of completed epochs with the best mean; 0 before training.
    """

    def __init__(
        self,
        evaluate: Callable[[], Mapping[str, float]],
        *,
        kinds: Collection[str] | None = None,
        patience: int | None = None,
        warn: Callable[[str], Any] = print,
    ) -> None:
        super().__init__()
        self.evaluate = evaluate
        self.kinds = kinds
        self.patience = patience
        self.warn = warn
        self.baseline: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self.best_epoch = 0
        self._best_weights: list[np.ndarray] = []

    @property
    def state(self) -> dict[str, Any]:
        """What `restore` needs to continue: arrays, and values for JSON."""
        return {
            "arrays": self._best_weights,
            "baseline": self.baseline,
            "best": self.best,
            "best_epoch": self.best_epoch,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from an earlier `state`. Call it before `fit`."""
        self._best_weights = list(state["arrays"])
        self.baseline, self.best = dict(state["baseline"]), dict(state["best"])
        self.best_epoch = int(state["best_epoch"])

    def on_train_begin(self, logs: Any = None) -> None:
        """Measure the weights before training, unless a state was restored."""
        if not self.baseline:
            self.baseline = dict(self.evaluate())
            self._keep(self.baseline, epoch=0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure, keep the weights if they are the best, and stop without progress."""
        model = self.model  # with JAX, this moves the trained weights into the model
        metrics = dict(self.evaluate())
        if logs is not None:
            logs |= {f"val_{name}": value for name, value in metrics.items()}
        worse = [
            f"{name} {value:.3f} (before training {self.baseline[name]:.3f})"
            for name, value in self._compared(metrics).items()
            if value < self.baseline[name]
        ]
        if worse:
            self.warn(f"epoch {epoch + 1} is worse than before training: {', '.join(worse)}")
        if self._mean(metrics) > self._mean(self.best):
            self._keep(metrics, epoch=epoch + 1)
        elif self.patience is not None and epoch + 1 - self.best_epoch >= self.patience:
            model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        """Assign the best weights."""
        for variable, array in zip(self.model.trainable_variables, self._best_weights, strict=True):
            variable.assign(array)

    def _keep(self, metrics: dict[str, float], *, epoch: int) -> None:
        self.best, self.best_epoch = metrics, epoch
        self._best_weights = [ops.convert_to_numpy(v) for v in self.model.trainable_variables]

    def _compared(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return the metrics that are compared."""
        return {name: metrics[name] for name in self.kinds or metrics}

    def _mean(self, metrics: Mapping[str, float]) -> float:
        return float(np.mean(list(self._compared(metrics).values())))
