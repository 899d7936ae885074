"""The whole comparison with a tiny model."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app

# An implementation of another repository. It is fast because it is wrong, and takes no prompts.
CHECKOUT = """
import numpy as np
from benchmarks.implementations import UnsupportedError

class Implementation:
    def prepare(self, files, settings):
        self.image_size = files.image_size

    def images_to_inputs(self, images):
        return images

    def encode(self, inputs):
        grid_size = self.image_size // 16
        return np.zeros((len(inputs), grid_size, grid_size, 32), np.float32)

    def embedding_to_numpy(self, embedding):
        return embedding

    def set_image(self, image):
        raise UnsupportedError("takes no prompts")
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    output = tmp_path_factory.mktemp("bench")
    (output / "implementation.py").write_text(CHECKOUT)
    arguments = ["compare", "--quick", "--rounds", "2", "--threads", "1", "--output", str(output)]
    result = CliRunner().invoke(app, [*arguments, "--checkout", f"zeros={output}"])
    assert result.exit_code == 0, result.output
    return output


@pytest.fixture(scope="module")
def report(output):
    return json.loads((output / "results.json").read_text())


def find_row(report, workload, name):
    job = next(job for job in report["results"] if job["workload"] == workload)
    return next(row for row in job["participants"] if row["name"] == name)


@pytest.mark.parametrize("workload", ["encoder", "point"])
@pytest.mark.parametrize("name", ["keras-sam-torch", "transformers-sdpa"])
def test_implementations_run_and_agree(report, workload, name):
    row = find_row(report, workload, name)
    assert row["status"] == "ran", row["reason"]
    assert row["agreement"]["agrees"]
    assert len(row["seconds"]["rounds"]) == 2
    assert 0 < row["ratio"]["low"] <= row["ratio"]["median"] <= row["ratio"]["high"]
    assert row["memory"]["peak"] >= row["memory"]["before"] > 0


def test_baseline_is_the_first_implementation_of_this_project(report):
    assert report["results"][0]["baseline"] == "keras-sam-torch"
    assert find_row(report, "encoder", "keras-sam-torch")["ratio"]["median"] == 1


def test_encoder_is_compared_with_the_matrix_rate(report):
    job = report["results"][0]
    assert job["matrix_gflop_per_second"]["median"] > 0
    assert job["gflop"] == pytest.approx(0.00727, abs=1e-5)
    assert 0 < find_row(report, "encoder", "keras-sam-torch")["matrix_fraction"]["median"] < 1


def test_wrong_outputs_are_reported(report, output):
    row = find_row(report, "encoder", "zeros")
    assert row["status"] == "ran"
    assert not row["agreement"]["agrees"]
    assert "WRONG" in (output / "results.txt").read_text()


def test_missing_feature_is_reported_with_its_reason(report):
    row = find_row(report, "point", "zeros")
    assert (row["status"], row["reason"]) == ("unsupported", "takes no prompts")
    assert row["seconds"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--implementation", "missing"],
        ["--workload", "missing"],
        ["--size", "missing"],
        ["--dtype", "int3"],
        ["--checkout", "no-path"],
        ["--checkout", "keras-sam-torch=."],
        ["--checkout", "other=/missing"],
    ],
)
def test_unknown_names_are_rejected_before_anything_runs(arguments, tmp_path):
    output = tmp_path / "output"
    result = CliRunner().invoke(app, ["compare", *arguments, "--output", str(output)])
    assert result.exit_code == 2
    assert not output.exists()
