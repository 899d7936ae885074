"""`write_report`: figures as JSON, a table and a plot."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.plot import write_plot

JSON_FILE = "results.json"
TABLE_FILE = "results.txt"
PLOT_FILE = "results.png"
TABLE_WIDTH = 150
NOTABLE_LOAD = 0.1  # processors


def write_report(output: Path, report: dict[str, Any]) -> None:
    """Writes `results.json`, `results.txt` and `results.png`.

    Args:
        output: a directory.
        report: `machine`, `settings` and `results`, the figures of jobs.
    """
    output.mkdir(parents=True, exist_ok=True)
    (output / JSON_FILE).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    with (output / TABLE_FILE).open("w", encoding="utf-8") as file:
        console = Console(file=file, width=TABLE_WIDTH)
        for figures in report["results"]:
            print_table(figures, console)
    write_plot(output / PLOT_FILE, report["results"])


def print_table(figures: dict[str, Any], console: Console) -> None:
    """The figures of a job, a line for each contender."""
    table = Table(title=_title(figures), title_justify="left")
    table.add_column("contender")
    is_of_images = figures["gflop"] is not None
    baseline = figures["baseline"] or "the first's"
    columns = ["seconds", f"times {baseline}", "peak memory", "off by"]
    if is_of_images:
        columns[1:1] = ["images/s"]
        columns[3:3] = ["of matrix rate"]
    for column in columns:
        table.add_column(column, justify="right")
    for contender in figures["contenders"]:
        table.add_row(*_row(contender, figures["batch"] if is_of_images else None))
    console.print(table)


def _title(figures: dict[str, Any]) -> str:
    side = figures["image_size"]
    title = (
        f"{figures['text']}: {figures['size']}, {side} x {side}, {figures['dtype']}, "
        f"{figures['threads']} threads"
    )
    if figures["device"] != "cpu":
        title += f", {figures['device']}"
    rate = figures["matrix_gflop_per_second"]
    if rate:
        title += f"; matrix products {rate['median']:.0f} GFLOP/s"
    others = figures["processors_of_others"]
    if others is not None and others >= NOTABLE_LOAD:
        title += f"; others took {others:.1f} processors meanwhile"
    return title


def _row(contender: dict[str, Any], batch: int | None) -> list[str]:
    count = 5 if batch is None else 7
    if contender["status"] != "ran" or contender["seconds"] is None:
        reason = f"{contender['status']}: {contender['reason']}"
        return [contender["name"], reason, *[""] * (count - 2)]
    seconds = contender["seconds"]["median"]
    row = [contender["name"], _digits(seconds)]
    if batch is not None:
        row.append(_digits(batch / seconds))
    ratio = contender["ratio"]
    row.append(f"{ratio['median']:.2f} [{ratio['low']:.2f} to {ratio['high']:.2f}]")
    if batch is not None:
        share = contender["matrix_share"]
        row.append(f"{share['median']:.0%}" if share else "")
    return [*row, _memory(contender["memory"]), _agreement(contender["agreement"])]


def _digits(value: float) -> str:
    """Three digits that count."""
    return f"{value:#.3g}" if value < 100 else f"{value:.0f}"


def _memory(memory: dict[str, int]) -> str:
    text = f"{memory['peak'] / 2**20:.0f} MiB"
    if "device_peak" in memory:
        text += f", card {memory['device_peak'] / 2**20:.0f} MiB"
    return text


def _agreement(agreement: dict[str, Any] | None) -> str:
    if agreement is None:
        return "not compared"
    text = f"{agreement['difference']:.1e}"
    if agreement["masks"] is not None:
        text = f"{agreement['difference']:.0%} of {agreement['masks']} masks"
    return text if agreement["agrees"] else f"WRONG: {text}"
