"""The benchmark on a tiny model: who takes part, what is told, and that outputs are compared."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.write_models import encoder_gflop, model_of

# A contender of another repository, that is fast by being wrong, and takes no prompts.
CHECKOUT = """
import numpy as np
from benchmarks.contenders import UnsupportedError

class Contender:
    def prepare(self, files, setting):
        self.image_size = files.image_size

    def images_to_inputs(self, images):
        return images

    def encode(self, inputs):
        grid = self.image_size // 16
        return np.zeros((len(inputs), grid, grid, 32), np.float32)

    def embedding_to_numpy(self, embedding):
        return embedding

    def set_image(self, image):
        raise UnsupportedError("takes no prompts")
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    output = tmp_path_factory.mktemp("bench")
    (output / "contender.py").write_text(CHECKOUT)
    arguments = ["compare", "--quick", "--rounds", "2", "--threads", "1", "--output", str(output)]
    found = CliRunner().invoke(app, [*arguments, "--checkout", f"zeros={output}"])
    assert found.exit_code == 0, found.output
    assert "WRONG" in (output / "results.txt").read_text()
    return json.loads((output / "results.json").read_text())


def of(report, workload, contender):
    figures = next(job for job in report["results"] if job["workload"] == workload)
    return next(row for row in figures["contenders"] if row["name"] == contender)


@pytest.mark.parametrize("workload", ["encoder", "click"])
def test_ours_and_theirs_run_and_agree(report, workload):
    for name in ("ours-torch", "transformers-sdpa"):
        row = of(report, workload, name)
        assert row["status"] == "ran", row["reason"]
        assert row["agreement"]["agrees"]
        assert len(row["seconds"]["rounds"]) == 2
        assert 0 < row["ratio"]["low"] <= row["ratio"]["median"] <= row["ratio"]["high"]
        assert row["memory"]["peak"] >= row["memory"]["before"] > 0
    assert of(report, workload, "ours-torch")["ratio"]["median"] == 1


def test_the_encoder_is_held_against_the_matrix_rate(report):
    figures = report["results"][0]
    assert figures["matrix_gflop_per_second"]["median"] > 0
    assert figures["gflop"] == pytest.approx(0.00727, abs=1e-5)
    assert 0 < of(report, "encoder", "ours-torch")["matrix_share"]["median"] < 1


def test_a_wrong_contender_is_named(report):
    row = of(report, "encoder", "zeros")
    assert row["status"] == "ran"
    assert not row["agreement"]["agrees"]


def test_what_cannot_run_tells_its_reason(report):
    row = of(report, "click", "zeros")
    assert (row["status"], row["reason"]) == ("unsupported", "takes no prompts")
    assert row["seconds"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--contender", "nobody"],
        ["--workload", "nothing"],
        ["--size", "enormous"],
        ["--dtype", "int3"],
        ["--checkout", "no-path"],
        ["--checkout", "ours-torch=."],
        ["--checkout", "other=/nowhere"],
    ],
)
def test_unknown_names_are_refused_before_anything_runs(arguments, tmp_path):
    found = CliRunner().invoke(app, ["compare", *arguments, "--output", str(tmp_path / "out")])
    assert found.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_the_work_of_the_encoders():
    """Of the table of the design, less the padding of windows."""
    assert [round(encoder_gflop(model_of(size))) for size in ("base", "large", "huge")] == [
        942,
        2851,
        5666,
    ]
