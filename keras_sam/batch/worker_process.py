"""`WorkerProcess`: a worker process, as its parent process uses it."""

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.image_result import ImageResult, Provenance
from keras_sam.batch.worker import Message, WorkerFailed, WorkerReady, WorkerSettings
from keras_sam.errors import WorkerDiedError

SHUTDOWN_SECONDS = 10


class WorkerProcess:
    """A process with a model. Calling `start` again replaces a process that died.

    Args:
        settings: First message to the worker.
        log: File that the worker's output is appended to.
        environment: Environment variables to set in addition to those of this process.

    Attributes:
        provenance: Model and package versions. `None` before `start`.
    """

    def __init__(
        self, settings: WorkerSettings, *, log: Path, environment: Mapping[str, str]
    ) -> None:
        self.settings = settings
        self.log = log
        self.environment = dict(environment)
        self.provenance: Provenance | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, or `None` if the process is not running."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process and wait until its model is loaded.

        Raises:
            RuntimeError: If the model cannot be loaded.
            WorkerDiedError: If the process ends.
        """
        # A fresh interpreter, which does not run the user's script again, with the same paths.
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
                start_new_session=True,  # Ctrl-C reaches only this process, which ends the workers
            )
        self._send(self.settings)
        match self._receive():
            case WorkerReady(provenance):
                self.provenance = provenance
            case WorkerFailed(error):
                self.stop()
                raise RuntimeError(
                    f"the model could not be loaded: {error.error_type}: {error.message}"
                )

    def send(self, image: BatchImage) -> None:
        """Send an image to the worker.

        Raises:
            WorkerDiedError: If the process has ended.
        """
        self._send(image)

    def receive(self) -> ImageResult:
        """Wait for the next result.

        Raises:
            WorkerDiedError: If the process ends.
        """
        result = self._receive()
        if not isinstance(result, ImageResult):
            raise RuntimeError(f"expected a result of a worker, got {result!r:.100}")
        return result

    def stop(self) -> None:
        """Close the input of the process and wait for its end. Kill it after 10 seconds."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):  # the process may have ended
            if process.stdin:
                process.stdin.close()
        try:
            process.wait(SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            if process.stdout:
                process.stdout.close()

    def kill(self) -> None:
        """Kill the process. May be called from any thread."""
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

    def _receive(self) -> Message:
        try:
            return pickle.load(self._pipe("stdout"))
        except (EOFError, pickle.UnpicklingError, OSError) as error:
            raise self._death() from error

    def _pipe(self, name: str) -> IO[bytes]:
        pipe = getattr(self._process, name, None)
        if pipe is None:
            raise RuntimeError("the worker process is not running; call start first")
        return pipe

    def _death(self) -> WorkerDiedError:
        process = self._process
        code = process.wait() if process is not None else None
        self.stop()
        how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
        return WorkerDiedError(f"the worker process ended {how}; its output is in {self.log}")
