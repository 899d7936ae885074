"""`python -m benchmarks gpu`: throughput on a GPU, this project and transformers.

In bfloat16, with the fraction of the GPU's rate of matrix products: the image encoder with several
batch sizes, and automatic mask generation. Inputs are on the GPU before a run starts. A run ends
when the embeddings are complete.
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.compare import check_plan, compare, count_usable_cores
from benchmarks.console import create_console
from benchmarks.plan import Plan
from benchmarks.workloads import WORKLOADS, Workload

OUTPUT = Path("runs/bench-gpu")
IMPLEMENTATIONS = ("keras-sam-torch", "keras-sam-jax", "transformers-sdpa", "transformers-compile")
SIZES = ("base", "huge")
BATCH_SIZES = (1, 8, 32)


def main(
    implementation: Annotated[
        list[str] | None, typer.Option(help=f"Defaults to {', '.join(IMPLEMENTATIONS)}.")
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(help=f"Model size. Defaults to {', '.join(SIZES)}.")
    ] = None,
    batch_size: Annotated[
        list[int] | None, typer.Option(min=1, help="Images per batch. Defaults to 1, 8 and 32.")
    ] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="Defaults to bfloat16.")] = None,
    automatic: Annotated[bool, typer.Option(help="Also measure automatic mask generation.")] = True,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds.")] = 7,
    output: Annotated[Path, typer.Option(help="Directory for results.")] = OUTPUT,
) -> None:
    """Compare throughput on a GPU with transformers."""
    generation = ("automatic", "automatic-trained") if automatic else ()
    plan = Plan(
        implementations=tuple(implementation or IMPLEMENTATIONS),
        workloads=(
            *map(encoder_workload, batch_size or BATCH_SIZES),
            *(WORKLOADS[name] for name in generation),
        ),
        model_sizes=tuple(size or SIZES),
        dtypes=tuple(dtype or ("bfloat16",)),
        rounds=rounds,
        threads=count_usable_cores(),
        output=output.resolve(),
        models=(output / "models").resolve(),
        device="cuda",
    )
    check_plan(plan)
    compare(plan, create_console())


def encoder_workload(batch_size: int) -> Workload:
    """Return the workload of the image encoder with a batch size."""
    description = f"image encoder, batches of {batch_size}"
    return Workload(f"encoder-{batch_size}", description, "encode", batch_size=batch_size)
