"""Exported ONNX files in the runtime of browsers, under node."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from keras_sam.export.program import run_reference
from tests.export.record_meta_decoder import inputs_of

WEB = Path(__file__).parent / "web"

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(shutil.which("node") is None, reason="needs node"),
]


@pytest.fixture(scope="module")
def run_in_node(tmp_path_factory):
    """Function that runs an ONNX file with onnxruntime-web."""
    assert (WEB / "node_modules").exists(), "run `npm ci` in tests/export/web, as make test does"
    folder = tmp_path_factory.mktemp("node")

    def run(model, inputs):
        arrays = {
            name: {
                "type": str(array.dtype),
                "dims": array.shape,
                "data": array.ravel().tolist(),
            }
            for name, array in inputs.items()
        }
        (folder / "inputs.json").write_text(json.dumps(arrays))
        files = [model, folder / "inputs.json", folder / "outputs.json"]
        subprocess.run(["node", "run_onnx.mjs", *files], cwd=WEB, check=True, timeout=120)
        outputs = json.loads((folder / "outputs.json").read_text())["arrays"]
        return {
            name: np.array(one["data"], one["type"]).reshape(one["dims"])
            for name, one in outputs.items()
        }

    return run


def test_encoder_runs_in_the_browsers_runtime(run_in_node, onnx_export, meta_programs):
    encoder, _ = meta_programs
    (images,) = encoder.inputs
    inputs = {"images": images.sample(np.random.default_rng(0), images.shape)}
    actual = run_in_node(onnx_export[0] / "encoder.onnx", inputs)
    expected = run_reference(encoder, inputs, with_stages=True)
    for name, array in expected.items():
        np.testing.assert_allclose(actual[name], array, rtol=1e-3, atol=1e-4)


def test_decoder_runs_in_the_browsers_runtime(run_in_node, onnx_export, meta_programs):
    _, decoder = meta_programs
    inputs = inputs_of(1)
    actual = run_in_node(onnx_export[0] / "decoder.onnx", inputs)
    expected = run_reference(decoder, inputs, with_stages=True)
    assert list(actual) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(actual[name], array, rtol=1e-3, atol=1e-4)
