"""`WorkerProcess`: a worker from the side that gives it images."""

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.worker import Message, Ready, WorkerFailed, WorkerSettings

# For each way in which a library is told how many threads to take.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NPROC",  # of XLA
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
SECONDS_TO_END = 10


class WorkerDiedError(RuntimeError):
    """A worker's process is gone."""


class WorkerProcess:
    """A process with a model; started anew when `start` is called again.

    Args:
        settings: for the worker.
        log: where its output goes.
        environment: variables that are set for it beside those of this process.
    """

    def __init__(
        self, settings: WorkerSettings, *, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.settings = settings
        self.log = log
        self.environment = dict(environment or {})
        self.facts: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the process and waits for its model.

        Raises:
            RuntimeError: if it cannot be had; the message is the worker's.
        """
        # As a fresh interpreter with the paths of this one: no script of the user's is run again.
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from keras_sam.batch.worker import main; "
            "main()"
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | self.environment,
                start_new_session=True,  # Ctrl-C is for this process: it ends the workers
            )
        self._send(self.settings)
        match self.receive():
            case Ready(facts):
                self.facts = facts
            case WorkerFailed(error_type, error):
                self.stop()
                raise RuntimeError(f"the model could not be loaded: {error_type}: {error}")

    def send(self, image: BatchImage) -> None:
        """Gives the worker an image to do.

        Raises:
            WorkerDiedError: if it is gone.
        """
        self._send(image)

    def receive(self) -> Message:
        """The next message; waits for it.

        Raises:
            WorkerDiedError: if it is gone.
        """
        try:
            return pickle.load(self._pipe("stdout"))
        except (EOFError, pickle.UnpicklingError, OSError) as error:
            raise self._death() from error

    def stop(self) -> None:
        """Lets the process end, or ends it."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):  # it may be gone
            if process.stdin:
                process.stdin.close()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            if process.stdout:
                process.stdout.close()

    def kill(self) -> None:
        """Ends the process at once; from any thread."""
        process = self._process
        if process is not None:
            process.kill()

    def _send(self, message: object) -> None:
        try:
            pipe = self._pipe("stdin")
            pickle.dump(message, pipe)
            pipe.flush()
        except OSError as error:
            raise self._death() from error

    def _pipe(self, name: str) -> IO[bytes]:
        pipe = getattr(self._process, name, None)
        if pipe is None:
            raise RuntimeError("the worker is not started")
        return pipe

    def _death(self) -> WorkerDiedError:
        process = self._process
        code = process.wait() if process is not None else None
        self.stop()
        how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
        return WorkerDiedError(f"the worker's process ended {how}; its output is in {self.log}")


def thread_environment(threads: int) -> dict[str, str]:
    """Variables that give a process so many threads for its computing."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))
