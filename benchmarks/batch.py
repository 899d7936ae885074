"""Throughput of batches on this machine, and the sizes that a plan for more of them needs.

The pictures are parts of those of the package, each another one: a table of the same picture over
and over would be smaller than it ought to be. The rate is that between the first and the last
image, so that loading the model is not in it: of a long run it is nothing. `cores` are the
processors that the workers had meanwhile; where these are fewer than they could use, something else
had the rest.
"""

import json
import os
import random
import tempfile
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.other_load import processor_seconds
from keras_sam.batch import run_local
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.run_batch import BatchProgress, run_batch
from keras_sam.batch.run_local import LocalOptions
from keras_sam.batch.table_parts import part_files
from keras_sam.batch.worker_process import WorkerProcess
from keras_sam.predict.generator_config import GeneratorConfig

PICTURES = Path(__file__).parent.parent / "keras_sam" / "assets"
STEPS = ("decode", "encode", "generate")


def write_pictures(folder: Path, count: int) -> Path:
    """A folder of so many pictures, each nine tenths of one of the package along each side."""
    folder.mkdir()
    pictures = [Image.open(path) for path in sorted(PICTURES.glob("*.jpg"))]
    chance = random.Random(0)
    for index in range(count):
        picture = pictures[index % len(pictures)]
        width, height = (side * 9 // 10 for side in picture.size)
        left = chance.randrange(picture.width - width)
        top = chance.randrange(picture.height - height)
        part = picture.crop((left, top, left + width, top + height))
        part.save(folder / f"{index:06d}.jpg", quality=92)
    return folder


class WorkerTimes:
    """Processor seconds of all workers, between the first image that is done and the last."""

    def __init__(self) -> None:
        self.seconds: list[tuple[int, float]] = []
        self._processes: dict[int, float] = {}  # what each has taken; one that is gone took no more
        times = self

        class Recorded(WorkerProcess):
            def start(self) -> None:
                super().start()
                times._processes[self.pid] = 0.0

        self.worker_class = Recorded

    def show(self, state: BatchProgress) -> None:
        if state.completed and (not self.seconds or self.seconds[-1][0] != state.completed):
            for process, before in self._processes.items():
                self._processes[process] = max(before, processor_seconds(process))
            self.seconds.append((state.completed, sum(self._processes.values())))

    def per_image(self) -> float:
        (first, before), (last, after) = self.seconds[0], self.seconds[-1]
        return (after - before) / max(1, last - first)


def measure(pictures: Path, output: Path, settings: BatchSettings, options: LocalOptions) -> dict:
    """One run, in figures."""
    times = WorkerTimes()
    run_local.WorkerProcess = times.worker_class
    summary = run_batch(pictures, output, settings, options=options, progress=times.show)
    rows = pq.read_table(output)
    images = rows.filter(pc.equal(rows["kind"], "image"))
    moments = sorted(moment.timestamp() for moment in images["finished_at"].to_pylist())
    rate = (len(moments) - 1) / (moments[-1] - moments[0])
    sizes = sum(path.stat().st_size for path in part_files(output))
    return {
        "workers": options.workers,
        "model_threads": options.model_threads,
        "threads": options.threads_per_worker,
        "images_per_second": rate,
        "processor_seconds": times.per_image(),
        "cores": rate * times.per_image(),
        **{step: pc.mean(images[f"{step}_seconds"]).as_py() for step in STEPS},
        "masks_per_image": summary.masks / summary.completed,
        "bytes_per_image": sizes / summary.completed,
        "errors": summary.errors,
    }


def main(
    preset: str = typer.Option("sam_tiny_synthetic", help="As of `keras-sam batch`."),
    images: int = typer.Option(40, min=4, help="Pictures of each run."),
    points_per_side: int = typer.Option(32, min=1, help="Of the grid."),
    pred_iou_thresh: float = typer.Option(0.88, help="Keep what rates over it."),
    stability_score_thresh: float = typer.Option(0.95, help="Keep what is as stable."),
    workers: str = typer.Option("1,2", help="Numbers of processes, with commas between."),
    model_threads: str = typer.Option("1", help="Numbers of threads that share a model."),
    threads: int = typer.Option(1, min=1, help="Of each worker's computing."),
    repeats: int = typer.Option(1, min=1, help="Of all runs, in turn; the best rate counts."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Images a second of one worker and of several, and bytes of the table."""
    generator = GeneratorConfig(
        points_per_side=points_per_side,
        pred_iou_thresh=pred_iou_thresh,
        stability_score_thresh=stability_score_thresh,
    )
    settings = BatchSettings(preset=preset, generator=generator)
    kinds = [
        LocalOptions(workers=int(count), model_threads=int(shared), threads_per_worker=threads)
        for count in workers.split(",")
        for shared in model_threads.split(",")
    ]
    best: dict[LocalOptions, dict] = {}
    with tempfile.TemporaryDirectory() as directory:
        pictures = write_pictures(Path(directory) / "pictures", images)
        for repeat in range(repeats):
            for index, options in enumerate(kinds):
                output = Path(directory) / f"table{repeat}-{index}"
                figures = measure(pictures, output, settings, options)
                if figures["images_per_second"] > best.get(options, {}).get("images_per_second", 0):
                    best[options] = figures
    rows = [best[options] for options in kinds]
    for row in rows:
        row["times_first"] = row["images_per_second"] / rows[0]["images_per_second"]
    if as_json:
        print(json.dumps({"settings": settings.to_dict(), "rows": rows}))
        return
    show(rows, f"{images} pictures, {preset}, {points_per_side}² points, {os.cpu_count()} cores")


def show(rows: list[dict], title: str) -> None:
    table = Table(title=title)
    columns = ("workers x model threads", "images/s", "x", "cores", "CPU", *STEPS, "masks", "kB")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row['workers']} x {row['model_threads']}",
            f"{row['images_per_second']:.2f}",
            f"{row['times_first']:.2f}",
            f"{row['cores']:.2f}",
            *(f"{row[step]:.3f} s" for step in ("processor_seconds", *STEPS)),
            f"{row['masks_per_image']:.1f}",
            f"{row['bytes_per_image'] / 1000:.1f}",
        )
    Console().print(table)
