"""Ours against other implementations, taking turns in one run.

Each contender has a process of its own, all of them the same weights, inputs and threads. In each
round each takes one turn, in an order of chance; figures are medians, and quartiles of the ratios
within rounds, so that a machine that slows down slows all. The rate of a large matrix product is
measured in the same rounds. Outputs are compared with those of transformers in float32.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.contenders import CONTENDERS, contender_file, entry_for
from benchmarks.machine import describe_machine
from benchmarks.plan import Plan
from benchmarks.report import TABLE_WIDTH, print_table, write_report
from benchmarks.rounds import measure
from benchmarks.workloads import WORKLOADS, Workload
from benchmarks.write_models import SIZES, TINY

DTYPES = ("float32", "bfloat16")
OUTPUT = Path("runs/bench")
# torch.compile is for graphics cards: there it is in `benchmarks gpu`.
ON_REQUEST = ("transformers-compile", "ours-openvino-int8")


@dataclass(frozen=True)
class Default:
    """What is run where nothing else is said."""

    contenders: tuple[str, ...]
    workloads: tuple[str, ...]
    sizes: tuple[str, ...]
    dtypes: tuple[str, ...]
    turn_seconds: float


FULL = Default(
    contenders=tuple(name for name in CONTENDERS if name not in ON_REQUEST),
    workloads=tuple(WORKLOADS),
    sizes=("base",),
    dtypes=DTYPES,
    turn_seconds=float("inf"),
)
QUICK = Default(
    contenders=("ours-torch", "transformers-sdpa"),
    workloads=("encoder", "click"),
    sizes=(TINY,),
    dtypes=("float32",),
    turn_seconds=0.01,
)


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
    workload: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(WORKLOADS)}; all if left out.")
    ] = None,
    contender: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(CONTENDERS)}; all if left out.")
    ] = None,
    checkout: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="A contender.py, or its directory, takes part."),
    ] = None,
    size: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(SIZES)}; base.")] = None,
    image_size: Annotated[
        int | None, typer.Option(min=16, help="Side of the images, a multiple of 16.")
    ] = None,
    dtype: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(DTYPES)}; all if left out.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 5,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of each contender; all cores if left out.")
    ] = None,
    baseline: Annotated[str, typer.Option(help="Whom the others are compared with.")] = "",
    turn_seconds: Annotated[
        float, typer.Option(min=0.0, help="What a fast task repeats for in a turn.")
    ] = 1.0,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds a step may take.")] = 1800.0,
    points_per_side: Annotated[
        int, typer.Option(min=1, help="Of the grid of everything mode.")
    ] = 32,
    output: Annotated[Path, typer.Option(help="Directory for results.")] = OUTPUT,
    models: Annotated[
        Path | None, typer.Option(help="Directory for the models; in that of the results.")
    ] = None,
    python: Annotated[
        str, typer.Option(help="Python of another environment, for ours to run in.")
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="A tiny model, to see whether it works.")
    ] = False,
) -> None:
    """Ours against other implementations, taking turns in one run."""
    checkouts = parse_checkouts(checkout or [])
    default = QUICK if quick else FULL
    plan = Plan(
        contenders=tuple(dict.fromkeys(contender or [*default.contenders, *checkouts])),
        workloads=known_workloads(workload or default.workloads),
        sizes=tuple(size or default.sizes),
        dtypes=tuple(dtype or default.dtypes),
        rounds=rounds,
        threads=threads or usable_processors(),
        output=output.resolve(),
        models=(models or output / "models").resolve(),
        checkouts=checkouts,
        image_size=image_size,
        turn_seconds=min(turn_seconds, default.turn_seconds),
        timeout=timeout,
        points_per_side=points_per_side,
        baseline=baseline,
        python=python,
    )
    check(plan)
    compare(plan, wide_console())


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


def known_workloads(names: Sequence[str]) -> tuple[Workload, ...]:
    """The workloads of these names.

    Raises:
        typer.BadParameter: for a name that is unknown.
    """
    for name in names:
        if name not in WORKLOADS:
            raise typer.BadParameter(f"no workload {name!r}; there are {', '.join(WORKLOADS)}")
    return tuple(WORKLOADS[name] for name in names)
