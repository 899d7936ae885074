"""`python -m benchmarks batch`: throughput of batches on this machine, and size of the table.

The images are different crops of the package's photographs: equal images would make the table too
small. The rate is that between the first and the last completed image, so it excludes loading.
`cores` is the average number of CPU cores that the workers had. If it is below the number they
could use, other programs used the rest.
"""

import json
import os
import random
import tempfile
from pathlib import Path
from typing import Annotated, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
from PIL import Image

from benchmarks.background_load import process_cpu_seconds
from benchmarks.console import print_table
from benchmarks.sample_photos import sample_photos
from keras_sam import GeneratorConfig
from keras_sam.batch import BatchSettings, LocalOptions, run_batch

STEPS = ("decode", "encode", "generate")


def main(
    preset: Annotated[str, typer.Option(help="Name or directory.")] = "sam_tiny_synthetic",
    images: Annotated[int, typer.Option(min=4, help="Number of images per run.")] = 40,
    points_per_side: Annotated[int, typer.Option(min=1, help="Points per side of the grid.")] = 32,
    pred_iou_thresh: Annotated[
        float | None, typer.Option(help="Minimum predicted IoU. Defaults to the preset's.")
    ] = None,
    stability_score_thresh: Annotated[
        float | None, typer.Option(help="Minimum stability score. Defaults to the preset's.")
    ] = None,
    workers: Annotated[str, typer.Option(help="Numbers of worker processes.")] = "1,2",
    model_threads: Annotated[
        str, typer.Option(help="Numbers of threads that share a model.")
    ] = "1",
    threads_per_worker: Annotated[
        int, typer.Option(min=1, help="Compute threads of each worker.")
    ] = 1,
    repeats: Annotated[
        int, typer.Option(min=1, help="Repeats of all runs. The best rate is reported.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure images per second with different numbers of workers, and bytes of the table."""
    settings = BatchSettings(
        preset=preset,
        generator=GeneratorConfig(
            points_per_side=points_per_side,
            pred_iou_thresh=pred_iou_thresh,
            stability_score_thresh=stability_score_thresh,
        ),
    )
    configurations = [
        LocalOptions(
            workers=int(num_workers),
            model_threads=int(num_model_threads),
            threads_per_worker=threads_per_worker,
        )
        for num_workers in workers.split(",")
        for num_model_threads in model_threads.split(",")
    ]
    best: dict[LocalOptions, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as directory:
        image_folder = write_images(Path(directory) / "images", images)
        for repeat in range(repeats):
            for index, options in enumerate(configurations):
                output = Path(directory) / f"table{repeat}-{index}"
                metrics = measure(image_folder, output, settings, options)
                rate = best.get(options, {}).get("images_per_second", 0)
                if metrics["images_per_second"] > rate:
                    best[options] = metrics
    rows = [best[options] for options in configurations]
    for row in rows:
        row["speedup"] = row["images_per_second"] / rows[0]["images_per_second"]
    if as_json:
        print(json.dumps({"settings": settings.to_dict(), "rows": rows}))
        return
    columns = ("workers x model threads", "images/s", "speedup", "cores", "CPU time")
    print_table(
        f"{images} images, {preset}, {points_per_side}² points, {os.cpu_count()} cores",
        (*columns, *STEPS, "masks", "kB"),
        map(format_row, rows),
    )


def measure(
    images: Path, output: Path, settings: BatchSettings, options: LocalOptions
) -> dict[str, Any]:
    """Run a batch and return its metrics."""
    cpu_time = WorkerCpuTime()
    summary = run_batch(
        images,
        output,
        settings,
        options=options,
        progress=lambda progress: cpu_time.record(progress.completed),
    )
    table = pq.read_table(output)
    rows = table.filter(pc.equal(table["kind"], "image"))
    finished = sorted(moment.timestamp() for moment in rows["finished_at"].to_pylist())
    images_per_second = (len(finished) - 1) / (finished[-1] - finished[0])
    table_bytes = sum(path.stat().st_size for path in output.glob("part-*.parquet"))
    cpu_seconds = cpu_time.seconds_per_image()
    return {
        "workers": options.workers,
        "model_threads": options.model_threads,
        "threads_per_worker": options.threads_per_worker,
        "images_per_second": images_per_second,
        "cpu_seconds": cpu_seconds,
        "cores": images_per_second * cpu_seconds,
        **{step: pc.mean(rows[f"{step}_seconds"]).as_py() for step in STEPS},
        "masks_per_image": summary.masks / summary.completed,
        "bytes_per_image": table_bytes / summary.completed,
        "errors": summary.errors,
    }


class WorkerCpuTime:
    """CPU seconds of all child processes, at each completed image. Linux only."""

    def __init__(self) -> None:
        self._samples: list[tuple[int, float]] = []  # completed images, CPU seconds
        self._seconds_of_process: dict[int, float] = {}  # includes processes that have ended

    def record(self, completed: int) -> None:
        """Add a sample if images were completed since the last one."""
        if not completed or (self._samples and self._samples[-1][0] == completed):
            return
        for process in child_processes():
            seconds = self._seconds_of_process.get(process, 0.0)
            self._seconds_of_process[process] = max(seconds, process_cpu_seconds(process))
        self._samples.append((completed, sum(self._seconds_of_process.values())))

    def seconds_per_image(self) -> float:
        """Return CPU seconds per image, between the first and the last sample."""
        (first, seconds_before), (last, seconds_after) = self._samples[0], self._samples[-1]
        return (seconds_after - seconds_before) / max(1, last - first)


def child_processes() -> list[int]:
    """Return the IDs of the children of this process. Linux only."""
    children = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(file.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
        if parent == os.getpid():
            children.append(int(file.parent.name))
    return children


def write_images(folder: Path, count: int) -> Path:
    """Write random crops of the package's photographs, nine tenths of each side, as JPEG files."""
    folder.mkdir()
    photos = [Image.open(path) for path in sample_photos()]
    rng = random.Random(0)
    for index in range(count):
        photo = photos[index % len(photos)]
        width, height = (side * 9 // 10 for side in photo.size)
        x, y = rng.randrange(photo.width - width), rng.randrange(photo.height - height)
        crop = photo.crop((x, y, x + width, y + height))
        crop.save(folder / f"{index:06d}.jpg", quality=92)
    return folder


def format_row(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row."""
    return [
        f"{row['workers']} x {row['model_threads']}",
        f"{row['images_per_second']:.2f}",
        f"{row['speedup']:.2f}",
        f"{row['cores']:.2f}",
        *(f"{row[name]:.3f} s" for name in ("cpu_seconds", *STEPS)),
        f"{row['masks_per_image']:.1f}",
        f"{row['bytes_per_image'] / 1000:.1f}",
    ]
