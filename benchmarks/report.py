"""`write_report`: the results as JSON, a table and a plot."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.console import TABLE_WIDTH
from benchmarks.plot import write_plot

JSON_FILE = "results.json"
TABLE_FILE = "results.txt"
PLOT_FILE = "results.png"
MIN_BACKGROUND_CORES = 0.1  # less is not mentioned


def write_report(output: Path, report: dict[str, Any]) -> None:
    """Write `results.json`, `results.txt` and `results.png`.

    Args:
        output: Directory.
        report: Dictionary with `machine`, `settings` and `results`, a list of outputs of
            `measure_job`.
    """
    output.mkdir(parents=True, exist_ok=True)
    (output / JSON_FILE).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    with (output / TABLE_FILE).open("w", encoding="utf-8") as file:
        console = Console(file=file, width=TABLE_WIDTH)
        for job in report["results"]:
            print_job(job, console)
    write_plot(output / PLOT_FILE, report["results"])


def print_job(job: dict[str, Any], console: Console) -> None:
    """Print the results of a job, one row per participant."""
    console.print(_title(job), highlight=False)
    table = Table()
    table.add_column("implementation")
    columns = ["seconds", f"time / {job['baseline'] or 'baseline'}", "peak memory", "difference"]
    is_encoding = job["gflop"] is not None
    if is_encoding:
        columns.insert(1, "images/s")
        columns.insert(3, "of matrix rate")
    for column in columns:
        table.add_column(column, justify="right")
    for participant in job["participants"]:
        table.add_row(*_row(participant, job["batch_size"] if is_encoding else None))
    console.print(table)


def _title(job: dict[str, Any]) -> str:
    side = job["image_size"]
    title = (
        f"{job['description']}: {job['model_size']}, {side} x {side}, {job['dtype']}, "
        f"{job['threads']} threads"
    )
    if job["device"] != "cpu":
        title += f", {job['device']}"
    rate = job["matrix_gflop_per_second"]
    if rate:
        title += f"; matrix products {rate['median']:.0f} GFLOP/s"
    background_cores = job["background_cores"]
    if background_cores is not None and background_cores >= MIN_BACKGROUND_CORES:
        title += f"; other programs used {background_cores:.1f} cores"
    return title


def _row(participant: dict[str, Any], batch_size: int | None) -> list[str]:
    if participant["status"] != "ran" or participant["seconds"] is None:
        return [participant["name"], f"{participant['status']}: {participant['reason']}"]
    seconds = participant["seconds"]["median"]
    ratio = participant["ratio"]
    cells = [
        _three_digits(seconds),
        f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]",
    ]
    if batch_size is not None:
        fraction = participant["matrix_fraction"]
        cells.insert(1, _three_digits(batch_size / seconds))
        cells.append(f"{fraction['median']:.0%}" if fraction else "")
    memory, agreement = participant["memory"], participant["agreement"]
    return [participant["name"], *cells, _format_memory(memory), _format_agreement(agreement)]


def _three_digits(value: float) -> str:
    return f"{value:#.3g}" if value < 100 else f"{value:.0f}"


def _format_memory(memory: dict[str, int]) -> str:
    text = f"{memory['peak'] / 2**20:.0f} MiB"
    if "gpu_peak" in memory:
        text += f", GPU {memory['gpu_peak'] / 2**20:.0f} MiB"
    return text


def _format_agreement(agreement: dict[str, Any] | None) -> str:
    if agreement is None:
        return "not compared"
    text = f"{agreement['difference']:.1e}"
    if agreement["num_masks"] is not None:
        text = f"{agreement['difference']:.0%} of {agreement['num_masks']} masks"
    return text if agreement["agrees"] else f"WRONG: {text}"
