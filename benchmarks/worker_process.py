"""`WorkerProcess`: the parent's side of a process of `benchmarks.worker`."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parent.parent
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)
VARIABLES = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONUNBUFFERED": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # all implementations share the GPU
}


class WorkerError(Exception):
    """A worker could not run a command. The message is the reason shown in the table.

    Attributes:
        kind: "unsupported" or "failed".
    """

    def __init__(self, reason: str, kind: str = "failed") -> None:
        super().__init__(reason)
        self.kind = kind


class WorkerProcess:
    """A process of `benchmarks.worker`, stopped while it has no command.

    Idle threads of a thread pool may spin. A stopped process takes no CPU time from others.

    Args:
        start: Arguments of the first command.
        backend: Keras backend, or "".
        log: File for everything that libraries print.
        timeout: Maximum time of a command in seconds.
        python: Python executable. If empty, this one.

    Raises:
        WorkerError: If the first command fails.
    """

    def __init__(
        self, start: dict[str, Any], *, backend: str, log: Path, timeout: float, python: str = ""
    ) -> None:
        self.timeout = timeout
        self.log = log
        settings = start["settings"]
        variables = build_environment(
            backend, settings["threads"], settings["device"], cache=log.parent / "compiled"
        )
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [python or sys.executable, "-m", "benchmarks.worker"],
                cwd=ROOT,
                env=variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        self.send("start", **start)

    def send(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and return the reply.

        Raises:
            WorkerError: If the command fails, the process ends, or it takes too long.
        """
        assert self.process.stdin is not None
        self._signal(signal.SIGCONT)
        try:
            line = json.dumps({"command": command, **arguments}) + "\n"
            self.process.stdin.write(line.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(self._exit_reason()) from None
        reply = self._read()
        self._signal(signal.SIGSTOP)
        if "error" in reply:
            raise WorkerError(reply["error"], reply["kind"])
        return reply

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        stdout, line = self.process.stdout.fileno(), b""
        end = time.monotonic() + self.timeout
        while not line.endswith(b"\n"):
            remaining = end - time.monotonic()
            if remaining <= 0 or not select.select([stdout], [], [], remaining)[0]:
                raise WorkerError(f"took more than {self.timeout:.0f} s")
            data = os.read(stdout, 2**16)
            if not data:
                raise WorkerError(self._exit_reason())
            line += data
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _exit_reason(self) -> str:
        code = self.process.wait()
        if code == -signal.SIGKILL:
            return "was killed, probably because memory ran out"
        return f"ended with code {code}; see {self.log}"

    def _signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)


def build_environment(backend: str, threads: int, device: str, *, cache: Path) -> dict[str, str]:
    """Return the environment variables of a worker.

    Args:
        backend: Keras backend, or "".
        threads: Number of threads.
        device: "cpu" or "cuda".
        cache: Directory in which JAX keeps compiled programs.
    """
    variables = os.environ | VARIABLES | dict.fromkeys(THREAD_VARIABLES, str(threads))
    variables["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    if backend:
        variables["KERAS_BACKEND"] = backend
        variables["JAX_COMPILATION_CACHE_DIR"] = str(cache.resolve())
        variables["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    if device == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    return variables
