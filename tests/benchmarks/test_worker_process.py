"""Worker processes that stop, end, hang and get unknown commands."""

import sys
import textwrap
import time
from pathlib import Path

import pytest

from benchmarks.worker_process import WorkerError, WorkerProcess

HEADER = """
    import os, signal, time

    class Implementation:
        def prepare(self, files, settings):
"""


@pytest.fixture
def start(tmp_path):
    """Function that starts a worker whose `prepare` runs some code."""
    processes = []

    def start_worker(code, timeout=60.0):
        file = tmp_path / "implementation.py"
        file.write_text(textwrap.dedent(HEADER) + textwrap.indent(code, " " * 8))
        command = {
            "implementation": "checkout",
            "checkouts": {"checkout": str(file)},
            "workload": {"name": "point", "description": "", "step": "predict"},
            "settings": {"dtype": "float32", "threads": 1, "device": "cpu"},
            "files": {"directory": str(tmp_path), "image_size": 64},
            "options": None,
        }
        log = tmp_path / "log.txt"
        processes.append(WorkerProcess(command, backend="", log=log, timeout=timeout))
        return processes[-1]

    yield start_worker
    for process in processes:
        process.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_worker_is_stopped_between_commands(start):
    worker = start("pass")
    end = time.monotonic() + 10
    while process_state(worker.process.pid) != "T":  # the signal takes effect a little later
        assert time.monotonic() < end
        time.sleep(0.01)


def test_missing_feature_has_its_own_kind(start):
    code = "from benchmarks.implementations import UnsupportedError as E; raise E('no GPU')"
    with pytest.raises(WorkerError, match="no GPU") as caught:
        start(code).send("prepare")
    assert caught.value.kind == "unsupported"


def test_missing_package_is_unsupported(start):
    with pytest.raises(WorkerError, match="missing_package is not installed") as caught:
        start("import missing_package").send("prepare")
    assert caught.value.kind == "unsupported"


def test_end_of_the_process_raises(start):
    with pytest.raises(WorkerError, match=r"ended with code 3; see .*log\.txt"):
        start("os._exit(3)").send("prepare")


def test_killed_process_raises(start):
    with pytest.raises(WorkerError, match="was killed, probably because memory ran out"):
        start("os.kill(os.getpid(), signal.SIGKILL)").send("prepare")


def test_timeout_raises(start):
    worker = start("time.sleep(60)")
    worker.timeout = 0.2
    with pytest.raises(WorkerError, match="took more than 0 s"):
        worker.send("prepare")


def test_printed_text_goes_to_the_log(start, tmp_path):
    with pytest.raises(WorkerError, match="done"):
        start("print('some text'); raise ValueError('done')").send("prepare")
    assert "some text" in (tmp_path / "log.txt").read_text()


def process_state(process):
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
