"""`python -m benchmarks compare`: this project and other implementations in the same rounds.

docs/benchmarks.md describes the method.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.console import create_console
from benchmarks.implementations import IMPLEMENTATIONS, find_checkout_file, find_entry
from benchmarks.machine import describe_machine
from benchmarks.measure_job import measure_job
from benchmarks.plan import Plan
from benchmarks.random_checkpoint import SIZES, TINY
from benchmarks.report import print_job, write_report
from benchmarks.workloads import WORKLOADS, Workload

DTYPES = ("float32", "bfloat16")
OUTPUT = Path("runs/bench")


@dataclass(frozen=True)
class Defaults:
    """Values of options that are not given."""

    implementations: tuple[str, ...]
    workloads: tuple[str, ...]
    sizes: tuple[str, ...]
    dtypes: tuple[str, ...]
    max_run_seconds: float


FULL = Defaults(
    implementations=tuple(name for name, entry in IMPLEMENTATIONS.items() if entry.is_default),
    workloads=tuple(WORKLOADS),
    sizes=("base",),
    dtypes=DTYPES,
    max_run_seconds=float("inf"),
)
QUICK = Defaults(
    implementations=("keras-sam-torch", "transformers-sdpa"),
    workloads=("encoder", "point"),
    sizes=(TINY,),
    dtypes=("float32",),
    max_run_seconds=0.01,
)


def main(
    workload: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(WORKLOADS)}. Defaults to all.")
    ] = None,
    implementation: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{', '.join(IMPLEMENTATIONS)}. Defaults to all but transformers-compile and "
            "keras-sam-openvino-int8."
        ),
    ] = None,
    checkout: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="Implementation of another repository: implementation.py or its directory.",
        ),
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(help=f"Model size: {', '.join(SIZES)}. Defaults to base.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=16, help="Side of the images, a multiple of 16.")
    ] = None,
    dtype: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(DTYPES)}. Defaults to both.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds.")] = 5,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of each implementation. Defaults to all cores."),
    ] = None,
    baseline: Annotated[
        str, typer.Option(help="Implementation to which the others are compared.")
    ] = "",
    run_seconds: Annotated[
        float, typer.Option(min=0.0, help="Minimum time of a run. Fast tasks are repeated.")
    ] = 1.0,
    timeout: Annotated[
        float, typer.Option(min=1.0, help="Maximum time of a step in seconds.")
    ] = 1800.0,
    points_per_side: Annotated[
        int, typer.Option(min=1, help="Point grid of automatic mask generation.")
    ] = 32,
    output: Annotated[Path, typer.Option(help="Directory for results.")] = OUTPUT,
    models: Annotated[
        Path | None,
        typer.Option(help="Directory for model files. Defaults to OUTPUT/models."),
    ] = None,
    python: Annotated[
        str, typer.Option(help="Python executable for the implementations of this project.")
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Run a tiny model, to check the installation.")
    ] = False,
) -> None:
    """Compare this project with other implementations, in the same rounds."""
    checkouts = parse_checkouts(checkout or [])
    defaults = QUICK if quick else FULL
    plan = Plan(
        implementations=tuple(
            dict.fromkeys(implementation or [*defaults.implementations, *checkouts])
        ),
        workloads=find_workloads(workload or defaults.workloads),
        model_sizes=tuple(size or defaults.sizes),
        dtypes=tuple(dtype or defaults.dtypes),
        rounds=rounds,
        threads=threads or count_usable_cores(),
        output=output.resolve(),
        models=(models or output / "models").resolve(),
        checkouts=checkouts,
        image_size=image_size,
        run_seconds=min(run_seconds, defaults.max_run_seconds),
        timeout=timeout,
        points_per_side=points_per_side,
        baseline=baseline,
        python=python,
    )
    check_plan(plan)
    compare(plan, create_console())


def compare(plan: Plan, console: Console) -> dict[str, Any]:
    """Run all jobs of a plan, write the report after each, and return it."""
    settings = asdict(plan) | {"output": str(plan.output), "models": str(plan.models)}
    report: dict[str, Any] = {"machine": describe_machine(), "settings": settings, "results": []}
    plan.output.mkdir(parents=True, exist_ok=True)
    for job in plan.jobs():
        metrics = measure_job(job, plan, lambda text: console.print(text, style="dim"))
        report["results"].append(metrics)
        print_job(metrics, console)
        write_report(plan.output, report)
    console.print(f"results are in {plan.output}")
    return report


def check_plan(plan: Plan) -> None:
    """Check the names in a plan before anything runs.

    Raises:
        typer.BadParameter: If a name is unknown.
    """
    for name in plan.implementations:
        try:
            find_entry(name, plan.checkouts)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    for kind, names, known in (("size", plan.model_sizes, SIZES), ("dtype", plan.dtypes, DTYPES)):
        for name in names:
            if name not in known:
                raise typer.BadParameter(f"no {kind} {name!r}; expected one of {', '.join(known)}")


def parse_checkouts(texts: list[str]) -> dict[str, str]:
    """Return the file of each `NAME=PATH`, by name.

    Raises:
        typer.BadParameter: If a text has another format, its name is taken, or its file is missing.
    """
    checkouts = {}
    for text in texts:
        name, separator, path = text.partition("=")
        if not (name and separator and path) or name in IMPLEMENTATIONS:
            raise typer.BadParameter(f"expected NAME=PATH with a new name, got {text!r}")
        try:
            checkouts[name] = str(find_checkout_file(path))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return checkouts


def find_workloads(names: Sequence[str]) -> tuple[Workload, ...]:
    """Return the workloads with these names.

    Raises:
        typer.BadParameter: If a name is unknown.
    """
    for name in names:
        if name not in WORKLOADS:
            raise typer.BadParameter(
                f"no workload {name!r}; expected one of {', '.join(WORKLOADS)}"
            )
    return tuple(WORKLOADS[name] for name in names)


def count_usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
