"""`python -m benchmarks loading`: time and memory of loading a model, in each format.

Weights are random. Each row is measured in a process of its own. The peak is that of the resident
set minus its size before loading, as a multiple of the size of the loaded weights. Pages of mapped
files count as resident until the system needs them; the last column excludes them.
"""

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.call_in_process import call_in_process
from benchmarks.console import print_table
from benchmarks.peak_memory import SampledPeak, resident_bytes
from benchmarks.random_checkpoint import with_random_weights
from keras_sam.checkpoints import CHECKPOINT_FORMATS, read_checkpoint

# Name of a row: format and suffix of the file.
FORMATS = {
    "keras": ("keras", ""),
    "transformers": ("transformers", ""),
    "meta-safetensors": ("meta", ".safetensors"),
    "meta-pth": ("meta", ".pth"),
}
ITEM_SIZES = {"float32": 4, "bfloat16": 2, "float16": 2}


def main(
    preset: Annotated[
        str, typer.Option(help="Built-in preset whose config is used.")
    ] = "sam_huge_sa1b",
    formats: Annotated[str, typer.Option(help="Names, separated by commas.")] = ",".join(FORMATS),
    dtypes: Annotated[
        str, typer.Option(help="Types to load, separated by commas.")
    ] = "float32,bfloat16",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure time and peak memory of loading a model."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for name in formats.split(","):
            path = write_random_checkpoint(preset, name, Path(directory))
            for dtype in dtypes.split(","):
                metrics = call_in_process(measure, {"path": str(path), "dtype": dtype})
                rows.append({"format": name, "dtype": dtype, **metrics})
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if as_json:
        print(json.dumps(rows))
        return
    columns = ("format", "dtype", "size", "seconds", "peak / size", "without file pages")
    print_table(f"Loading {preset}", columns, map(format_row, rows))


def write_random_checkpoint(preset: str, name: str, directory: Path) -> Path:
    """Write a float32 checkpoint with random weights, and return its path.

    Args:
        preset: Built-in preset whose config is used.
        name: Key of `FORMATS`.
        directory: Directory for the checkpoint.

    Raises:
        typer.BadParameter: If the format is unknown.
    """
    if name not in FORMATS:
        raise typer.BadParameter(f"no format {name!r}; expected one of {', '.join(FORMATS)}")
    format_name, suffix = FORMATS[name]
    path = directory / f"{name}{suffix}"
    checkpoint = with_random_weights(read_checkpoint(preset, load_weights=False))
    CHECKPOINT_FORMATS[format_name].write(path, checkpoint, dtype="float32")
    return path


def measure(path: str, dtype: str) -> dict[str, float]:
    """Load a model in this process.

    Returns:
        `seconds`; `size` of the weights in bytes; `peak` and `anonymous_peak` of the memory,
        divided by `size`.
    """
    from keras_sam.models import SAMBackbone

    SAMBackbone.from_preset("sam_tiny_synthetic")  # so that the backend is initialized
    before, anonymous_before = resident_bytes("VmRSS"), resident_bytes("RssAnon")
    start = time.perf_counter()
    with SampledPeak("VmRSS") as peak, SampledPeak("RssAnon") as anonymous_peak:
        model = SAMBackbone.from_preset(path, dtype=dtype)
    seconds = time.perf_counter() - start
    size = model.count_params() * ITEM_SIZES[dtype]
    return {
        "seconds": seconds,
        "size": size,
        "peak": (peak.bytes - before) / size,
        "anonymous_peak": (anonymous_peak.bytes - anonymous_before) / size,
    }


def format_row(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row."""
    return [
        row["format"],
        row["dtype"],
        f"{row['size'] / 1e9:.2f} GB",
        f"{row['seconds']:.1f}",
        f"{row['peak']:.2f}",
        f"{row['anonymous_peak']:.2f}",
    ]
