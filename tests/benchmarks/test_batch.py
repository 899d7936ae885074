import subprocess
import sys

import pytest
from PIL import Image

from benchmarks.batch import WorkerCpuTime, child_processes, write_images

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux_only
def test_child_processes():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.pid in child_processes()
    assert process.pid not in child_processes()


@linux_only
def test_cpu_seconds_per_image_are_those_between_samples(monkeypatch):
    seconds = iter([1.0, 4.0])
    monkeypatch.setattr("benchmarks.batch.child_processes", lambda: [1])
    monkeypatch.setattr("benchmarks.batch.process_cpu_seconds", lambda process: next(seconds))
    cpu_time = WorkerCpuTime()
    for completed in (0, 1, 1, 3):  # no sample before the first image, and one per change
        cpu_time.record(completed)
    assert cpu_time.seconds_per_image() == pytest.approx(1.5)


def test_images_are_different_crops(tmp_path):
    folder = write_images(tmp_path / "images", 6)
    images = [Image.open(path) for path in sorted(folder.iterdir())]
    assert images[0].size == images[4].size  # crops of the same photograph
    assert len({image.tobytes() for image in images}) == 6
