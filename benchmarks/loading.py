"""Time and peak memory of loading a model, in each format, in a process of its own.

Weights are random. The peak is that of the resident set, all file pages included, above what the
process held before; it is told as a share of the loaded weights.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.peak_memory import resident_bytes
from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.keras_hub.preset import write_keras_hub
from keras_sam.checkpoints.meta.checkpoint import write_meta
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.transformers.model import write_transformers

FORMATS = ("keras", "transformers", "meta", "pth")
MEASURE = "import json, sys; from benchmarks.loading import measure; " + (
    "print(json.dumps(measure(*sys.argv[1:])))"
)
WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}


class RandomArrays(Mapping[str, np.ndarray]):
    """Random arrays of given shapes, drawn when they are asked for."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = shapes

    def __getitem__(self, name: str) -> np.ndarray:
        return np.random.default_rng(0).random(self.shapes[name], dtype="float32")

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def write_random(preset: str, form: str, directory: Path) -> Path:
    """A checkpoint of the preset's size, in float32."""
    checkpoint = read_checkpoint(preset, load_weights=False)
    shapes = expected_shapes(checkpoint.class_name, checkpoint.config)
    checkpoint = replace(checkpoint, arrays=RandomArrays(shapes))
    place = directory / form
    if form == "keras":
        write_keras_hub(place, checkpoint, task=False)
    elif form == "transformers":
        write_transformers(place, checkpoint, dtype="float32")
    else:
        place = place.with_suffix({"meta": ".safetensors", "pth": ".pth"}[form])
        write_meta(place, checkpoint, dtype="float32")
    return place


class Peak:
    """The largest value of `field` while the block runs, sampled."""

    def __init__(self, field: str) -> None:
        self.field = field
        self.value = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.005):
            self.value = max(self.value, resident_bytes(self.field))


def measure(place: str, dtype: str) -> dict[str, float]:
    """Loads a model in this process."""
    from keras_sam.models.sam_backbone import SAMBackbone
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

    SAMImageSegmenter.from_preset("sam_tiny_synthetic")  # what the backend takes at first
    before, before_anonymous = resident_bytes("VmRSS"), resident_bytes("RssAnon")
    start = time.perf_counter()
    with Peak("VmRSS") as peak, Peak("RssAnon") as anonymous:
        model = SAMBackbone.from_preset(place, dtype=dtype)
    seconds = time.perf_counter() - start
    size = model.count_params() * WIDTHS[dtype]
    return {
        "seconds": seconds,
        "size": size,
        "peak": (peak.value - before) / size,
        "peak_anonymous": (anonymous.value - before_anonymous) / size,
    }


def main(
    preset: str = typer.Option("sam_huge_sa1b", help="A built-in preset, for its size."),
    formats: str = typer.Option(",".join(FORMATS), help="Some of them, with commas between."),
    dtypes: str = typer.Option("float32,bfloat16", help="Types to load in."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Time and peak memory of loading a model, in each format."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for form in formats.split(","):
            place = write_random(preset, form, Path(directory))
            for dtype in dtypes.split(","):
                run = subprocess.run(
                    [sys.executable, "-c", MEASURE, str(place), dtype],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                figures = json.loads(run.stdout.splitlines()[-1])
                rows.append({"format": form, "dtype": dtype, **figures})
            shutil.rmtree(place) if place.is_dir() else place.unlink()
    if as_json:
        print(json.dumps(rows))
        return
    table = Table(title=f"Loading {preset}")
    for column in ("format", "dtype", "size", "seconds", "peak / size", "without file pages"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row["format"],
            row["dtype"],
            f"{row['size'] / 1e9:.2f} GB",
            f"{row['seconds']:.1f}",
            f"{row['peak']:.2f}",
            f"{row['peak_anonymous']:.2f}",
        )
    Console().print(table)
