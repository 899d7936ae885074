"""A process that runs one implementation: `python -m benchmarks.worker`.

It reads commands from standard input and writes a reply to each to standard output, as lines of
JSON. Everything that libraries print goes to standard error.

The first command is `start`. It names the implementation and the task, and limits the CPU cores.
Then comes `convert`, or `prepare` and any number of `run`. If a command fails, the reply contains
`error` and `kind`.
"""

import contextlib
import ctypes
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

MAX_REASON_LENGTH = 240
PR_SET_PDEATHSIG = 1  # linux/prctl.h
ANSI_COLOR = re.compile(r"\x1b\[[0-9;]*m")


class Worker:
    """An implementation and its task.

    Args:
        command: Output of `benchmarks.plan.start_command`.
    """

    def __init__(self, command: dict[str, Any]) -> None:
        limit_cores(command["settings"]["threads"])  # before libraries count them
        from benchmarks.implementations import (
            GeneratorOptions,
            ModelFiles,
            Settings,
            create_implementation,
        )
        from benchmarks.workloads import Workload

        self.workload = Workload(**command["workload"])
        self.settings = Settings(**command["settings"])
        files, options = command["files"], command["options"]
        self.files = ModelFiles(Path(files["directory"]), files["image_size"])
        self.options = GeneratorOptions(**options) if options else None
        self.implementation = create_implementation(command["implementation"], command["checkouts"])
        self.task: Any = None
        self.commands: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "convert": self.convert,
            "prepare": self.prepare,
            "run": self.run,
        }

    def convert(self, command: dict[str, Any]) -> dict[str, Any]:
        """Convert the model, if the implementation needs that."""
        if hasattr(self.implementation, "convert"):
            self.implementation.convert(self.files, self.settings, step=self.workload.step)
        return {}

    def prepare(self, command: dict[str, Any]) -> dict[str, Any]:
        """Load the model and create the inputs."""
        from benchmarks.peak_memory import PeakMemory
        from benchmarks.workloads import create_task

        self.implementation.prepare(self.files, self.settings)
        self.memory = PeakMemory(self.settings.device)
        self.task = create_task(
            self.workload, self.implementation, self.files.image_size, self.options
        )
        return {}

    def run(self, command: dict[str, Any]) -> dict[str, Any]:
        """Run the task at least once. The first run may compile.

        Args:
            command: `seconds`, the minimum time of all repetitions together, and optionally
                `save`, the path of a file for the arrays of the last result.

        Returns:
            `seconds`, the time of each repetition, and `memory`.
        """
        seconds: list[float] = []
        while not seconds or sum(seconds) < command["seconds"]:
            start = time.perf_counter()
            result = self.task.run()
            seconds.append(time.perf_counter() - start)
        reply = {"seconds": seconds, "memory": self.memory.measure()}
        if command.get("save"):
            np.savez(command["save"], **self.task.to_arrays(result))
        if self.settings.device == "cuda" and "torch" in sys.modules:
            del result
            sys.modules["torch"].cuda.empty_cache()  # other processes share the GPU
        return reply


def limit_cores(count: int) -> None:
    """Restrict this process to some of the CPU cores that it may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def end_with_parent() -> None:
    """Make Linux end this process with its parent. A stopped process would remain otherwise."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(commands: TextIO, replies: TextIO) -> None:
    """Reply to commands until there are no more."""
    worker: Worker | None = None
    for line in commands:
        command = json.loads(line)
        try:
            if worker is None:
                worker = Worker(command)
                reply: dict[str, Any] = {}
            else:
                reply = worker.commands[command["command"]](command)
        except Exception as error:
            traceback.print_exc()
            reply = error_to_reply(error)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def error_to_reply(error: Exception) -> dict[str, Any]:
    """Convert an exception to a reply with one line of text."""
    from benchmarks.implementations import UnsupportedError

    lines = [line for line in ANSI_COLOR.sub("", str(error)).splitlines() if line.strip()]
    text = " ".join(lines[:2])[:MAX_REASON_LENGTH]  # Keras puts the cause on the second line
    if isinstance(error, UnsupportedError):
        return {"error": text, "kind": "unsupported"}
    if isinstance(error, ModuleNotFoundError):
        return {"error": f"{error.name} is not installed", "kind": "unsupported"}
    return {"error": f"{type(error).__name__}: {text}", "kind": "failed"}


def main() -> None:
    """Reserve standard output for replies, and serve."""
    end_with_parent()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with contextlib.redirect_stdout(sys.stderr):
        serve(sys.stdin, replies)


if __name__ == "__main__":
    main()
