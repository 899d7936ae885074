"""`Participant`: an implementation that takes part in the rounds of a job."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.implementations import GeneratorOptions, ModelFiles, find_entry
from benchmarks.plan import Job, Plan, start_command
from benchmarks.worker_process import WorkerError, WorkerProcess

# A first run that is faster is followed by another one: PyTorch traces in the second call.
MAX_WARM_UP_SECONDS = 5.0


class Participant:
    """An implementation in a process that lives as long as the job.

    If a step fails, the participant records the reason and takes no further part.

    Args:
        name: Name of the implementation.
        job: Job to run.
        plan: Settings of the comparison.
        files: Files of the model.
        options: Options of automatic mask generation, if the job needs them.

    Attributes:
        seconds: Time of each run.
        memory: Output of `PeakMemory.measure` after the first run.
        first_seconds: Time of the first run, which may compile.
        status: "ran", "unsupported" or "failed".
        reason: Reason for the status, if it is not "ran".
        outputs: `.npz` file with the outputs of the first run.
    """

    def __init__(
        self,
        name: str,
        job: Job,
        plan: Plan,
        files: ModelFiles,
        options: GeneratorOptions | None = None,
    ) -> None:
        self.name = name
        self.job = job
        self.plan = plan
        self.seconds: list[float] = []
        self.memory: dict[str, int] = {}
        self.first_seconds = 0.0
        self.status, self.reason = "ran", ""
        self.outputs = plan.output / "outputs" / f"{job.name}-{name}.npz"
        self._entry = find_entry(name, plan.checkouts)
        self._command = start_command(name, job, plan, files, options)
        self._process: WorkerProcess | None = None

    @property
    def is_running(self) -> bool:
        """True if nothing has failed."""
        return self.status == "ran"

    @property
    def is_ours(self) -> bool:
        """True for the implementations of this project."""
        return self._entry.is_ours

    @property
    def precision(self) -> str:
        """Precision of the computation."""
        return self._entry.precision or self.job.dtype

    @property
    def process_id(self) -> int | None:
        """ID of the process, or `None` without one."""
        return self._process.process.pid if self._process else None

    def open(self) -> None:
        """Convert and load the model, and run it until it is compiled."""
        self._attempt(self._open)

    def run(self) -> None:
        """Run the task once more, or as often as fits `run_seconds`, and record the median time."""
        seconds = self._attempt(self._run)
        if seconds is not None:
            self.seconds.append(seconds)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _open(self) -> None:
        self._convert()
        self._process = self._start()
        self._process.send("prepare")
        reply = self._process.send("run", seconds=0, save=self._new_outputs())
        self.memory, self.first_seconds = reply["memory"], reply["seconds"][0]
        if self.first_seconds < MAX_WARM_UP_SECONDS:
            self._process.send("run", seconds=0)

    def _run(self) -> float:
        assert self._process is not None
        reply = self._process.send("run", seconds=self.plan.run_seconds)
        return statistics.median(reply["seconds"])

    def _convert(self) -> None:
        if self._entry.converts:
            with self._start() as process:
                process.send("convert")

    def _start(self) -> WorkerProcess:
        logs = self.plan.output / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return WorkerProcess(
            self._command,
            backend=self._entry.backend,
            log=logs / f"{self.job.name}-{self.name}.txt",
            timeout=self.plan.timeout,
            python=self.plan.python if self.is_ours else "",
        )

    def _new_outputs(self) -> str:
        self.outputs.parent.mkdir(parents=True, exist_ok=True)
        Path(self.outputs).unlink(missing_ok=True)
        return str(self.outputs)

    def _attempt(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except WorkerError as error:
            self.status, self.reason = error.kind, str(error)
            self.close()
            return None


class StartupParticipant(Participant):
    """A participant that starts a new process in each run, like a user's first command."""

    def _open(self) -> None:
        self._convert()
        reply, self.first_seconds = self._run_from_start(save=self._new_outputs())
        self.memory = reply["memory"]

    def _run(self) -> float:
        return self._run_from_start()[1]

    def _run_from_start(self, **arguments: Any) -> tuple[dict[str, Any], float]:
        start = time.perf_counter()
        with self._start() as process:
            process.send("prepare")
            # Only the first run, which is not counted, saves its outputs.
            reply = process.send("run", seconds=0, **arguments)
            return reply, time.perf_counter() - start


def create_participant(
    name: str,
    job: Job,
    plan: Plan,
    files: ModelFiles,
    options: GeneratorOptions | None = None,
) -> Participant:
    """Create the participant that a job needs; see `Participant`."""
    participant_class = StartupParticipant if job.workload.step == "start" else Participant
    return participant_class(name, job, plan, files, options)
