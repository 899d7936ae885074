"""`python -m benchmarks export`: size, speed and loss of each exported format.

Each file is measured in a process of its own on one core, in CPU time. A click is one prompt of two
points. ONNX and OpenVINO files also upsample its masks to the photograph; the others return low-res
masks. Exports of the same model by transformers, and by Meta's code that samexporter calls, follow.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.call_in_process import call_in_process
from benchmarks.console import print_table
from benchmarks.export_by_others import OTHERS
from keras_sam.cli.export import BACKENDS

ROWS = (
    ("onnx", "float32"),
    ("onnx", "float16"),
    ("onnx", "uint8"),
    ("openvino", "float32"),
    ("openvino", "float16"),
    ("torch", "float32"),
    ("savedmodel", "float32"),
    ("stablehlo", "float32"),
    ("litert", "float32"),
    ("litert", "float16"),
    ("litert", "int8"),
)
COLUMNS = ("file", "MB", "encoder, ms", "click, ms", "embedding error", "masks that agree")
NUM_POINTS = 2
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}


def main(
    preset: Annotated[str, typer.Option(help="Preset to export.")] = "sam_tiny_synthetic",
    output: Annotated[Path, typer.Option(help="Folder of the exports.")] = Path("runs/export"),
    repeats: Annotated[int, typer.Option(help="Runs of each file; the fastest counts.")] = 10,
) -> None:
    """Print a table of all formats. Files of an earlier run are used again."""
    rows = []
    for format, weights in ROWS:
        files = output / f"{format}-{weights}"
        _export(preset, files, format, weights)
        arguments = {
            "preset": preset,
            "files": str(files),
            "format": format,
            "repeats": repeats,
        }
        environment = ONE_THREAD | {"KERAS_BACKEND": BACKENDS[format]}
        times = call_in_process(measure, arguments, environment=environment)
        report = json.loads((files / "export.json").read_text())
        loss = {one["output"]: one for one in report["differences"]}
        rows.append(
            (
                f"{format}, {weights}",
                f"{sum(report['files'].values()) / 1e6:.1f}",
                f"{times['encoder']:.0f}",
                f"{times['decoder']:.1f}",
                f"{loss['image_embeddings']['relative_error']:.1e}",
                f"{loss['low_res_masks']['agreement']:.3%}",
            )
        )
    for name, (package, convert, measure_others) in OTHERS.items():
        if find_spec(package) is None:
            rows.append((name, f"needs {package}", "", "", "", ""))
            continue
        files = output / name
        arguments = {"preset": preset, "directory": str(files)}
        call_in_process(convert, arguments, environment={"KERAS_BACKEND": "torch"})
        times = call_in_process(
            measure_others, {"directory": str(files), "repeats": repeats}, environment=ONE_THREAD
        )
        size = sum(path.stat().st_size for path in files.rglob("*.onnx*")) / 1e6
        cells = f"{size:.1f}", f"{times['encoder']:.0f}", f"{times['decoder']:.1f}"
        rows.append((name, *cells, "", ""))
    print_table(f"{preset}, one core, CPU time", COLUMNS, rows)


def measure(preset: str, files: str, format: str, repeats: int) -> dict[str, float]:
    """Return the CPU time of the encoder and of the decoder in milliseconds."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from keras_sam.export import EXPORT_FORMATS, ExportOptions
    from keras_sam.export.layouts.registry import LAYOUTS
    from keras_sam.export.program import POINTS, PROMPTS
    from keras_sam.models import SAMImageSegmenter

    target = EXPORT_FORMATS[format]
    model = SAMImageSegmenter.from_preset(preset, dtype="float32", load_weights=False)
    sizes = {PROMPTS: 1, POINTS: NUM_POINTS}
    random, arrays, times = np.random.default_rng(0), {}, {}
    for program in LAYOUTS["meta"].build(model, ExportOptions()):
        loaded = target.load(program, _file_of(Path(files), program.name))
        stages = {"with_stages": target.with_stages}
        inputs = program.sample_inputs(random, sizes, arrays, **stages)
        if "orig_im_size" in inputs:
            inputs["orig_im_size"] = np.array([400, 600], np.float32)
        arrays = loaded.run(inputs)
        times[program.name] = fastest(lambda run=loaded.run, inputs=inputs: run(inputs), repeats)
    return times


def fastest(run: Callable[[], Any], repeats: int) -> float:
    """Return the least CPU time of a function in milliseconds, after one call."""
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def _export(preset: str, files: Path, format: str, weights: str) -> None:
    if (files / "export.json").exists():
        return
    options = ["--format", format, "--weights", weights, "--points", str(NUM_POINTS)]
    command = ["keras-sam", "export", preset, str(files), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _file_of(files: Path, program: str) -> Path:
    if (files / "saved_model").exists():
        return files / "saved_model"
    suffixes = (".onnx", ".xml", ".pt2", ".stablehlo", ".tflite")
    paths = (files / f"{program}{suffix}" for suffix in suffixes)
    return next(path for path in paths if path.exists())
