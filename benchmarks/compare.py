"""Ours against other implementations, taking turns in one run.

Each contender has a process of its own, all of them the same weights, inputs and threads. In each
round each takes one turn, in an order of chance; figures are medians, and quartiles of the ratios
within rounds, so that a machine that slows down slows all. The rate of a large matrix product is
measured in the same rounds. Outputs are compared with those of transformers in float32.
"""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from benchmarks.contenders import CONTENDERS, contender_file, entry_for
from benchmarks.machine import describe_machine
from benchmarks.plan import Plan
from benchmarks.report import TABLE_WIDTH, print_table, write_report
from benchmarks.rounds import measure
from benchmarks.workloads import WORKLOADS
from benchmarks.write_models import SIZES, TINY

DTYPES = ("float32", "bfloat16")
OUTPUT = Path("runs/bench")
# torch.compile is for graphics cards: there it is in `benchmarks gpu`.
ON_REQUEST = ("transformers-compile",)
QUICK_CONTENDERS = ("ours-torch", "transformers-sdpa")
QUICK_WORKLOADS = ("encoder", "click")


def compare(plan: Plan, console: Console) -> dict[str, Any]:
    """Runs all jobs of a plan; what is written after each holds all so far."""
    settings = asdict(plan) | {"output": str(plan.output), "models": str(plan.models)}
    report: dict[str, Any] = {"machine": describe_machine(), "settings": settings, "results": []}
    plan.output.mkdir(parents=True, exist_ok=True)
    for job in plan.jobs():
        figures = measure(job, plan, lambda text: console.print(text, style="dim"))
        report["results"].append(figures)
        print_table(figures, console)
        write_report(plan.output, report)
    console.print(f"results are in {plan.output}")
    return report


def main(
    workload: list[str] = typer.Option(list(WORKLOADS), help="What is measured."),
    contender: list[str] = typer.Option(None, help="Who takes part; all if left out."),
    checkout: list[str] = typer.Option(
        [], metavar="NAME=PATH", help="A file, or a directory with a contender.py, that takes part."
    ),
    size: list[str] = typer.Option(["base"], help=f"Of the models: {', '.join(SIZES)}."),
    image_size: int = typer.Option(None, min=16, help="Side of the images, a multiple of 16."),
    dtype: list[str] = typer.Option(list(DTYPES), help="Of weights and computation."),
    rounds: int = typer.Option(5, min=1, help="Turns of each contender."),
    threads: int = typer.Option(None, min=1, help="Of each contender; all cores if left out."),
    baseline: str = typer.Option("", help="Whom the others are compared with."),
    turn_seconds: float = typer.Option(1.0, min=0.0, help="What a fast task repeats for."),
    timeout: float = typer.Option(1800.0, min=1.0, help="Seconds that a step may take."),
    points_per_side: int = typer.Option(32, min=1, help="Of the grid of everything mode."),
    output: Path = typer.Option(OUTPUT, help="Directory for results."),
    models: Path = typer.Option(None, help="Directory for the models; in that of the results."),
    quick: bool = typer.Option(False, "--quick", help="A tiny model, to see whether it works."),
) -> None:
    """Ours against other implementations, taking turns in one run."""
    checkouts = parse_checkouts(checkout)
    names = contender or [*CONTENDERS_BY_DEFAULT, *checkouts]
    if quick:
        names = contender or [*QUICK_CONTENDERS, *checkouts]
        size, dtype, rounds, turn_seconds = [TINY], ["float32"], min(rounds, 2), 0.01
        workload = workload if workload != list(WORKLOADS) else list(QUICK_WORKLOADS)
    plan = Plan(
        contenders=tuple(dict.fromkeys(names)),
        workloads=tuple(_known_workloads(workload)),
        sizes=tuple(size),
        dtypes=tuple(dtype),
        rounds=rounds,
        threads=threads or usable_processors(),
        output=output.resolve(),
        models=(models or output / "models").resolve(),
        checkouts=checkouts,
        image_size=image_size,
        turn_seconds=turn_seconds,
        timeout=timeout,
        points_per_side=points_per_side,
        baseline=baseline,
    )
    check(plan)
    compare(plan, wide_console())


CONTENDERS_BY_DEFAULT = tuple(name for name in CONTENDERS if name not in ON_REQUEST)


def check(plan: Plan) -> None:
    """Refuses what cannot be run, before anything is.

    Raises:
        typer.BadParameter: for unknown names.
    """
    for name in plan.contenders:
        try:
            entry_for(name, plan.checkouts)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    for kind, names, known in (("size", plan.sizes, SIZES), ("dtype", plan.dtypes, DTYPES)):
        for name in names:
            if name not in known:
                raise typer.BadParameter(f"no {kind} {name!r}; there are {', '.join(known)}")


def parse_checkouts(texts: list[str]) -> dict[str, str]:
    """`NAME=PATH` to name and path.

    Raises:
        typer.BadParameter: for another form, a name that is taken, or a path without a file.
    """
    checkouts = {}
    for text in texts:
        name, separator, path = text.partition("=")
        if not (name and separator and path) or name in CONTENDERS:
            raise typer.BadParameter(f"expected NAME=PATH with a new name, got {text!r}")
        try:
            checkouts[name] = str(contender_file(path))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return checkouts


def wide_console() -> Console:
    """A console for tables; of a terminal's width if it is one."""
    return Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)


def usable_processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _known_workloads(names: list[str]) -> list[Any]:
    for name in names:
        if name not in WORKLOADS:
            raise typer.BadParameter(f"no workload {name!r}; there are {', '.join(WORKLOADS)}")
    return [WORKLOADS[name] for name in names]
