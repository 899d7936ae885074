"""Benchmarks of keras_sam: speed, memory and accuracy, and the images of its documentation."""

from collections.abc import Callable
from typing import Any

import typer

from benchmarks import (
    auto_points,
    automatic_masks,
    batch,
    calibration,
    compare,
    docs_images,
    export,
    export_consumers,
    finetune_memory,
    gpu,
    int8,
    latency,
    loading,
    local_contrast,
)

COMMANDS: dict[str, Callable[..., Any]] = {
    "auto-points": auto_points.main,
    "automatic-masks": automatic_masks.main,
    "batch": batch.main,
    "calibration": calibration.main,
    "compare": compare.main,
    "docs-images": docs_images.main,
    "export": export.main,
    "export-consumers": export_consumers.main,
    "finetune-memory": finetune_memory.main,
    "gpu": gpu.main,
    "int8": int8.main,
    "latency": latency.main,
    "loading": loading.main,
    "local-contrast": local_contrast.main,
}

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
for name, command in COMMANDS.items():
    app.command(name)(command)


if __name__ == "__main__":
    app()
