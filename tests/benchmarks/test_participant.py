"""Participants that run implementations of checkouts, in real processes."""

import textwrap
from pathlib import Path

import numpy as np

from benchmarks.implementations import ModelFiles
from benchmarks.participant import create_participant
from benchmarks.plan import Job, Plan
from benchmarks.workloads import WORKLOADS

WORKING = """
    import numpy as np

    class Implementation:
        def prepare(self, files, settings):
            self.calls = 0

        def set_image(self, image):
            pass

        def predict(self, points, labels):
            self.calls += 1
            return np.full((1, 3, 4, 4), self.calls), np.ones((1, 3))
"""
FAILING = """
    class Implementation:
        def prepare(self, files, settings):
            raise RuntimeError("line one\\nline two\\nline three")
"""


def open_participant(tmp_path, code, workload="point"):
    file = tmp_path / "implementation.py"
    file.write_text(textwrap.dedent(code))
    plan = Plan(
        implementations=("checkout",),
        workloads=(WORKLOADS[workload],),
        model_sizes=("tiny",),
        dtypes=("float32",),
        rounds=1,
        threads=1,
        output=tmp_path,
        models=tmp_path,
        checkouts={"checkout": str(file)},
        run_seconds=0.0,
        timeout=60.0,
    )
    job = Job("tiny", WORKLOADS[workload], "float32")
    participant = create_participant("checkout", job, plan, ModelFiles(tmp_path, 64))
    participant.open()
    return participant


def test_runs_are_timed_and_the_first_outputs_are_saved(tmp_path):
    participant = open_participant(tmp_path, WORKING)
    participant.run()
    participant.run()
    participant.close()
    assert participant.is_running
    assert len(participant.seconds) == 2
    assert participant.memory["peak"] > 0
    with np.load(participant.outputs) as outputs:
        assert (outputs["low_res_logits"] == 1).all()


def test_startup_participant_has_a_process_per_run(tmp_path):
    participant = open_participant(tmp_path, WORKING, workload="startup")
    participant.run()
    assert participant.is_running, participant.reason
    assert participant.process_id is None
    assert participant.seconds[0] > 0.1  # includes the start of Python


def test_exception_becomes_a_reason_of_one_line(tmp_path):
    participant = open_participant(tmp_path, FAILING)
    assert participant.status == "failed"
    assert participant.reason == "RuntimeError: line one line two"
    assert not participant.is_running
    logs = list((tmp_path / "logs").iterdir())
    assert "line three" in Path(logs[0]).read_text()
