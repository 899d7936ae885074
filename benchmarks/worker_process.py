"""`WorkerProcess`: a contender's process, as its parent sees it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONUNBUFFERED": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the card is shared with the other contenders
}


class WorkerError(Exception):
    """A contender that could not do what it was asked for.

    Attributes:
        kind: "unsupported" or "failed".
    """

    def __init__(self, reason: str, kind: str = "failed") -> None:
        super().__init__(reason)
        self.kind = kind


class WorkerProcess:
    """A process of `benchmarks.worker`, which is stopped while it has nothing to do.

    A pool of threads that waits for work may spin; a stopped process takes nothing from others.

    Args:
        start: the command `start`.
        backend: of Keras, or "".
        log: a file for what its libraries print.
        timeout: seconds that an answer may take.
        python: that it runs with; this one if empty.
    """

    def __init__(
        self, start: dict[str, Any], *, backend: str, log: Path, timeout: float, python: str = ""
    ) -> None:
        self.timeout = timeout
        self.log = log
        setting = start["setting"]
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [python or sys.executable, "-m", "benchmarks.worker"],
                cwd=ROOT,
                env=environment(
                    backend, setting["threads"], setting["device"], cache=log.parent / "compiled"
                ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self.ask("start", **start)

    def ask(self, do: str, **command: Any) -> dict[str, Any]:
        """The reply to a command.

        Raises:
            WorkerError: if the contender fails, dies, or takes too long.
        """
        assert self.process.stdin is not None
        self._send(signal.SIGCONT)
        try:
            self.process.stdin.write((json.dumps({"do": do, **command}) + "\n").encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(self._death()) from None
        reply = self._read()
        self._send(signal.SIGSTOP)
        if "error" in reply:
            raise WorkerError(reply["error"], reply["kind"])
        return reply

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        place, line = self.process.stdout.fileno(), b""
        end = time.monotonic() + self.timeout
        while not line.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not select.select([place], [], [], left)[0]:
                raise WorkerError(f"took more than {self.timeout:.0f} s")
            part = os.read(place, 2**16)
            if not part:
                raise WorkerError(self._death())
            line += part
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _death(self) -> str:
        code = self.process.wait()
        if code == -signal.SIGKILL:
            return "was killed, perhaps for want of memory"
        return f"ended with code {code}; see {self.log}"

    def _send(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)


def environment(backend: str, threads: int, device: str, *, cache: Path) -> dict[str, str]:
    """The variables of a contender's process; JAX keeps what it compiles in `cache`."""
    variables = os.environ | QUIET | dict.fromkeys(THREAD_VARIABLES, str(threads))
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
