"""`Plan` and `Job`: what a run of the benchmark compares, and one line of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.contenders import Everything, ModelFiles, Setting
from benchmarks.workloads import Workload


@dataclass(frozen=True)
class Plan:
    """What is compared, and how.

    Attributes:
        contenders: names, in the order of the table.
        workloads: what they do.
        sizes: of the models.
        dtypes: "float32" and "bfloat16".
        rounds: each contender runs once in each.
        threads: for each contender.
        output: directory for results.
        models: directory for the files of the models.
        checkouts: name to path of those that are not known.
        image_size: side of the images, if not the model's own.
        device: "cpu" or "cuda".
        turn_seconds: a fast task is repeated so long in each turn.
        timeout: seconds that a step of a contender may take.
        points_per_side: of the grid of everything mode.
        baseline: what the others are compared with; the first of ours that runs if empty.
        reference: whose outputs in float32 are held to be right.
        python: of another environment, for ours to run in; this one's if empty.
    """

    contenders: tuple[str, ...]
    workloads: tuple[Workload, ...]
    sizes: tuple[str, ...]
    dtypes: tuple[str, ...]
    rounds: int
    threads: int
    output: Path
    models: Path
    checkouts: dict[str, str] = field(default_factory=dict)
    image_size: int | None = None
    device: str = "cpu"
    turn_seconds: float = 1.0
    timeout: float = 1800.0
    points_per_side: int = 32
    baseline: str = ""
    reference: str = "transformers-sdpa"
    python: str = ""

    def jobs(self) -> Iterator["Job"]:
        """Yields each workload of each size and type, a workload's own size but once."""
        seen = set()
        for size in self.sizes:
            for workload in self.workloads:
                for dtype in self.dtypes:
                    job = (workload.size or size, workload, dtype)
                    if job not in seen:
                        seen.add(job)
                        yield Job(*job)


@dataclass(frozen=True)
class Job:
    """A workload on a model of a size and type."""

    size: str
    workload: Workload
    dtype: str

    @property
    def name(self) -> str:
        """A name for files."""
        return f"{self.workload.name}-{self.size}-{self.dtype}"

    def setting(self, plan: Plan) -> Setting:
        """How a contender is to run it."""
        return Setting(
            dtype=self.dtype,
            threads=plan.threads,
            device=plan.device,
            batch=self.workload.batch,
            prompts=self.workload.prompts,
        )

    def in_float32(self) -> "Job":
        """The same, as the reference does it."""
        return replace(self, dtype="float32")


def start_command(
    name: str, job: Job, plan: Plan, files: ModelFiles, wanted: Everything | None
) -> dict[str, Any]:
    """What `benchmarks.worker` is told at first."""
    return {
        "contender": name,
        "checkouts": plan.checkouts,
        "workload": asdict(job.workload),
        "setting": asdict(job.setting(plan)),
        "files": {"directory": str(files.directory), "image_size": files.image_size},
        "wanted": wanted and asdict(wanted),
    }
