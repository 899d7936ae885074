"""A process that runs one contender: `python -m benchmarks.worker`.

Reads commands from its standard input and writes a reply to each on its standard output, as lines
of JSON. What libraries print goes to the standard error.

The first command is `start`, which names the contender, limits its processors, and tells what it is
to do; then `convert`, or `prepare` and any number of `run`. A reply has `error` and `kind` where
something failed.
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
from pathlib import Path
from typing import Any, TextIO

import numpy as np

LONGEST_REASON = 240
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
ANSI_COLOR = re.compile(r"\x1b\[[0-9;]*m")


class Worker:
    """A contender and what it is to do.

    Args:
        command: `contender`, `checkouts`, `workload`, `setting`, `files` and `wanted`, each as
            plain values.
    """

    def __init__(self, command: dict[str, Any]) -> None:
        limit_processors(command["setting"]["threads"])
        from benchmarks.contenders import Everything, ModelFiles, Setting, create_contender
        from benchmarks.workloads import Workload

        self.workload = Workload(**command["workload"])
        self.setting = Setting(**command["setting"])
        files = command["files"]
        self.files = ModelFiles(Path(files["directory"]), files["image_size"])
        self.wanted = Everything(**command["wanted"]) if command["wanted"] else None
        self.contender = create_contender(command["contender"], command["checkouts"])
        self.task: Any = None

    def convert(self, command: dict[str, Any]) -> dict[str, Any]:
        """Converts the model, if there is anything to convert."""
        if hasattr(self.contender, "convert"):
            self.contender.convert(self.files, self.setting, step=self.workload.step)
        return {}

    def prepare(self, command: dict[str, Any]) -> dict[str, Any]:
        """Loads the model and makes the inputs."""
        from benchmarks.peak_memory import PeakMemory
        from benchmarks.workloads import create_task

        self.contender.prepare(self.files, self.setting)
        self.memory = PeakMemory(self.setting.device)
        self.task = create_task(self.workload, self.contender, self.files.image_size, self.wanted)
        return {}

    def run(self, command: dict[str, Any]) -> dict[str, Any]:
        """Runs the task for some time, at least once; the first time it may compile.

        The command's `seconds` is the least time to fill, and `save` a file for the arrays of the
        result.
        """
        seconds: list[float] = []
        while not seconds or sum(seconds) < command["seconds"]:
            start = time.perf_counter()
            result = self.task.run()
            seconds.append(time.perf_counter() - start)
        reply = {"seconds": seconds, "memory": self.memory.figures()}
        if command.get("save"):
            np.savez(command["save"], **self.task.to_arrays(result))
        if self.setting.device == "cuda" and "torch" in sys.modules:
            del result
            sys.modules["torch"].cuda.empty_cache()  # the others want the card, too
        return reply


def limit_processors(count: int) -> None:
    """Lets this process use so many processors of those it may use, whatever computes in it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def end_with_parent() -> None:
    """Has Linux end this process when its parent ends: a stopped one would stay for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(commands: TextIO, replies: TextIO) -> None:
    """Answers commands until there are no more."""
    worker: Worker | None = None
    for line in commands:
        command = json.loads(line)
        try:
            if command["do"] == "start":
                worker = Worker(command)
                reply: dict[str, Any] = {}
            else:
                reply = getattr(worker, command["do"])(command)
        except Exception as error:
            traceback.print_exc()
            reply = failure(error)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def failure(error: Exception) -> dict[str, Any]:
    """What a reply tells of an error: one line. Of Keras' errors the second has the cause."""
    from benchmarks.contenders import UnsupportedError

    lines = [line for line in ANSI_COLOR.sub("", str(error)).splitlines() if line.strip()]
    text = " ".join(lines[:2])[:LONGEST_REASON]
    if isinstance(error, UnsupportedError):
        return {"error": text, "kind": "unsupported"}
    if isinstance(error, ModuleNotFoundError):
        return {"error": f"{error.name} is not installed", "kind": "unsupported"}
    return {"error": f"{type(error).__name__}: {text}", "kind": "failed"}


def main() -> None:
    """Keeps the standard output for replies."""
    end_with_parent()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with contextlib.redirect_stdout(sys.stderr):
        serve(sys.stdin, replies)


if __name__ == "__main__":
    main()
