"""`Member`: a contender that takes part in the rounds of a job."""

import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.contenders import OURS, Everything, ModelFiles, entry_for
from benchmarks.plan import Job, Plan, start_command
from benchmarks.worker_process import WorkerError, WorkerProcess


class Member:
    """A contender in a process that lives as long as the job, and what it reached.

    Whatever fails is remembered as its reason, and it takes no further part.

    Args:
        name: of the contender.
        job: what it does.
        plan: of the whole run.
        files: of the model.
        wanted: of everything mode.
    """

    def __init__(
        self, name: str, job: Job, plan: Plan, files: ModelFiles, wanted: Everything | None
    ) -> None:
        self.name = name
        self.job = job
        self.plan = plan
        self.seconds: list[float] = []
        self.memory: dict[str, int] = {}
        self.first_seconds = 0.0
        self.status, self.reason = "ran", ""
        self.outputs = plan.output / "outputs" / f"{job.name}-{name}.npz"
        self._entry = entry_for(name, plan.checkouts)
        self._command = start_command(name, job, plan, files, wanted)
        self._process: WorkerProcess | None = None

    @property
    def is_running(self) -> bool:
        """Whether it still takes part."""
        return self.status == "ran"

    @property
    def precision(self) -> str:
        """What it computes in."""
        return self._entry.precision or self.job.dtype

    @property
    def process_id(self) -> int | None:
        """Of its process, if it has one that lives."""
        return self._process.process.pid if self._process else None

    def open(self) -> None:
        """Converts and loads the model, and runs once, which may compile."""
        self._attempt(self._open)

    def turn(self) -> float | None:
        """Seconds of the task in its turn; None if it fails."""
        seconds = self._attempt(self._turn)
        if seconds is not None:
            self.seconds.append(seconds)
        return seconds

    def close(self) -> None:
        """Ends its process."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _open(self) -> None:
        self._convert()
        self._process = self._start()
        self._process.ask("prepare")
        reply = self._process.ask("run", seconds=0, save=self._fresh_outputs())
        self.memory, self.first_seconds = reply["memory"], reply["seconds"][0]

    def _turn(self) -> float:
        assert self._process is not None
        reply = self._process.ask("run", seconds=self.plan.turn_seconds)
        return statistics.median(reply["seconds"])

    def _convert(self) -> None:
        if self._entry.converts:
            with self._start() as process:
                process.ask("convert")

    def _start(self) -> WorkerProcess:
        logs = self.plan.output / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return WorkerProcess(
            self._command,
            backend=self._entry.backend,
            log=logs / f"{self.job.name}-{self.name}.txt",
            timeout=self.plan.timeout,
            python=self.plan.python if self.name.startswith(OURS) else "",
        )

    def _fresh_outputs(self) -> str:
        self.outputs.parent.mkdir(parents=True, exist_ok=True)
        Path(self.outputs).unlink(missing_ok=True)
        return str(self.outputs)

    def _attempt(self, step: Any) -> Any:
        try:
            return step()
        except WorkerError as error:
            self.status, self.reason = error.kind, str(error)
            self.close()
            return None


class StartMember(Member):
    """A contender that starts anew in each turn, as a user's first command does."""

    def _open(self) -> None:
        self._convert()
        reply, self.first_seconds = self._from_the_start(save=self._fresh_outputs())
        self.memory = reply["memory"]

    def _turn(self) -> float:
        return self._from_the_start()[1]

    def _from_the_start(self, **command: Any) -> tuple[dict[str, Any], float]:
        start = time.perf_counter()
        with self._start() as process:
            process.ask("prepare")
            reply = process.ask("run", seconds=0, **command)
            # Saving the outputs comes after the masks are there, and only in the first run.
            return reply, time.perf_counter() - start


def create_member(
    name: str, job: Job, plan: Plan, files: ModelFiles, wanted: Everything | None
) -> Member:
    """A member of a job."""
    kind = StartMember if job.workload.step == "start" else Member
    return kind(name, job, plan, files, wanted)
