"""Processes that are killed: nothing is lost and nothing comes twice."""

import random
import signal
import subprocess
import sys
import time

import pytest

from keras_sam.batch import local_runner
from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.part_writer import part_files
from keras_sam.batch.run_batch import run_batch
from keras_sam.batch.worker_process import WorkerDiedError, WorkerProcess
from tests.batch.fake_workers import InlineWorker


def test_killed_at_random_moments_it_ends_with_the_same_table(
    fake_workers, photographs, read_table, tmp_path
):
    run_batch(photographs, tmp_path / "whole")
    output, moments = tmp_path / "killed", random.Random(0)
    command = [sys.executable, "-m", "tests.batch.fake_workers", str(photographs), str(output)]
    codes = []
    for _ in range(4):
        process = subprocess.Popen([*command, "0.3"])
        before = len(part_files(output))
        while process.poll() is None and len(part_files(output)) == before:
            time.sleep(0.005)
        time.sleep(moments.random() * 0.3)  # the next part is now nearer or further
        process.kill()
        codes.append(process.wait())
    assert codes.count(-signal.SIGKILL) >= 2  # on a slow machine the last may have nothing left
    run_batch(photographs, output)
    assert read_table(output) == read_table(tmp_path / "whole")


def test_a_killed_worker_is_replaced(
    photographs, settings, read_table, uninterrupted, tmp_path, monkeypatch
):
    workers = []

    class Recorded(WorkerProcess):
        def start(self):
            super().start()
            workers.append(self._process.pid)

        def receive(self):
            message = super().receive()
            if isinstance(message, ImageResult) and len(workers) == 1:
                self.kill()
            return message

    monkeypatch.setattr(local_runner, "WorkerProcess", Recorded)
    summary = run_batch(photographs, tmp_path, settings)
    assert len(workers) == 2
    assert (summary.done, summary.errors) == (12, 0)
    assert read_table(tmp_path) == uninterrupted


class Fragile(InlineWorker):
    """Dies of an image with `killer` in its name."""

    def start(self):
        self.is_dying = False
        super().start()

    def send(self, image):
        self.is_dying |= "killer" in image.id
        super().send(image)

    def receive(self):
        if self.is_dying:
            self.stop()
            raise WorkerDiedError("the worker's process ended by signal 11")
        return super().receive()


def test_an_image_that_kills_workers_is_an_error_and_no_other_is(
    fake_workers, photographs, read_table, tmp_path, monkeypatch
):
    monkeypatch.setattr(local_runner, "WorkerProcess", Fragile)
    paths = sorted(photographs.rglob("*.png"))
    for index in (3, 8):
        killer = tmp_path / f"killer{index}.png"
        killer.write_bytes(paths[index].read_bytes())
        paths.insert(index, killer)
    summary = run_batch(paths, tmp_path / "out")
    assert (summary.done, summary.errors) == (14, 2)
    rows = [row for row in read_table(tmp_path / "out") if row["status"] == "error"]
    assert ["killer" in row["image_id"] for row in rows] == [True, True]
    assert {row["error_type"] for row in rows} == {"WorkerDiedError"}
    assert "ended by signal 11" in rows[0]["error"]


def test_workers_that_keep_dying_end_the_run(fake_workers, photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(local_runner, "WorkerProcess", Fragile)
    paths = []
    for index in range(12):
        paths.append(tmp_path / f"killer{index}.png")
        paths[-1].write_bytes((photographs / "00.png").read_bytes())
    with pytest.raises(RuntimeError, match="times without an image done"):
        run_batch(paths, tmp_path / "out")
