"""`RunDirectory`: the files of a training run, from which it can resume."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_sam.files.atomic_file import write_atomically
from recipes.sam_tiny_synthetic.training_config import TrainingConfig


class RunDirectory:
    """Datasets, checkpoints, log and preset of a training run.

    Attributes:
        path: The directory.
        scenes: Directory of the procedural scenes.
        annotated_crops: Directory of the scenes cut from annotated images.
        log: Log file, one JSON object per line.
        preset: Directory of the trained preset.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.scenes = self.path / "scenes"
        self.annotated_crops = self.path / "annotated_crops"
        self.log = self.path / "log.jsonl"
        self.preset = self.path / "preset"

    def create(self, config: TrainingConfig) -> None:
        """Create the directory, or check that it contains a run with the same config.

        Raises:
            ValueError: If it contains a run with another config.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / "training_config.json"
        fields = json.loads(json.dumps(asdict(config)))
        if not path.exists():
            path.write_text(json.dumps(fields, indent=2))
        elif json.loads(path.read_text()) != fields:
            raise ValueError(
                f"{self.path} contains a run with other settings; use the same settings to "
                "resume it, or another output directory"
            )

    def save_checkpoint(
        self, phase_index: int, variables: Sequence[keras.Variable], step: int
    ) -> None:
        """Save the variables of a phase after a step."""
        arrays = {str(i): keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)}
        path = self._checkpoint(phase_index)
        partial_path = path.with_suffix(".part.npz")
        np.savez(partial_path, step=step, **arrays)
        os.replace(partial_path, path)

    def load_checkpoint(self, phase_index: int, variables: Sequence[keras.Variable]) -> int:
        """Restore the variables of a phase; return its step, or 0 without a checkpoint."""
        path = self._checkpoint(phase_index)
        if not path.exists():
            return 0
        with np.load(path) as saved:
            for index, variable in enumerate(variables):
                variable.assign(saved[str(index)])
            return int(saved["step"])

    def append_log(self, line: dict[str, Any]) -> None:
        """Append one line to the log."""
        with self.log.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def truncate_log(self, phase_index: int, step: int) -> None:
        """Remove the lines of a phase after a step, which will be logged again."""
        if not self.log.exists():
            return
        lines = self.log.read_text().splitlines(keepends=True)
        kept = [line for line in lines if _is_before(line, phase_index, step)]
        if len(kept) < len(lines):
            write_atomically(self.log, "".join(kept).encode())

    def _checkpoint(self, phase_index: int) -> Path:
        return self.path / f"phase{phase_index}.npz"


def _is_before(line: str, phase_index: int, step: int) -> bool:
    """Return True for a complete line of another phase, or up to a step of this one."""
    if not line.endswith("\n"):
        return False
    entry = json.loads(line)
    return bool(entry["phase"] != phase_index or entry["step"] <= step)
