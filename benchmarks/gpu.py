"""Images per second on a graphics card, ours against transformers.

In bfloat16, with the share of the card's rate of matrix products: the image encoder at batches of
1, 8 and 32, and everything mode. Inputs lie on the card, and a turn ends when the embeddings are
there.
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.compare import check, compare, usable_processors, wide_console
from benchmarks.plan import Plan
from benchmarks.workloads import WORKLOADS, Workload

OUTPUT = Path("runs/bench-gpu")
CONTENDERS = ("ours-torch", "ours-jax", "transformers-sdpa", "transformers-compile")
SIZES = ("base", "huge")
BATCHES = (1, 8, 32)


def main(
    contender: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(CONTENDERS)} if left out.")
    ] = None,
    size: Annotated[list[str] | None, typer.Option(help=f"{', '.join(SIZES)} if left out.")] = None,
    batch: Annotated[list[int] | None, typer.Option(help="Images at once; 1, 8 and 32.")] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="bfloat16 if left out.")] = None,
    everything: Annotated[bool, typer.Option(help="Everything mode, too.")] = True,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 7,
    output: Annotated[Path, typer.Option(help="Directory for results.")] = OUTPUT,
) -> None:
    """Images per second on a graphics card, ours against transformers."""
    names = ("everything", "everything-trained") if everything else ()
    plan = Plan(
        contenders=tuple(contender or CONTENDERS),
        workloads=(
            *map(encoder_workload, batch or BATCHES),
            *(WORKLOADS[name] for name in names),
        ),
        sizes=tuple(size or SIZES),
        dtypes=tuple(dtype or ("bfloat16",)),
        rounds=rounds,
        threads=usable_processors(),
        output=output.resolve(),
        models=(output / "models").resolve(),
        device="cuda",
    )
    check(plan)
    compare(plan, wide_console())


def encoder_workload(batch: int) -> Workload:
    """The image encoder on so many images at once."""
    return Workload(f"encoder-{batch}", f"image encoder, batches of {batch}", "encode", batch=batch)
