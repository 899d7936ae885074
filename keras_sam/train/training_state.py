"""`TrainingState`: a callback that writes the state of training after each epoch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sam.files.safetensors_file import load_safetensors, save_safetensors
from keras_sam.train.mask_validation import MaskValidation

FORMAT = "keras-sam training state 1"


class TrainingState(keras.callbacks.Callback):
    """Writes weights, optimizer, logs and best weights to one file after each epoch.

    Training that resumes from the file continues as if it had not been stopped: the random
    numbers of an epoch depend only on the seed and the epoch. Place it after `MaskValidation`.

    Args:
        path: Path of the file, `.safetensors`.
        validation: Callback whose state is a part of the file.
        seed: Seed of the simulated prompts.
        fingerprint: JSON-compatible settings. Another run's file is refused.

    Attributes:
        epoch: Number of completed epochs.
        logs: Logs of the completed epochs.
    """

    def __init__(
        self,
        path: str | Path,
        validation: MaskValidation,
        *,
        seed: int,
        fingerprint: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.validation = validation
        self.seed = seed
        self.fingerprint = json.loads(json.dumps(fingerprint))
        self.epoch = 0
        self.logs: list[dict[str, float]] = []

    def restore(self, model: keras.Model) -> bool:
        """Read the file into a compiled model, and return True if there is one.

        Raises:
            ValueError: If the file is damaged or was written with other settings.
        """
        if not self.path.exists():
            return False
        arrays, metadata = load_safetensors(
            self.path, FORMAT, lambda *content: content, description="a training state"
        )
        if metadata["fingerprint"] != self.fingerprint:
            changed = sorted(
                name
                for name in {*metadata["fingerprint"], *self.fingerprint}
                if metadata["fingerprint"].get(name) != self.fingerprint.get(name)
            )
            raise ValueError(
                f"{self.path.parent} contains a run with other settings ({', '.join(changed)}); "
                "use the same settings to resume it, or another output directory"
            )
        model.optimizer.build(model.trainable_variables)
        for name, variable in _variables(model).items():
            variable.assign(arrays[name])
        best = metadata["validation"]
        best["arrays"] = [arrays[f"best/{index}"] for index in range(best.pop("count"))]
        self.validation.restore(best)
        self.epoch, self.logs = metadata["epoch"], metadata["logs"]
        return True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Seed the simulated prompts of the epoch."""
        generator = self.model.prompt_seed_generator
        if generator is not None:
            generator.state.assign(np.array([self.seed, (epoch + 1) << 20], "uint32"))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write the file. It is replaced only when the new one is complete."""
        self.epoch = epoch + 1
        values = {name: float(value) for name, value in (logs or {}).items()}
        self.logs.append({"epoch": self.epoch, **values})
        best = self.validation.state
        arrays = {
            name: ops.convert_to_numpy(variable)
            for name, variable in _variables(self.model).items()
        }
        arrays |= {f"best/{index}": array for index, array in enumerate(best["arrays"])}
        metadata = {
            "fingerprint": self.fingerprint,
            "epoch": self.epoch,
            "logs": self.logs,
            "validation": {**best, "arrays": None, "count": len(best["arrays"])},
        }
        save_safetensors(self.path, FORMAT, arrays, metadata)


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Return the variables that training changes, by name."""
    statistics = [weight for weight in model.non_trainable_weights if "moving" in weight.name]
    parts = {
        "weights": model.trainable_variables,
        "statistics": statistics,
        "optimizer": model.optimizer.variables,
    }
    return {
        f"{part}/{index}": variable
        for part, variables in parts.items()
        for index, variable in enumerate(variables)
    }
