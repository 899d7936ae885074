"""Ray on this machine: actors and the driver are killed, and the table is that of a local run."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from keras_sam.batch.part_writer import PartLimits, part_files
from keras_sam.batch.ray_runner import RayOptions
from keras_sam.batch.run_batch import run_batch

pytest.importorskip("ray")
RUN = """
import sys
from keras_sam.batch import BatchSettings, RayOptions, run_batch
source, output, preset = sys.argv[1:]
settings = BatchSettings(
    preset=preset, points_per_side=3, pred_iou_thresh=0.0, stability_score_thresh=0.0
)
run_batch(source, output, settings, options=RayOptions(images_per_call=1, images_per_part=1))
"""
# What Ray itself leaves open when it ends.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def with_poison(tmp_path_factory, photographs):
    """The photographs, and a file that is none."""
    root = tmp_path_factory.mktemp("with_poison")
    for path in photographs.rglob("*.png"):
        (root / path.name).write_bytes(path.read_bytes())
    (root / "poison.png").write_text("no picture")
    return root


@pytest.fixture(scope="module")
def address():
    """Of a cluster that was there before."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3})
    yield cluster.address
    cluster.shutdown()


def actor_processes():
    """Processes of this one's Ray that hold a model."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_text()
            parents = [int(folder.name)]
            while parents[-1] > 1:
                stat = Path(f"/proc/{parents[-1]}/stat").read_text()
                parents.append(int(stat.rpartition(")")[2].split()[1]))
        except (OSError, IndexError):  # it ended in the meantime
            continue
        if "RayProcessor" in title and os.getpid() in parents:
            yield parents[0]


def test_a_killed_actor_and_a_bad_image_lose_nothing(
    address, with_poison, settings, read_table, tmp_path
):
    killed = []

    def progress(state):
        if state.done and not killed:
            for process in actor_processes():
                os.kill(process, signal.SIGKILL)
                killed.append(process)

    options = RayOptions(address=address, images_per_call=1, images_per_part=1)
    summary = run_batch(with_poison, tmp_path / "ray", settings, options=options, progress=progress)
    assert killed
    assert (summary.done, summary.errors, summary.is_complete) == (13, 1, True)
    run_batch(with_poison, tmp_path / "local", settings, limits=PartLimits(seconds=0))
    assert read_table(tmp_path / "ray") == read_table(tmp_path / "local")


def test_a_killed_driver_is_followed_by_another(
    address, photographs, settings, read_table, uninterrupted, tmp_path
):
    arguments = [str(photographs), str(tmp_path), settings.preset]
    process = subprocess.Popen([sys.executable, "-c", RUN, *arguments], start_new_session=True)
    while process.poll() is None and not part_files(tmp_path):
        time.sleep(0.01)
    time.sleep(random.Random(0).random() * 0.2)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    done = len(part_files(tmp_path))
    options = RayOptions(address=address, images_per_part=3)
    summary = run_batch(photographs, tmp_path, settings, options=options)
    assert (summary.done_before, summary.done) == (done, 12 - done)
    assert read_table(tmp_path) == uninterrupted
    assert not (tmp_path / "_staging").exists()


def test_a_model_that_cannot_be_loaded_ends_the_run(address, photographs, settings, tmp_path):
    wrong = replace(settings, preset=str(tmp_path / "nothing"))
    with pytest.raises(RuntimeError, match="no directory, no file and no built-in preset"):
        run_batch(photographs, tmp_path / "out", wrong, options=RayOptions(address=address))
