"""`Plan`, `Job`: the settings of a comparison, and one workload of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.implementations import GeneratorOptions, ModelFiles, Settings
from benchmarks.workloads import Workload


@dataclass(frozen=True)
class Plan:
    """Settings of a comparison.

    Attributes:
        implementations: Names in the order of the table.
        workloads: Workloads to measure.
        model_sizes: Sizes of the model.
        dtypes: "float32" and "bfloat16", or one of them.
        rounds: Number of rounds. Each implementation runs once per round.
        threads: Number of threads of each implementation.
        output: Directory for results.
        models: Directory for the files of the models.
        checkouts: File of each implementation from another repository, by name.
        image_size: Side of the images in pixels. `None` uses that of the model.
        device: "cpu" or "cuda".
        run_seconds: Minimum time of a run in seconds. A fast task is repeated.
        timeout: Maximum time of a step in seconds.
        points_per_side: Point grid of automatic mask generation.
        baseline: Implementation to which the others are compared. If empty, the first one of
            this project that runs.
        reference: Implementation whose float32 outputs count as correct.
        python: Python executable for the implementations of this project. If empty, this one.
    """

    implementations: tuple[str, ...]
    workloads: tuple[Workload, ...]
    model_sizes: tuple[str, ...]
    dtypes: tuple[str, ...]
    rounds: int
    threads: int
    output: Path
    models: Path
    checkouts: dict[str, str] = field(default_factory=dict)
    image_size: int | None = None
    device: str = "cpu"
    run_seconds: float = 1.0
    timeout: float = 1800.0
    points_per_side: int = 32
    baseline: str = ""
    reference: str = "transformers-sdpa"
    python: str = ""

    def jobs(self) -> Iterator["Job"]:
        """Yield each workload with each model size and dtype, without duplicates."""
        jobs = (
            Job(workload.model_size or model_size, workload, dtype)
            for model_size in self.model_sizes
            for workload in self.workloads
            for dtype in self.dtypes
        )
        yield from dict.fromkeys(jobs)

    def for_reference(self) -> "Plan":
        """Return the same plan with another directory for outputs and logs."""
        return replace(self, output=self.output / "reference")


@dataclass(frozen=True)
class Job:
    """A workload with a model size and a dtype."""

    model_size: str
    workload: Workload
    dtype: str

    @property
    def name(self) -> str:
        """Name for files."""
        return f"{self.workload.name}-{self.model_size}-{self.dtype}"

    def settings(self, plan: Plan) -> Settings:
        """Return the conditions under which an implementation runs the job."""
        return Settings(
            dtype=self.dtype,
            threads=plan.threads,
            device=plan.device,
            batch_size=self.workload.batch_size,
            num_prompts=self.workload.num_prompts,
        )


def start_command(
    name: str, job: Job, plan: Plan, files: ModelFiles, options: GeneratorOptions | None
) -> dict[str, Any]:
    """Return the arguments of the first command of `benchmarks.worker`."""
    return {
        "implementation": name,
        "checkouts": plan.checkouts,
        "workload": asdict(job.workload),
        "settings": asdict(job.settings(plan)),
        "files": {"directory": str(files.directory), "image_size": files.image_size},
        "options": options and asdict(options),
    }
